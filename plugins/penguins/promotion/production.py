"""The version in Production. Only this module writes the alias and the stage."""

from typing import Any, Final

from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from penguins.errors import UserError
from penguins.promotion import audit
from penguins.registry import model_versions
from penguins.training.tracking import registry

CHALLENGER: Final = "challenger"
SHADOW: Final = "shadow"
# Tag with the decision about a judged version, for display.
VERDICT: Final = "verdict"


def lock_name(model: str) -> str:
    """Return the name of the lock that a decision about a registered model holds, from judging to the last write."""
    return f"production of {model}"


def check_champion(champion: ModelVersion | None, expected: str | None) -> None:
    """Check that the version in Production is still the one that a decision was based on.

    Args:
        expected: number of that version; empty for none, None for any.

    Raises:
        UserError: another version is in Production.
    """
    now = champion.version if champion else ""
    if expected is not None and now != expected:
        is_now, was = (f"version {each}" if each else "nothing" for each in (now, expected))
        raise UserError(f"Production has changed meanwhile: it is {is_now}, not {was}. Look again.")


def reconcile(connection: Connection[Any], model: str) -> ModelVersion | None:
    """Bring stage, tags and audit trail in line with the version of a model in Production, and return that version.

    They differ after an interrupted promotion, and after a change in MLflow's UI. Every decision calls this first,
    under the lock. Callers that only read use `model_versions.production`.
    """
    found = model_versions.production(model)
    if found is None:
        return None
    last = audit.last_move(audit.trail(connection, model))
    if last is None or not last.is_about(found):
        reason = "found in Production: it was put there otherwise, as in MLflow's UI, or a promotion was interrupted"
        before = last.to_version if last else None
        last = audit.append(connection, "found", before, found, "unknown", reason, {})
    if not (last.settled and found.current_stage == model_versions.STAGE and model_versions.ALIAS in found.aliases):
        move(connection, found, last)
    return found


def move(connection: Connection[Any], version: ModelVersion, entry: audit.Entry) -> None:
    """Put a version in Production: write the alias, then the stage, then that the decision is settled."""
    registry().set_registered_model_alias(version.name, model_versions.ALIAS, version.version)
    # MLflow deprecates stages since 2.9, but its UI and its users still use them.
    registry().transition_model_version_stage(
        version.name, version.version, model_versions.STAGE, archive_existing_versions=True
    )
    for alias in (CHALLENGER, SHADOW):  # judged against the previous champion
        registry().delete_registered_model_alias(version.name, alias)
    tag(version, **{VERDICT: "promoted"})
    audit.settle(connection, entry)


def tag(version: ModelVersion, **tags: str) -> None:
    """Write tags on a version."""
    for name, value in tags.items():
        registry().set_model_version_tag(version.name, version.version, name, value)
