"""The audit trail of decisions about Production: append-only, see init-db/04-audit.sql."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from penguins.promotion.lineage import recorded_tags
from penguins.promotion.reasons import to_plain_text
from penguins.training.tracking import DAG_RUN, DATA_DIGEST, GIT_COMMIT, source_of

Action = Literal["promote", "refuse", "rollback", "found", "overtaken", "sign", "shadow"]
# Actions that put a version in Production.
MOVES: Final = ("promote", "rollback", "found")
_UNDECIDED: Final = ("overtaken", "shadow")

_GIVEN: Final = (
    "who, action, from_version, to_version, reason, numbers, dag_run_id, data_digest, git_commit, "
    "version_created_at, source"
)
_COLUMNS: Final = f"id, at, {_GIVEN}, EXISTS (SELECT FROM audit.settled WHERE promotion = promotions.id) AS settled"


@dataclass(frozen=True)
class Entry:
    """A decision. init-db/04-audit.sql explains the columns.

    Attributes:
        settled: whether it was carried out to the end.
    """

    id: int
    at: datetime
    who: str
    action: Action
    from_version: str | None
    to_version: str
    reason: str
    numbers: dict[str, Any]
    dag_run_id: str | None
    data_digest: str | None
    git_commit: str | None
    version_created_at: datetime | None
    source: dict[str, Any] | None
    settled: bool

    def is_about(self, version: ModelVersion) -> bool:
        """Tell whether this decision is about that version, and not about one of the same number in a deleted model."""
        return self.to_version == version.version and self.version_created_at in (None, created_at(version))


def append(
    connection: Connection[Any],
    action: Action,
    champion: str | None,
    version: ModelVersion,
    who: str,
    reason: str,
    numbers: Mapping[str, Any],
) -> Entry:
    """Add a decision about `version`, made while `champion` was in Production.

    Returns:
        The stored decision, with `who` and `reason` as plain text.
    """
    tags = recorded_tags(connection, version)
    values: list[Any] = [
        to_plain_text(who),
        action,
        champion,
        version.version,
        to_plain_text(reason),
        Jsonb(dict(numbers)),
    ]
    values += [tags.get(name) for name in (DAG_RUN, DATA_DIGEST, GIT_COMMIT)]
    source = source_of(tags)
    values += [created_at(version), Jsonb(source.model_dump()) if source else None]
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        cursor.execute(
            f"""INSERT INTO audit.promotions (model, {_GIVEN})
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING {_COLUMNS}""",  # noqa: S608 (constants)
            [version.name, *values],
        )
        (entry,) = cursor.fetchall()
    return entry


def settle(connection: Connection[Any], entry: Entry) -> None:
    """Note that a decision was carried out to the end: it is final."""
    connection.execute("INSERT INTO audit.settled (promotion) VALUES (%s) ON CONFLICT DO NOTHING", [entry.id])


def final_decision(entries: Iterable[Entry], version: ModelVersion) -> Entry | None:
    """Return the last decision about a version that was carried out to the end, if any.

    Args:
        entries: as `trail` returns them, the latest first.
    """
    final = (entry for entry in entries if entry.settled and entry.action not in _UNDECIDED and entry.is_about(version))
    return next(final, None)


def in_shadow(entries: Sequence[Entry]) -> Entry | None:
    """Return the last entry that has put a version in the shadow, unless that version was decided on since then.

    Args:
        entries: as `trail` returns them, the latest first.
    """
    place = next((place for place, each in enumerate(entries) if each.settled and each.action == "shadow"), None)
    if place is None:
        return None
    found = entries[place]
    about = (found.to_version, found.version_created_at)
    later = [each for each in entries[:place] if (each.to_version, each.version_created_at) == about]
    return None if any(each.settled and each.action not in _UNDECIDED for each in later) else found


def trail(connection: Connection[Any], model: str, limit: int | None = None) -> list[Entry]:
    """Return the decisions about a registered model, the latest first."""
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM audit.promotions WHERE model = %s ORDER BY id DESC LIMIT %s",  # noqa: S608
            [model, limit],
        )
        return cursor.fetchall()


def last_move(entries: Iterable[Entry]) -> Entry | None:
    """Return the last decision that put a version in Production, if any. Another program may have moved it since.

    Args:
        entries: as `trail` returns them, the latest first.
    """
    return next((entry for entry in entries if entry.action in MOVES), None)


def rollback_line(
    entries: Iterable[Entry], champion: ModelVersion | None, versions: Iterable[ModelVersion]
) -> list[str]:
    """List the versions that rollbacks go back through, the champion last if there is one.

    A promotion appends a version, and a rollback removes the last one. A move outside of the pipeline counts as a
    rollback if it went back to the version before, else as a promotion. A champion that isn't in the trail counts as
    moved outside of the pipeline.

    Args:
        entries: as `trail` returns them, the latest first.
        versions: the existing versions; others are skipped.
    """
    existing = {version.version: version for version in versions}
    steps = [
        (entry.action, entry.to_version)
        for entry in reversed(list(entries))
        if entry.action in MOVES and entry.to_version in existing and entry.is_about(existing[entry.to_version])
    ]
    if champion is not None:
        steps.append(("found", champion.version))
    line: list[str] = []
    for action, number in steps:
        if action == "rollback" or (action == "found" and line[-2:-1] == [number]):
            while line and line[-1] != number:
                line.pop()
        if line[-1:] != [number]:
            line.append(number)
    return line


def created_at(version: ModelVersion) -> datetime:
    """Return the time a version was registered, which tells it from one of its number in a deleted model."""
    return datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
