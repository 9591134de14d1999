"""Decisions about Production: promote, refuse, roll back."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from penguins.errors import UserError
from penguins.locks import exclusive_lock
from penguins.promotion import audit, production, shadow, verdicts
from penguins.promotion.earlier_versions import earlier_versions, find_sound
from penguins.promotion.reasons import validate_reason
from penguins.registry import model_versions
from penguins.training.tracking import registry

log = logging.getLogger(__name__)

# Tag with the gate's verdict about a version and its numbers as JSON, for display.
GATE: Final = "gate"
# Longest wait of a person for another decision to end.
LOCK_TIMEOUT_SECONDS: Final = 5


@dataclass(frozen=True)
class RollbackReport:
    """The result of a rollback.

    Attributes:
        version: number of the version that is in Production again.
        passed_over: reasons against the versions between that can't be trusted, by their numbers.
    """

    version: str
    passed_over: Mapping[str, str]


def promote(
    connection: Connection[Any],
    version: ModelVersion,
    reason: str,
    by: str,
    numbers: Mapping[str, Any] | None = None,
    action: audit.Action = "promote",
) -> None:
    """Put a version in Production, by alias and stage, with person and reason in the audit trail and in its tags.

    The trail is written first, so that every move has its entry. One request then moves the alias, so that exactly
    one version is in Production at any time. The alias is decisive: after an interruption the next decision brings
    stage and tags in line. A version that is in Production already isn't changed. Another one in the shadow leaves it:
    it was judged against the version before.

    Args:
        numbers: the numbers that the version was judged by.

    Raises:
        UserError: a file that the gate or the service opens is missing or has another digest.
    """
    with exclusive_lock(connection, production.lock_name(version.name)):
        before = production.reconcile(connection, version.name)
        if before is not None and before.version == version.version:
            return
        model_versions.check_files(version)
        replaced = before.version if before else None
        entry = audit.append(connection, action, replaced, version, by, reason, numbers or {})
        production.tag(
            version,
            promoted_at=entry.at.isoformat(timespec="seconds"),
            promoted_by=entry.who,
            previous_version=replaced or "",
            reason=entry.reason,
        )
        production.move(connection, version, entry)
        shadow.end(connection, version.name, f"version {version.version} was put in Production meanwhile", by)
    log.info("Production is %s version %s: %s", version.name, version.version, entry.reason)


def promote_by_hand(
    connection: Connection[Any], version: ModelVersion, reason: str, by: str, expected_champion: str | None = None
) -> None:
    """Promote a version at a person's request, independent of the gate.

    Args:
        expected_champion: number of the version that the person saw in Production; empty for none, None for any.

    Raises:
        UserError: another version is in Production, this one is there already, its files are missing or have other
            digests, another decision takes too long, or the reason is invalid.
    """
    reason = validate_reason(reason)
    with exclusive_lock(connection, production.lock_name(version.name), LOCK_TIMEOUT_SECONDS):
        champion = production.reconcile(connection, version.name)
        production.check_champion(champion, expected_champion)
        if champion is not None and champion.version == version.version:
            raise UserError(f"Version {version.version} is in Production already.")
        verdict = verdicts.find(connection, version)
        promote(connection, version, reason, by, numbers=verdict.numbers if verdict else {})


def refuse(
    connection: Connection[Any], version: ModelVersion, reason: str, by: str, numbers: Mapping[str, Any]
) -> None:
    """Keep the version in Production, make this one the challenger, and store the reason in tags and audit trail."""
    with exclusive_lock(connection, production.lock_name(version.name)):
        champion = production.reconcile(connection, version.name)
        entry = audit.append(connection, "refuse", champion.version if champion else None, version, by, reason, numbers)
        production.tag(version, reason=entry.reason)
        if (waiting := audit.in_shadow(audit.trail(connection, version.name))) and waiting.is_about(version):
            shadow.leave(version)
        registry().set_registered_model_alias(version.name, production.CHALLENGER, version.version)
        production.tag(version, **{production.VERDICT: "refused"})
        audit.settle(connection, entry)
    log.info("%s version %s is not promoted: %s", version.name, version.version, entry.reason)


def rollback(
    connection: Connection[Any],
    model: str,
    reason: str,
    by: str,
    expected_champion: str | None = None,
    expected_target: str | None = None,
) -> RollbackReport:
    """Put the previous version of a registered model in Production again; a second call goes back one version further.

    Versions that were deleted, or whose files aren't the recorded ones, are passed over.

    Args:
        expected_champion: number of the version that the person saw in Production; empty for none, None for any.
        expected_target: number of the version that the person expects to go back to, None for any.

    Raises:
        UserError: the champion or the target is another version, there is no target, another decision takes too long,
            or the reason is invalid.
    """
    reason = validate_reason(reason)
    with exclusive_lock(connection, production.lock_name(model), LOCK_TIMEOUT_SECONDS):
        before = production.reconcile(connection, model)
        production.check_champion(before, expected_champion)
        versions = model_versions.versions(model)
        target, passed_over = find_sound(earlier_versions(audit.trail(connection, model), before, versions))
        now = f"version {before.version}" if before else "nothing"
        if target is None:
            raise UserError(_nothing_to_go_back_to(now, passed_over))
        if expected_target is not None and target.version != expected_target:
            raise UserError(
                f"This would go back to version {target.version}, not to version {expected_target}: "
                "something was decided or deleted meanwhile. Look again."
            )
        past = f", past {', '.join(passed_over)} (not trusted)" if passed_over else ""
        promote(connection, target, f"rolled back from {now}{past}: {reason}", by, action="rollback")
        return RollbackReport(target.version, passed_over)


def _nothing_to_go_back_to(now: str, passed_over: Mapping[str, str]) -> str:
    if not passed_over:
        why = "no version that still exists was there before. Promote another one."
    else:
        reasons = " ".join(f"Version {number}: {reason}" for number, reason in passed_over.items())
        why = f"no version that was there before can be trusted. {reasons}"
    return f"Nothing to go back to: {now} is in Production, and {why}"
