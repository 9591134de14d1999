"""MLflow's own scoring server, for the model that the service serves."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import mlflow
from mlflow.models import ModelSignature
from mlflow.pyfunc.scoring_server import get_cmd
from mlflow.types import ColSpec, DataType, Schema

from local.ports import free_ports
from local.waiting import until
from tests.serving.penguins import FEATURES


def save(model: Any, folder: Path) -> None:
    """Save a model as the pipeline does, with its signature."""
    inputs = Schema([ColSpec(DataType.double, name) for name in FEATURES])
    signature = ModelSignature(inputs=inputs, outputs=Schema([ColSpec(DataType.long)]))
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=signature,
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
        pip_requirements=[],
    )


@contextmanager
def scoring_server(folder: Path, log: Path) -> Iterator[httpx.Client]:
    """Run the command that `mlflow models serve` runs; yields a client once it answers."""
    (port,) = free_ports(1)
    command, environment = get_cmd(str(folder), port, "127.0.0.1", nworkers=1)
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"], env=environment, stdout=output, stderr=output, start_new_session=True
        )

    def is_ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return client.get("/ping").is_success
        except httpx.TransportError:
            return False

    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            until(is_ready, "MLflow's scoring server to answer")
            yield client
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
