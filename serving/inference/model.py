"""Load a model from the verified files of a version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from contract.digests import (
    MANIFEST_FILE,
    MLMODEL_FILE,
    MODEL_FILE,
    ONNX_FILE,
    DigestError,
    Digests,
    missing_digests,
    serving_files,
    verify,
)
from contract.manifest import PROBABILITY_TOLERANCE, Contract, Manifest, Points
from serving.codecs.example import encoded, example
from serving.codecs.fields import Fields
from serving.codecs.json import JsonCodec
from serving.codecs.open_inference import OpenInferenceCodec
from serving.codecs.scoring import ScoringCodec
from serving.inference.blocks import Labels, Probabilities, Rows
from serving.inference.contract import parse_manifest, parse_mlmodel
from serving.inference.engines import Engine, OnnxEngine
from serving.inference.memory import give_back
from serving.registry.refusals import Code, RefusedError
from serving.registry.responses import ModelVersion

Origin = Literal["registry", "cache"]


@dataclass(frozen=True, slots=True)
class Release:
    """A version, and the digests of its files.

    Attributes:
        signature: the verified tag that vouches for the digests; None for a copy on disk from before there were any.
    """

    version: ModelVersion
    digests: Digests
    signature: str | None

    @property
    def signed_by(self) -> str | None:
        """Return the first digits of the key that has signed the version."""
        return self.signature.partition(".")[0] if self.signature else None

    @property
    def files(self) -> tuple[str, ...]:
        """Return the files to load; scikit-learn's for a version that was registered by hand.

        Raises:
            RefusedError: one of the files has no recorded digest.
        """
        files = serving_files(self.digests)
        if missing := missing_digests(files, self.digests):
            raise RefusedError(Code.NOT_VOUCHED_FOR, f"its signature has no digest of {' and '.join(missing)}")
        return files


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The version that serves. A swap replaces the whole object, so that a request sees one version only."""

    release: Release
    files: Mapping[str, bytes]
    """The verified files, from which the workers of tables load the model again."""
    contract: Contract
    engine: Engine
    json: JsonCodec
    scoring: ScoringCodec
    open_inference: OpenInferenceCodec
    low: tuple[float, ...]
    """Least value of each feature in training, in float32 as the model sees them; infinite for codes."""
    high: tuple[float, ...]
    """Greatest value of each."""
    points: Points | None
    """Rows of known classes for the page: training data, or the recorded example."""
    origin: Origin
    loaded_at: datetime
    is_first: bool = True
    """Whether `/predict` asks this registered model."""
    shadow: "LoadedModel | None" = None
    """The version that answers the same rows in the shadow."""
    name: str = field(init=False)
    """Name of the registered model."""
    version: str = field(init=False)
    """The version's number, as the registry writes it."""

    def __post_init__(self) -> None:
        """Take over what each request needs."""
        object.__setattr__(self, "name", self.release.version.name)
        object.__setattr__(self, "version", self.release.version.version)


def load(release: Release, files: Mapping[str, bytes], origin: Origin) -> LoadedModel:
    """Verify the files, load the model and compare its answers with the recorded ones.

    Loading takes milliseconds, with scikit-learn seconds: call this in a thread.

    Raises:
        RefusedError: a file isn't the one that was registered, or the model doesn't follow the contract.
    """
    files = {name: files[name] for name in release.files}  # read once: what is verified is what is loaded
    for name, content in files.items():
        try:
            verify(name, content, release.digests)
        except DigestError as error:
            raise RefusedError(Code.DIGEST_MISMATCH, str(error)) from error
    contract, engine, points = _load_onnx(files) if ONNX_FILE in release.files else _load_sklearn(files)
    low, high = map(tuple, np.array([feature.seen for feature in contract.features], dtype=np.float32).T.tolist())
    codec = JsonCodec(contract, release.version.version)
    scoring = ScoringCodec(codec.fields)
    tensors = OpenInferenceCodec(codec.fields, contract, release.version.name, release.version.version)
    give_back()  # some ten times the file's size
    now = datetime.now(UTC)
    return LoadedModel(release, files, contract, engine, codec, scoring, tensors, low, high, points, origin, now)


def _load_onnx(files: Mapping[str, bytes]) -> tuple[Contract, Engine, Points]:
    manifest = parse_manifest(files[MANIFEST_FILE])
    engine = OnnxEngine(files[ONNX_FILE], manifest)
    _check_example(engine, manifest)
    example = Points(inputs=manifest.example.inputs, labels=manifest.example.labels)
    return manifest.contract, engine, manifest.scatter or example


def _load_sklearn(files: Mapping[str, bytes]) -> tuple[Contract, Engine, None]:
    mlmodel = parse_mlmodel(files[MLMODEL_FILE])
    contract = mlmodel.metadata.contract
    try:
        from serving.inference.sklearn_engine import SklearnEngine
    except ImportError as error:
        raise RefusedError(
            Code.SKLEARN_MISSING,
            f"it has no inference/model.onnx, and scikit-learn isn't installed to serve it without ({error})",
        ) from error
    engine = SklearnEngine(files[MODEL_FILE], mlmodel.flavors.sklearn, contract)
    fields = Fields(contract)
    _predict(engine, contract, np.array([encoded(fields, example(fields))], dtype=np.float32))
    return contract, engine, None


def _check_example(engine: Engine, manifest: Manifest) -> None:
    example = manifest.example
    labels, probabilities = _predict(engine, manifest, np.array(example.inputs, dtype=np.float32))
    if labels.tolist() != example.labels:
        raise RefusedError(
            Code.EXAMPLE_MISMATCH, f"it labels its example {labels.tolist()}, recorded was {example.labels}"
        )
    difference = float(np.abs(probabilities - np.array(example.probabilities)).max())
    if not difference <= PROBABILITY_TOLERANCE:
        raise RefusedError(
            Code.EXAMPLE_MISMATCH,
            f"its probabilities differ from the recorded ones by {difference:.2g} (allowed: {PROBABILITY_TOLERANCE:g})",
        )


def _predict(engine: Engine, contract: Contract, rows: Rows) -> tuple[Labels, Probabilities]:
    try:
        labels, probabilities = engine.predict(rows)
    except Exception as error:  # each engine raises its own errors
        raise RefusedError(Code.MODEL_UNREADABLE, f"it can't predict: {type(error).__name__}: {error}") from error
    if labels.shape != (len(rows),) or probabilities.shape != (len(rows), len(contract.classes)):
        raise RefusedError(Code.SIGNATURE_MISMATCH, f"it answers shapes {labels.shape} and {probabilities.shape}")
    return labels, probabilities
