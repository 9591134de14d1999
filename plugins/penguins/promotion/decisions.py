"""Decisions about Production: promote, refuse, roll back."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection
from pydantic import Json, TypeAdapter

from penguins.errors import UserError
from penguins.locks import alone
from penguins.promotion import audit, production
from penguins.promotion.reasons import checked
from penguins.registry import model_versions
from penguins.training.tracking import client, parse

log = logging.getLogger(__name__)

# What the gate said about a version and by which numbers, as JSON.
GATE: Final = "gate"
SAID: Final = TypeAdapter[dict[str, Any]](Json[dict[str, Any]])
# Seconds that a person waits for another decision to end.
PATIENCE: Final = 5


def promote(
    connection: Connection[Any],
    version: ModelVersion,
    reason: str,
    by: str,
    numbers: Mapping[str, Any] | None = None,
    action: audit.Action = "promote",
) -> None:
    """Put a version in Production, in alias and stage, and write in the audit trail and on it who did so and why.

    The trail is written first, so that no move is without its entry. Then the alias is overwritten in one
    call, so there is never no Production and never two. It is what counts: if this is interrupted before
    the rest follows, whoever decides next completes it. Nothing happens if the version is in Production already.

    Args:
        numbers: what the version was judged by.

    Raises:
        UserError: a file that the gate or the service opens isn't there, or isn't the one that was recorded.
    """
    with alone(connection, production.lock_name()):
        before = production.reconcile(connection)
        if before is not None and before.version == version.version:
            return
        model_versions.files(model_versions.model_id(version), model_versions.recorded_digests(version))
        instead_of = before.version if before else None
        entry = audit.append(connection, action, instead_of, version, by, reason, numbers or {})
        production.tag(
            version,
            promoted_at=entry.at.isoformat(timespec="seconds"),
            promoted_by=entry.who,
            previous_version=instead_of or "",
            reason=entry.reason,
        )
        production.move(version)
    log.info("Production is %s version %s: %s", version.name, version.version, entry.reason)


def promote_by_hand(
    connection: Connection[Any], version: ModelVersion, reason: str, by: str, instead_of: str | None = None
) -> None:
    """Promote a version past the gate, as a person wants it.

    Args:
        instead_of: the version that the person believes to be in Production; empty for none, None for any.

    Raises:
        UserError: another version is in Production, this one is there already, its files can't be trusted, or
            another decision takes long; or the reason can't be kept.
    """
    reason = checked(reason)
    with alone(connection, production.lock_name(), PATIENCE):
        now = production.reconcile(connection)
        production.expect(now, instead_of)
        if now is not None and now.version == version.version:
            raise UserError(f"Version {version.version} is in Production already.")
        promote(connection, version, reason, by, numbers=_judged_by(version))


def refuse(
    connection: Connection[Any], version: ModelVersion, reason: str, by: str, numbers: Mapping[str, Any]
) -> None:
    """Leave Production as it is; the version stays as the challenger, with the reason on it and in the audit trail."""
    with alone(connection, production.lock_name()):
        now = production.reconcile(connection)
        entry = audit.append(connection, "refuse", now.version if now else None, version, by, reason, numbers)
        production.tag(version, reason=entry.reason)
        client().set_registered_model_alias(version.name, production.CHALLENGER, version.version)
        production.tag(version, **{production.VERDICT: "refused"})
    log.info("%s version %s is not promoted: %s", version.name, version.version, entry.reason)


def rollback(
    connection: Connection[Any], reason: str, by: str, instead_of: str | None = None, expected: str | None = None
) -> ModelVersion:
    """Put the version in Production that was there before; called again, the one before that.

    Args:
        instead_of: the version that the person believes to be in Production; empty for none, None for any.
        expected: the version that the person believes this goes back to, None for any.

    Returns:
        The version that is in Production now.

    Raises:
        UserError: another version is in Production or would be, there is none to go back to, its files can't be
            trusted, or another decision takes long.
    """
    reason = checked(reason)
    with alone(connection, production.lock_name(), PATIENCE):
        before = production.reconcile(connection)
        production.expect(before, instead_of)
        target = rollback_target(audit.trail(connection), before, model_versions.versions())
        now = f"version {before.version}" if before else "nothing"
        if target is None:
            raise UserError(
                f"Nothing to go back to: {now} is in Production, and no version that still exists was there before. "
                "Promote another one."
            )
        if expected is not None and target.version != expected:
            raise UserError(
                f"This would go back to version {target.version}, not to version {expected}: something was decided "
                "or deleted meanwhile. Look again."
            )
        promote(connection, target, f"rolled back from {now}: {reason}", by, action="rollback")
        return target


def rollback_target(
    trail: Sequence[audit.Entry], champion: ModelVersion | None, versions: Sequence[ModelVersion]
) -> ModelVersion | None:
    """The version that a rollback puts in Production, if any: the one before the champion.

    Where there is no champion, as when it was deleted, that is the last one that was.

    Args:
        trail: all of it, the latest first.
        versions: those that exist.
    """
    line = audit.line_of_succession(trail, champion, versions)
    before = line[-2:-1] if champion else line[-1:]
    return next((version for version in versions if [version.version] == before), None)


def _judged_by(version: ModelVersion) -> dict[str, Any]:
    said: dict[str, Any] | None = parse(SAID, version.tags.get(GATE))
    return said.get("numbers", {}) if said else {}
