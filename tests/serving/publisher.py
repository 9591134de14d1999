"""Publish model versions in the registry, in the format of the contract between pipeline and service."""

import hashlib
import json
import pickle
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Run
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

from contract.manifest import Contract
from contract.signatures import Kind
from tests import keys
from tests.serving.penguins import FEATURES, SPECIES

Edit = Callable[[dict[str, bytes]], object]

CENTRES = {"Adelie": (38.8, 18.3, 190, 3700), "Chinstrap": (48.8, 18.4, 196, 3730), "Gentoo": (47.5, 15, 217, 5076)}
SPREAD = (2.7, 1.1, 6.5, 450)
EXAMPLES = 20


@cache
def penguins(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 measurements [300, 4] around the centres of the species, and their labels [300]."""
    random = np.random.default_rng(seed)
    rows = np.vstack([random.normal(centre, SPREAD, (100, len(FEATURES))) for centre in CENTRES.values()])
    return rows.astype(np.float32), np.repeat(np.arange(len(SPECIES)), 100)


def forest(seed: int = 0, **parameters: Any) -> RandomForestClassifier:
    """Return a small forest, which the caller may change; different seeds give different forests."""
    model: RandomForestClassifier = pickle.loads(_fitted(seed, **parameters))  # noqa: S301 - our own
    return model


@cache
def _fitted(seed: int, **parameters: Any) -> bytes:
    rows, labels = penguins(seed)
    model = RandomForestClassifier(**{"n_estimators": 20, "random_state": seed} | parameters).fit(rows, labels)
    return pickle.dumps(model)


def onnx(model: RandomForestClassifier, zipmap: bool = False) -> bytes:
    """Export the forest as ONNX, in the form required by the contract."""
    rows, _ = penguins(0)
    return bytes(to_onnx(model, rows[:1], options={id(model): {"zipmap": zipmap}}).SerializeToString())


def features(seed: int = 0) -> list[dict[str, Any]]:
    """Return the features with the ranges of the training data."""
    rows, _ = penguins(seed)
    return [
        {"name": name, "unit": unit, "min": float(column.min()), "max": float(column.max())}
        for (name, unit), column in zip(FEATURES.items(), rows.T, strict=True)
    ]


def known_contract() -> Contract:
    """Return the contract of the versions published here."""
    return Contract.model_validate({"features": features(), "species": SPECIES})


def contract(model: RandomForestClassifier) -> dict[str, Any]:
    """Return the content of `inference/contract.json`."""
    inputs = penguins(0)[0][:: 300 // EXAMPLES]
    return {
        "contract_version": 1,
        "features": features(),
        "species": SPECIES,
        "example": {
            "inputs": inputs.tolist(),
            "labels": model.predict(inputs).tolist(),
            "probabilities": model.predict_proba(inputs).tolist(),
        },
    }


def inference_files(model: RandomForestClassifier) -> dict[str, bytes]:
    """Return the files of a version, path to content."""
    return dict(_exported(pickle.dumps(model)))


@cache
def _exported(pickled: bytes) -> dict[str, bytes]:
    model = pickle.loads(pickled)  # noqa: S301 - our own
    return {"inference/contract.json": json.dumps(contract(model)).encode(), "inference/model.onnx": onnx(model)}


@cache
def _experiment(url: str) -> str:
    """Return the experiment of all versions on the server at `url`, which MLflow's client talks to."""
    del url  # only tells servers apart
    return mlflow.set_experiment("published").experiment_id


def digests(files: dict[str, bytes]) -> dict[str, str]:
    """Return the sha256 of each file."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


class Publisher:
    """One registered model, whose versions are signed with `key`."""

    def __init__(self, url: str, model_name: str, key: str = keys.PRIVATE) -> None:
        mlflow.set_tracking_uri(url)
        self.client = MlflowClient(url)
        self.model_name = model_name
        self.key = key
        self.experiment = _experiment(url)
        self.client.create_registered_model(model_name)

    def publish(
        self,
        model: RandomForestClassifier,
        before: Edit | None = None,
        after: Edit | None = None,
        tags: dict[str, str] | None = None,
    ) -> str:
        """Register a version and return its number.

        Args:
            before: edits the files before their digests are signed.
            after: edits the files after their digests are signed.
            tags: further tags of the version.
        """
        run = self.client.create_run(self.experiment)
        files = inference_files(model)
        if before:
            before(files)
        recorded = {"digests": json.dumps(digests(files)), "signature": self.signature("version", None, files)}
        if after:
            after(files)
        self.upload(run, files)
        source = f"{run.info.artifact_uri}/model"
        version = self.client.create_model_version(
            self.model_name,
            source,
            run.info.run_id,
            tags=recorded | (tags or {}),
            await_creation_for=0,  # the server creates a version at once
        )
        return str(version.version)

    def signature(self, kind: Kind, logged_model: str | None, files: dict[str, bytes]) -> str:
        """Return a signature of these files for this registered model."""
        return keys.signature(kind, self.model_name, logged_model, digests(files), self.key)

    def publish_by_hand(self, model: Any, metadata: bool = True, signed: bool = True) -> str:
        """Log a model as the pipeline does, and register it without files for inference."""
        with mlflow.start_run(experiment_id=self.experiment):
            logged = mlflow.sklearn.log_model(
                model,
                name="model",
                serialization_format="cloudpickle",
                pip_requirements=[],
                signature=mlflow.models.infer_signature(penguins(0)[0]),
                metadata={"contract": {"features": features(), "species": SPECIES}} if metadata else None,
            )
        if signed:
            self.sign(logged.model_id)
        return str(mlflow.register_model(logged.model_uri, self.model_name, await_registration_for=None).version)

    def logged_model(self, version: str) -> str:
        """Return the id of the logged model behind a version."""
        source = self.client.get_model_version(self.model_name, version).source
        assert source
        return source.removeprefix("models:/")

    def sign(self, model_id: str) -> None:
        """Sign the files of a logged model as a candidate."""
        folder = Path(mlflow.artifacts.download_artifacts(f"models:/{model_id}"))
        files = {name: (folder / name).read_bytes() for name in ("MLmodel", "model.pkl")}
        tags = {"digests": json.dumps(digests(files)), "signature": self.signature("candidate", model_id, files)}
        self.client.set_logged_model_tags(model_id, tags)

    def promote(self, version: str) -> None:
        """Set the alias production to the version."""
        self.client.set_registered_model_alias(self.model_name, "production", version)

    def overwrite(self, version: str, name: str, content: bytes) -> None:
        """Replace a file of the version in the artifact store."""
        run_id = self.client.get_model_version(self.model_name, version).run_id
        assert run_id
        self.upload(self.client.get_run(run_id), {name: content})

    def upload(self, run: Run, files: dict[str, bytes]) -> None:
        """Upload files into the artifact folder of the version."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self.client.log_artifacts(run.info.run_id, folder, "model")
