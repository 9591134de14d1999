"""The compared services: the command and the request of each, with one worker."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path

import httpx
import mlflow
import onnx
import psutil

from local.ports import free_ports
from local.waiting import until

REPO = Path(__file__).resolve().parent.parent
OURS, CONSTANT, PLAIN = "ours", "constant endpoint", "FastAPI + sklearn"
LOGGED, SHADOWED = "ours, with the log", "ours, with log and shadow"
RAW = "raw ASGI, constant"
"""The limit: what any application behind uvicorn costs."""
MLFLOW = "mlflow models serve"
SCORING = "ours, /invocations"
"""The request of MLflow's server, to the byte."""
OWN = {OURS, SCORING, LOGGED, SHADOWED}
HAND_WRITTEN = "FastAPI + ONNX"
"""Our engine in an endpoint without checks, metrics and request IDs: only the code around the model differs."""
INPUTS = '{"inputs": [%s]}'
SCORED = '{"predictions": [2]}'
SPACED = '"prediction": [2]'
ISOLATED = ["bentoml", "litserve"]
SHARED = ["scikit-learn", "numpy", "onnxruntime"]

Penguin = dict[str, float]


@dataclass
class Server:
    """A running service."""

    name: str
    url: str
    bodies: list[str]
    """JSON of requests, all with the label 2."""
    expected: str
    """Text in every right answer."""
    process: psutil.Process
    onnx: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    def processes(self) -> list[psutil.Process]:
        """Return the process of the service and its children."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Return the processor time of the service."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())

    def megabytes(self) -> float:
        """Return the resident memory of the service; memory shared by its processes counts once."""
        return float(sum(process.memory_full_info().pss for process in self.processes()) / 2**20)


@dataclass(frozen=True)
class Peer:
    """The command and the request of a service."""

    name: str
    command: tuple[str, ...]
    path: str = "/predict"
    wrap: str = "%s"
    """The body around the JSON object of a penguin."""
    expected: str = '"prediction":[2]'
    engine: str = ""
    environment: tuple[tuple[str, str], ...] = ()


def with_log(name: str, ours: dict[str, str], folder: Path, **more: str) -> Peer:
    """Return our service with its prediction log in a folder, and more settings."""
    settings = ours | {"SERVING_LOG_DIR": str(folder)} | more
    return Peer(name, (sys.executable, "-m", "serving"), environment=tuple(settings.items()))


def peers(python: str, isolated: str, model: Path, onnx_flavor: Path, ours: dict[str, str]) -> list[Peer]:
    """Return the services without a log. `python` has the project's packages, `isolated` those of the benchmark."""
    uvicorn = (python, "-m", "uvicorn", "--no-access-log", "--port", "{port}")
    plain = (*uvicorn, "benchmarks.serve_plain:app")
    served = (python, "-m", "mlflow", "models", "serve", "--env-manager", "local", "--port", "{port}", "--model-uri")
    lit = (isolated, "-m", "benchmarks.serve_lit")
    bento = (isolated, "-m", "bentoml", "serve", "benchmarks.serve_bento:Penguins", "--port", "{port}")
    records = '{"dataframe_records": [%s]}'
    return [
        Peer(OURS, (python, "-m", "serving"), environment=tuple(ours.items())),
        Peer(SCORING, (python, "-m", "serving"), "/invocations", records, SCORED, environment=tuple(ours.items())),
        Peer(RAW, (*uvicorn, "benchmarks.serve_raw:app")),
        Peer(CONSTANT, plain, engine="constant"),
        Peer(MLFLOW, (*served, str(model)), "/invocations", records, SCORED),
        Peer(f"{MLFLOW}, ONNX", (*served, str(onnx_flavor)), "/invocations", INPUTS, '"label": [2]', "onnx"),
        Peer(PLAIN, plain, engine="sklearn"),
        Peer(HAND_WRITTEN, plain, engine="onnx"),
        Peer("LitServe", lit, engine="sklearn"),
        Peer("LitServe, ONNX", lit, engine="onnx"),
        Peer("BentoML", bento, expected=SPACED, engine="sklearn"),
        Peer("BentoML, ONNX", bento, expected=SPACED, engine="onnx"),
    ]


def save_onnx_flavor(model: Path, folder: Path) -> None:
    """Save the version's ONNX file as MLflow's ONNX flavor."""
    mlflow.onnx.save_model(onnx.load(str(model / "inference" / "model.onnx")), str(folder), pip_requirements=[])


def isolated_python(folder: Path, packages: Sequence[str], shared: Sequence[str] = ()) -> str:
    """Create an environment with a benchmark's own packages, and the project's versions of those that are shared."""
    uv = shutil.which("uv") or os.environ["UV"]
    same = [f"{name}=={version(name)}" for name in shared]
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *packages, *same], check=True)
    return python


@contextmanager
def running(peers: list[Peer], model: Path, penguins: list[Penguin], logs: Path) -> Iterator[list[Server]]:
    """Run all services during the block; yields them once each gives the right answers."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_started(peer, model, penguins, logs)) for peer in peers]
        for server in servers:
            try:
                until(partial(is_right, server), f"{server.name} to answer")
            except TimeoutError as error:
                raise TimeoutError(f"{error}; its log:\n{_log(logs, server.name).read_text()}") from error
        yield servers


def _log(folder: Path, name: str) -> Path:
    return folder / (re.sub(r"\W+", "_", name) + ".log")


@contextmanager
def _started(peer: Peer, model: Path, penguins: list[Penguin], logs: Path) -> Iterator[Server]:
    port = str(free_ports(1)[0])
    variables = {"MODEL": str(model), "ENGINE": peer.engine, "PORT": port, "SERVING_PORT": port} | dict(
        peer.environment
    )
    environment = {**os.environ, **variables, "BENTOML_DO_NOT_TRACK": "True", "PYTHONPATH": f"{REPO}:{REPO}/plugins"}
    # `mlflow models serve` starts uvicorn from the PATH.
    environment["PATH"] = f"{Path(peer.command[0]).parent}:{environment['PATH']}"
    with _log(logs, peer.name).open("w") as log:
        command = [part.format(port=port) for part in peer.command]
        process = subprocess.Popen(command, env=environment, cwd=REPO, stdout=log, stderr=log)
    as_list = peer.wrap == INPUTS
    bodies = [peer.wrap % json.dumps(list(one.values()) if as_list else one) for one in penguins]
    server = Server(
        peer.name, f"http://127.0.0.1:{port}{peer.path}", bodies, peer.expected, psutil.Process(process.pid),
        peer.engine == "onnx" or peer.name in OWN, environment,
    )  # fmt: skip
    try:
        yield server
    finally:
        for one in server.processes():
            with suppress(psutil.NoSuchProcess):  # a child may end together with its parent
                one.terminate()
        process.wait(60)


def is_right(server: Server) -> bool:
    """Return whether the service gives the right answer to all bodies."""
    try:
        headers = {"Content-Type": "application/json"}
        answers = [httpx.post(server.url, content=body, headers=headers, timeout=30) for body in server.bodies]
    except httpx.TransportError:
        return False
    return all(server.expected in answer.text for answer in answers)
