"""The manifest that goes with a version: the model's contract, recorded answers and training data to draw."""

from typing import Final

import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from pydantic import ValidationError
from sklearn.base import ClassifierMixin

from contract.digests import MANIFEST_FILE, DigestError, verify
from contract.manifest import Example, Manifest, Points, Value
from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.registry import logged_models, model_versions
from penguins.training.model_contracts import describe_contract

EXAMPLE_ROWS: Final = 10
SCATTER_ROWS: Final = 500


def build_manifest(model: ClassifierMixin, data: Dataset) -> Manifest:
    """Describe a model for the service.

    The answers to some rows of the hold-out are recorded as examples. At most `SCATTER_ROWS` rows of the training part
    are included to draw.
    """
    recorded = data.holdout[:: max(1, len(data.holdout) // EXAMPLE_ROWS)]
    probabilities = model.predict_proba(data.seen(recorded))
    drawn = data.train[:: -(-len(data.train) // SCATTER_ROWS)]
    contract = describe_contract(data)
    return Manifest(
        contract_version=2,
        name=contract.name,
        title=contract.title,
        target=contract.target,
        features=contract.features,
        log_fraction=contract.log_fraction,
        example=Example(
            inputs=_values(data.features.iloc[recorded]),
            labels=probabilities.argmax(axis=1).tolist(),
            probabilities=probabilities.tolist(),
        ),
        scatter=Points(inputs=_values(data.features.iloc[drawn]), labels=data.labels[drawn].tolist()),
    )


def read_manifest(version: ModelVersion) -> Manifest | None:
    """Return the manifest of a version; None for one that was registered without it.

    Raises:
        UserError: no trusted key has signed the version, or the file isn't the signed one or can't be read.
    """
    digests = model_versions.recorded_digests(version)
    if MANIFEST_FILE not in digests:
        return None
    location = logged_models.find(model_versions.model_id(version)).artifact_location
    content = logged_models.download(location, MANIFEST_FILE)
    try:
        verify(MANIFEST_FILE, content, digests)
        return Manifest.model_validate_json(content)
    except (DigestError, ValidationError) as error:
        raise UserError(f"{version.name} version {version.version}: {MANIFEST_FILE} can't be used: {error}") from error


def _values(rows: pd.DataFrame) -> list[list[Value]]:
    """Return rows as numbers, None for NaN."""
    return [[None if value != value else value for value in row] for row in rows.to_numpy().tolist()]
