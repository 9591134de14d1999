"""JupyterLab for a running stack: configuration, start and stop."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import httpx

from local import environment
from local.config import Config
from local.credentials import write_private
from local.errors import StackError
from local.logs import tail
from local.ports import LOOPBACK, conflict
from local.settings import REPO

NOTEBOOK = "train_penguins.ipynb"

# Without this JupyterLab asks at its start whether to fetch news from the internet.
_DEFAULTS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}

_TIMEOUT = 120.0  # seconds
_POLL = 0.2  # seconds
_STOP_TIMEOUT = 20.0  # seconds; JupyterLab stops the notebooks' kernels first


class Lab:
    """The JupyterLab of one stack. Every method may raise StackError."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._log = config.layout.log("jupyterlab")

    @property
    def base_url(self) -> str:
        """Base URL; every request needs the token."""
        return f"http://{LOOPBACK}:{self._config.settings.lab_port}"

    @property
    def url(self) -> str:
        """URL of the notebook with the token, for the user's browser."""
        return f"{self.base_url}/lab/tree/{NOTEBOOK}?token={self._config.credentials.jupyter_token}"

    def check(self) -> None:
        """Check that JupyterLab is installed and its port is free."""
        if find_spec("jupyterlab") is None:
            raise StackError("JupyterLab isn't installed; `make lab` installs it")
        if trouble := conflict("LAB_PORT", self._config.settings.lab_port):
            raise StackError(trouble)

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run JupyterLab during the block; yields its process once it answers."""
        self._configure()
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                (sys.executable, "-m", "jupyterlab"),
                env=environment.inherited(self._config) | environment.notebook(self._config) | self._folders(),
                cwd=REPO,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait(process)
            yield process
        finally:
            _stop(process)

    def failure(self, process: subprocess.Popen[bytes]) -> StackError:
        """Return an error with the exit status and the last lines of the log."""
        status = process.returncode
        return StackError(f"jupyterlab ended with exit status {status}\nLast lines of {self._log}:\n{tail(self._log)}")

    def _configure(self) -> None:
        # An own file overrides the configuration of the machine, and keeps the token out of the process list
        # and of the environment of notebooks.
        folder = self._config.layout.jupyter
        write_private(folder / "jupyter_server_config.json", json.dumps(self._options(), indent=2))
        (folder / "labconfig").mkdir(exist_ok=True)
        (folder / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(_DEFAULTS))

    def _options(self) -> dict[str, dict[str, object]]:
        return {
            "ServerApp": {
                "ip": LOOPBACK,
                "port": self._config.settings.lab_port,
                "port_retries": 0,
                "root_dir": str(REPO / "notebooks"),
                "allow_root": os.geteuid() == 0,
            },
            "IdentityProvider": {"token": self._config.credentials.jupyter_token},
            "LabApp": {"default_url": f"/lab/tree/{NOTEBOOK}"},
        }

    def _folders(self) -> dict[str, str]:
        """Return variables for separate folders, without kernels and settings of the user's other Jupyter."""
        folder = self._config.layout.jupyter
        return {
            "JUPYTER_CONFIG_DIR": str(folder),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "IPYTHONDIR": str(folder / "ipython"),
        }

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _TIMEOUT
        # One client, because each one loads the certificates of all authorities first, in 30 ms of processor.
        with httpx.Client(base_url=self.base_url, trust_env=False) as client:
            while not self._answers(client):
                if process.poll() is not None:
                    raise self.failure(process)
                if time.monotonic() > deadline:
                    raise StackError(f"jupyterlab isn't ready after {_TIMEOUT:.0f} s; see {self._log}")
                time.sleep(_POLL)

    @staticmethod
    def _answers(client: httpx.Client) -> bool:
        try:
            return client.get("/api").is_success
        except httpx.TransportError:
            return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
