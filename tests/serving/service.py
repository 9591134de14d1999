"""The service in a separate process."""

import os
import signal
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from local.ports import free_ports
from local.waiting import until
from tests import keys
from tests.forked import Forked

PENGUIN = {"bill_length_mm": 39.1, "bill_depth_mm": 18.7, "flipper_length_mm": 181, "body_mass_g": 3750}
PROGRAM = (sys.executable, "-m", "serving")
TIMEOUT_SECONDS = 60
WITHOUT_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # to load their certificates takes longer than a request

Result = TypeVar("Result")


def with_largest_file(size: int) -> tuple[str, ...]:
    """Return the command of a service that can't write files larger than `size` bytes, to simulate a full disk."""
    limit = f"import resource as r, runpy; r.setrlimit(r.RLIMIT_FSIZE, ({size}, {size})); "
    return (sys.executable, "-c", limit + "runpy.run_module('serving', run_name='__main__')")


class Service:
    """The service in a process of its own, on a free port; with a command of its own or several workers the program."""

    def __init__(self, folder: Path, *command: str, **settings: Any) -> None:
        self._command = command or (PROGRAM if "SERVING_WORKERS" in settings else ())
        (self._port,) = free_ports(1)
        self._settings = {name: str(value) for name, value in settings.items()}
        self._log = folder / "service.log"
        self._entered = False
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self._port}", timeout=TIMEOUT_SECONDS, verify=WITHOUT_AUTHORITIES
        )

    def __enter__(self) -> Self:
        """Start the service, unless it was started: a test may use its own `with` inside the fixture."""
        if self._entered:
            return self
        self._entered = True
        defaults = {
            "SERVING_PORT": str(self._port),
            "SERVING_POLL_SECONDS": "0.2",  # a poll costs MLflow 10 ms of processor
            "SERVING_MAX_BACKOFF_SECONDS": "0.3",
            "SERVING_TRUSTED_KEYS": keys.PUBLIC,
        }
        self.process = self._start({**os.environ, **defaults, **self._settings})
        until(self.is_live, "the service to listen")
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # The workers share the process group.
        self.process.kill()  # in case it had none yet
        self.process.wait()

    def _start(self, variables: dict[str, str]) -> "subprocess.Popen[bytes] | Forked":
        if not self._command:
            return Forked("serving", variables, self._log)
        with self._log.open("a") as log:
            return subprocess.Popen(
                self._command, env=variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def log(self) -> str:
        """Log of the service."""
        return self._log.read_text()

    def is_live(self) -> bool:
        """Return whether the service answers."""
        if self.process.poll() is not None:
            raise AssertionError(f"the service ended:\n{self.log}")
        try:
            return self.http.get("/health/live").is_success
        except httpx.TransportError:
            return False

    def cpu_seconds(self) -> float:
        """Return the processor time of the service, which doesn't depend on the load of the machine."""
        times = Path("/proc", str(self.process.pid), "stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")

    def peak_bytes(self) -> int:
        """Return the peak memory of the service."""
        status = Path("/proc", str(self.process.pid), "status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def open_files(self) -> int:
        """Return the number of open files of the service."""
        return len(list(Path("/proc", str(self.process.pid), "fd").iterdir()))

    def predict(self, penguin: Any = PENGUIN) -> httpx.Response:
        """Request a prediction."""
        return self.http.post("/predict", json=penguin)

    def status(self) -> dict[str, Any]:
        """Return the answer of `/model`."""
        return dict(self.http.get("/model").json())

    def serves(self, version: str) -> httpx.Response:
        """Wait until `version` serves and is kept on disk; return its prediction."""

        def answer() -> httpx.Response | None:
            response = self.predict()
            if not response.is_success or response.json()["model_version"] != version:
                return None
            poll = self.status()["last_poll"]
            return response if poll and poll["detail"] == f"version {version} is in Production" else None

        return until(answer, f"version {version} to serve; the log:\n{self.log}")

    def refuses(self, version: str) -> dict[str, Any]:
        """Wait until `version` is refused, and return the refusal."""

        def refused() -> dict[str, Any] | None:
            found = self.status()["refused"]
            return found if found and found["version"] == version else None

        return until(refused, f"version {version} to be refused; the log:\n{self.log}")

    def polled(self, outcome: str) -> dict[str, Any]:
        """Wait until the last poll has this outcome, and return the poll."""

        def ended() -> dict[str, Any] | None:
            poll = self.status()["last_poll"]
            return poll if poll and poll["outcome"] == outcome else None

        return until(ended, f"a poll with the outcome {outcome}")
