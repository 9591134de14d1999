"""The reference that goes with a version: describe the training rows, and read it again."""

import logging
from typing import Final

import numpy as np
from mlflow.entities.model_registry import ModelVersion
from sklearn.base import ClassifierMixin, clone
from sklearn.model_selection import cross_val_predict

from contract.digests import DigestError, verify
from contract.encoding import Matrix, codes
from contract.schema import Column
from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.registry import logged_models, model_versions
from penguins.registry.reference import (
    LEVELS,
    MAX_ROWS,
    REFERENCE_FILE,
    BadReferenceError,
    FeatureSummary,
    Reference,
    Summary,
    decode,
)
from penguins.training.sampling import sample

log = logging.getLogger(__name__)

REFIT_ROWS: Final = 10_000
"""Training rows that a model is fitted on again for answers to rows it hasn't learned from, at most."""


def build_reference(model: ClassifierMixin, data: Dataset) -> Reference:
    """Describe the training rows of a model, and its answers to rows that it hasn't learned from.

    These are those of the hold-out, without any fit. If they are too few, out-of-fold answers to training rows are
    added, by one fit for each fold of the contract on at most `REFIT_ROWS` rows.
    """
    random = np.random.default_rng(data.seed)
    drawn = random.permutation(data.train)[:MAX_ROWS]
    probabilities, labels = _scored(model, data, random)
    train, matrix = data.labels[data.train], data.seen(data.train).to_numpy()
    summary = Summary(
        format=1,
        trained_on=len(data.train),
        features=[_describe(column, values) for column, values in zip(data.contract.features, matrix.T, strict=True)],
        classes=list(data.contract.classes),
        class_counts=np.bincount(train, minlength=len(data.contract.classes)).tolist(),
        rows=len(drawn),
        scored=len(labels),
    )
    return Reference(summary, data.seen(drawn).to_numpy(), probabilities, labels)


def read_reference(version: ModelVersion) -> Reference | None:
    """Return the reference of a version; None for one that was registered without it.

    Raises:
        UserError: no trusted key has signed the version, or the file isn't the signed one or can't be read.
    """
    digests = model_versions.recorded_digests(version)
    if REFERENCE_FILE not in digests:
        return None
    location = logged_models.find(model_versions.model_id(version)).artifact_location
    content = logged_models.download(location, REFERENCE_FILE)
    try:
        verify(REFERENCE_FILE, content, digests)
        return decode(content)
    except (DigestError, BadReferenceError) as error:
        raise UserError(
            f"{version.name} version {version.version}: {REFERENCE_FILE} can't be used: {error}. Nothing can be "
            "compared with it: promote another version, or train again."
        ) from error


def _describe(column: Column, values: np.ndarray) -> FeatureSummary:
    known = codes(column)
    if known:
        counts = np.bincount(values.astype(np.int64), minlength=len(known) + 1)
        return FeatureSummary(
            name=column.name,
            kind="boolean" if column.type == "boolean" else "category",
            logged=column.logged,
            missing=float(counts[-1] / len(values)),
            counts=counts.tolist(),
        )
    present = values[~np.isnan(values)]
    return FeatureSummary(
        name=column.name,
        kind="number",
        logged=column.logged,
        missing=float(1 - len(present) / len(values)),
        quantiles=np.quantile(present, LEVELS).tolist() if len(present) else [],
    )


def _scored(model: ClassifierMixin, data: Dataset, random: np.random.Generator) -> tuple[Matrix, np.ndarray]:
    """Return probabilities `[n, classes]` and true labels `[n]` of rows that the model hadn't learned from."""
    rows = random.permutation(data.holdout)[:MAX_ROWS]
    probabilities, labels = model.predict_proba(data.seen(rows)), data.labels[rows]
    if len(rows) < MAX_ROWS:
        more, true = _out_of_fold(model, sample(data, REFIT_ROWS), random, MAX_ROWS - len(rows))
        probabilities, labels = np.vstack([probabilities, more]), np.concatenate([labels, true])
    return probabilities.astype(np.float32), labels.astype(np.int16)


def _out_of_fold(
    model: ClassifierMixin, data: Dataset, random: np.random.Generator, most: int
) -> tuple[np.ndarray, np.ndarray]:
    train = np.sort(data.train)
    labels = data.labels[train]
    folds = min(data.contract.training.folds, int(np.bincount(labels, minlength=len(data.contract.classes)).min()))
    if folds < 2:
        log.info("a class has one training row: no out-of-fold answers")
        return np.empty((0, len(data.contract.classes))), labels[:0]
    cut = [(np.searchsorted(train, fit), np.searchsorted(train, judge)) for fit, judge in data.folds(folds)]
    features = data.seen(train).astype(np.float64)  # as in the search: sums in float32 would be less exact
    probabilities = cross_val_predict(clone(model), features, labels, cv=cut, method="predict_proba")
    chosen = random.permutation(len(train))[:most]
    return probabilities[chosen], labels[chosen]
