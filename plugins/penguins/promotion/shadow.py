"""The version in the shadow: it has passed the gate, and answers real traffic before it is judged again.

Which version that is says the audit trail, and not the alias: everyone who reaches MLflow may set that.
"""

from collections.abc import Mapping
from typing import Any, Final

from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from penguins.locks import exclusive_lock
from penguins.promotion import audit, production
from penguins.registry import model_versions
from penguins.training.tracking import registry

ASK: Final = "ask"
"""Key of an entry's numbers: whether a person decides at the end."""

TRAFFIC: Final = "shadow"
"""Key of a verdict's numbers with those of real traffic."""


def current(connection: Connection[Any], model: str) -> tuple[audit.Entry, ModelVersion] | None:
    """Return the version in the shadow and the entry that has put it there; None if there is none any more."""
    entry = audit.in_shadow(audit.trail(connection, model))
    if entry is None:
        return None
    found = (version for version in model_versions.versions(model) if entry.is_about(version))
    return next(((entry, version) for version in found), None)


def begin(
    connection: Connection[Any], version: ModelVersion, reason: str, by: str, numbers: Mapping[str, Any], ask: bool
) -> None:
    """Put a version in the shadow of Production, in place of the one before.

    Args:
        ask: whether a person decides at the end.
    """
    with exclusive_lock(connection, production.lock_name(version.name)):
        champion = production.reconcile(connection, version.name)
        end(connection, version.name, f"version {version.version} took its place in the shadow", by)
        now = champion.version if champion else None
        entry = audit.append(connection, "shadow", now, version, by, reason, {**numbers, ASK: ask})
        production.tag(version, reason=entry.reason)
        registry().set_registered_model_alias(version.name, production.SHADOW, version.version)
        production.tag(version, **{production.VERDICT: "shadowing"})
        audit.settle(connection, entry)


def end(connection: Connection[Any], model: str, reason: str, by: str) -> None:
    """Take the version in the shadow out of it, if there is one, without a judgement of real traffic."""
    with exclusive_lock(connection, production.lock_name(model)):
        if (found := current(connection, model)) is None:
            return
        entry, version = found
        champion = production.reconcile(connection, model)
        now = champion.version if champion else None
        ended = audit.append(connection, "refuse", now, version, by, reason, entry.numbers)
        production.tag(version, reason=ended.reason)
        leave(version)
        production.tag(version, **{production.VERDICT: "refused"})
        audit.settle(connection, ended)


def leave(version: ModelVersion) -> None:
    """Take the alias from the version in the shadow: the service forgets it."""
    registry().delete_registered_model_alias(version.name, production.SHADOW)


def table(found: Mapping[str, Any], champion: str, challenger: str) -> str:
    """Format the numbers of real traffic as a Markdown table, aligned for reading as text."""
    answers: Mapping[str, Mapping[str, int]] = found["answers"]
    names = dict.fromkeys([*answers, *(name for row in answers.values() for name in row)])
    lines = [("real traffic", f"version {champion}", f"version {challenger}")]
    for name in names:
        ours = sum(row.get(name, 0) for row in answers.values())
        lines.append((f"answered {name}".replace("|", "\\|"), f"{sum(answers.get(name, {}).values()):,}", f"{ours:,}"))
    if found["labelled"]:
        lines.append((f"right, of {found['labelled']:,} known", f"{found['champion_right']:,}", f"{found['right']:,}"))
        lines.append(("right where the other is wrong", f"{found['lost']:,}", f"{found['gained']:,}"))
        lines.append(("p, valid at any time", "", f"{found['p']:.3g}"))
    lines += [("the same class", "", f"{found['agreed']:,}"), ("rows", "", f"{found['rows']:,}")]
    texts = [f"| {name:<32} | {before:>13} | {after:>13} |" for name, before, after in lines]
    return "\n".join([texts[0], f"|:{'-' * 33}|{'-' * 14}:|{'-' * 14}:|", *texts[1:]])
