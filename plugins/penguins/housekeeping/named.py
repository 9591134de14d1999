"""Names in versions and the audit trail: runs and models that stay, however old they are.

The prediction log, verdicts, open questions and the shadow name versions, and every version stays whole.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from penguins.promotion import audit
from penguins.training.tracking import DAG_RUN, client

_PAGE: Final = 1000
_ID: Final = re.compile(r"m-[0-9a-f]{32}|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")

_DECIDED: Final = """
    SELECT DISTINCT model, to_version, version_created_at, dag_run_id FROM audit.promotions WHERE dag_run_id <> ''"""
_RUNS: Final = "SELECT run_id FROM audit.candidates WHERE model_id = ANY(%s) AND run_id IS NOT NULL"


@dataclass(frozen=True)
class Named:
    """Ids of what is named.

    Attributes:
        ids: of runs and logged models.
        decided: DAG runs that the audit trail names: their parent runs stay.
        whole: those of them whose version was deleted: nobody knows which candidate it was, so all of them stay.
    """

    ids: frozenset[str]
    decided: frozenset[str]
    whole: frozenset[str]


def read(connection: Connection[Any]) -> Named:
    """Return what is named now, by versions of all registered models."""
    versions = list(_versions())
    ids = {id for version in versions for id in _ID.findall(f"{version.run_id} {version.source}")}
    # A version that was registered by hand may have no run.
    ids |= {run_id for (run_id,) in connection.execute(_RUNS, [sorted(ids)])}
    existing = {(version.name, version.version): audit.created_at(version) for version in versions}
    decided, whole = {version.tags.get(DAG_RUN, "") for version in versions}, set()
    for model, number, created_at, dag_run_id in connection.execute(_DECIDED):
        decided.add(dag_run_id)
        at = existing.get((model, number))
        if at is None or created_at not in (None, at):
            whole.add(dag_run_id)
    return Named(frozenset(ids), frozenset(decided), frozenset(whole))


def _versions() -> Iterable[ModelVersion]:
    token = None
    while True:
        page = client().search_model_versions(max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
