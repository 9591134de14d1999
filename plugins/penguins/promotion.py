"""Which version is in Production, and why: the gate, and the one function that promotes."""

import logging
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from mlflow.entities.model_registry import ModelVersion

from penguins import registry
from penguins.dataset import Dataset
from penguins.search import score
from penguins.tracking import DATA_DIGEST, SPLIT, client, split_of

log = logging.getLogger(__name__)

CHALLENGER: Final = "challenger"
# Written last on a version that was judged: once it is there, the decision is made and stays.
VERDICT: Final = "verdict"


@dataclass(frozen=True)
class Verdict:
    """Whether a challenger deserves Production, and the sentence that says why."""

    promote: bool
    reason: str


def judge(challenger: ModelVersion, accuracy: float, champion: ModelVersion | None, data: Dataset) -> Verdict:
    """Compare a challenger with the version in Production on the same hold-out; a tie keeps the champion.

    Args:
        accuracy: the challenger's share of right answers on the hold-out of `data`.

    Raises:
        UserError: the champion's model can't be trusted or loaded.
    """
    if champion is None:
        return Verdict(True, f"the first version, with an accuracy of {accuracy:.4f} on the hold-out")
    if champion.version == challenger.version:
        return Verdict(True, "it is in Production already")
    theirs = _holdout_accuracy(champion, data)
    numbers = f"accuracy on the same {len(data.holdout)} rows: {accuracy:.4f} against {theirs:.4f}"
    if champion.tags.get(SPLIT) != split_of(data):
        numbers += f" (version {champion.version} was made with another hold-out: it may have learned some of them)"
    elif champion.tags.get(DATA_DIGEST) != data.digest:
        numbers += f" (version {champion.version} learned from other data, though hardly from these rows)"
    if accuracy > theirs:
        return Verdict(True, f"better than version {champion.version}, {numbers}")
    return Verdict(False, f"not better than version {champion.version}, {numbers}")


def _holdout_accuracy(version: ModelVersion, data: Dataset) -> float:
    model = registry.load(registry.model_id(version), registry.recorded_digests(version))
    probabilities = model.predict_proba(data.features.iloc[data.holdout])
    return score(data.labels[data.holdout], np.asarray(probabilities))["accuracy"]


def promote(version: ModelVersion, reason: str, by: str) -> None:
    """Put a version in Production, in alias and stage, and write on it who did so, when and why.

    The alias is overwritten in one call, so there is never no Production and never two. It is what
    counts: if this is interrupted before the stage follows, the next call brings the stage along.
    """
    champion = registry.production()
    if champion is None or champion.version != version.version:
        audit = {
            "promoted_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "promoted_by": by,
            "previous_version": champion.version if champion else "",
            "reason": reason,
        }
        for key, value in audit.items():
            client().set_model_version_tag(version.name, version.version, key, value)
    client().set_registered_model_alias(version.name, registry.ALIAS, version.version)
    _set_stage(version)
    if registry.registered_model().aliases.get(CHALLENGER) == version.version:
        client().delete_registered_model_alias(version.name, CHALLENGER)
    client().set_model_version_tag(version.name, version.version, VERDICT, "promoted")
    log.info("Production is %s version %s: %s", version.name, version.version, reason)


def _set_stage(version: ModelVersion) -> None:
    with warnings.catch_warnings():
        # MLflow calls stages deprecated since 2.9; its UI and people still speak of "Production"
        warnings.simplefilter("ignore", FutureWarning)
        client().transition_model_version_stage(
            version.name, version.version, registry.STAGE, archive_existing_versions=True
        )


def refuse(version: ModelVersion, reason: str) -> None:
    """Leave Production as it is; the version stays as the challenger, with the reason on it."""
    client().set_model_version_tag(version.name, version.version, "reason", reason)
    client().set_registered_model_alias(version.name, CHALLENGER, version.version)
    client().set_model_version_tag(version.name, version.version, VERDICT, "refused")
    log.info("%s version %s is not promoted: %s", version.name, version.version, reason)
