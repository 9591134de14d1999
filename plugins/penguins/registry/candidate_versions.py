"""Versions that are made of a candidate, with the files that the service needs."""

import json
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT
from sklearn.base import ClassifierMixin

from contract.digests import DIGESTS, MANIFEST_FILE, ONNX_FILE, digest_files
from contract.signatures import SIGNATURE
from penguins import signing
from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.registry import logged_models, model_versions, onnx_export
from penguins.registry.manifests import build_manifest
from penguins.registry.reference import REFERENCE_FILE, encode
from penguins.registry.references import build_reference
from penguins.training import candidate_runs
from penguins.training.tracking import DAG_RUN, GIT_COMMIT, SAMPLE, data_tags

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedCandidate:
    """A finished candidate with its model.

    Attributes:
        digests: sha256 of the logged model's files, by path.
    """

    run: Run
    model_id: str
    digests: Mapping[str, str]
    model: ClassifierMixin

    @classmethod
    def load(cls, run: Run, model: str) -> Self:
        """Load the model that a finished run has logged for the registered model `model`.

        Raises:
            UntrustedError: no trusted key has signed it.
            UserError: as `model_versions.load`.
        """
        model_id = candidate_runs.model_id(run)
        digests = model_versions.candidate_digests(model, model_id)
        return cls(run, model_id, digests, model_versions.load(model_id, digests))


def find_version(candidate: LoadedCandidate, model: str) -> ModelVersion | None:
    """Return the first version of `model` that the DAG run of a candidate has registered from it, if any.

    Versions that somebody else has registered under its name are passed over.
    """
    run = candidate.run
    query = f"run_id = '{run.info.run_id}' AND tags.{DAG_RUN} = '{run.data.tags[DAG_RUN]}'"
    found = reversed(model_versions.versions(model, query))
    return next((version for version in found if _is_of(candidate, version)), None)


def _is_of(candidate: LoadedCandidate, version: ModelVersion) -> bool:
    try:
        if model_versions.model_id(version) != candidate.model_id:
            raise UserError(f"{version.name} version {version.version} has the model of another run")
        model_versions.recorded_digests(version)
    except UserError as error:
        log.warning("passed over: %s", error)
        return False
    return True


def register(candidate: LoadedCandidate, data: Dataset) -> ModelVersion:
    """Add the service's files and the reference for drift to the logged model, then make it a version.

    A version whose ONNX export gives other answers is registered without the service's; a tag has the reason.
    """
    tags = _describe(candidate.run, data)
    with tempfile.TemporaryDirectory() as folder:
        onnx, manifest, reference = (Path(folder, name) for name in (ONNX_FILE, MANIFEST_FILE, REFERENCE_FILE))
        onnx.parent.mkdir()
        reference.parent.mkdir()
        reference.write_bytes(encode(build_reference(candidate.model, data)))
        try:
            onnx.write_bytes(onnx_export.export(candidate.model, data))
        except onnx_export.NotEqualError as error:
            log.warning("registered without an ONNX export, so the service will run scikit-learn: %s", error)
            tags["onnx"] = str(error)
        else:
            manifest.write_text(build_manifest(candidate.model, data).model_dump_json())
        digests = {**candidate.digests, **digest_files(Path(folder))}
        logged_models.upload(candidate.model_id, folder)
        signature = signing.sign("version", data.contract.training.registered_model, candidate.model_id, digests)
        tags |= {DIGESTS: json.dumps(digests), SIGNATURE: signature}
    run = candidate.run.info
    return model_versions.create_version(data.contract, candidate.model_id, run.run_id, tags, description=run.run_name)


def _describe(run: Run, data: Dataset) -> dict[str, str]:
    return {
        DAG_RUN: run.data.tags[DAG_RUN],
        **data_tags(data),
        **{name: value for name, value in run.data.tags.items() if name == SAMPLE},
        candidate_runs.ESTIMATOR: run.data.tags[candidate_runs.ESTIMATOR],
        GIT_COMMIT: run.data.tags[MLFLOW_GIT_COMMIT],
        **{name: str(value) for name, value in run.data.metrics.items() if name != "fit_seconds"},
    }
