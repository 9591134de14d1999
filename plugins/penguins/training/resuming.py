"""Candidates of earlier tries: find those that can be kept, and discard the others."""

import hashlib
import json
from collections.abc import Collection

from mlflow.entities import Run

from penguins import signing
from penguins.data.dataset import Dataset
from penguins.settings import settings
from penguins.training import candidate_records, candidate_runs, tracking
from penguins.training.candidate_records import Connect
from penguins.training.grid import Candidate
from penguins.training.sampling import Sample


def fingerprint(candidate: Candidate, data: Dataset, cv_folds: int) -> str:
    """Return a hash of everything that a candidate's result depends on, and of the key that signs it."""
    split = [data.digest, data.seed, data.holdout_share, cv_folds]
    if isinstance(data, Sample):
        split.append(len(data.train))
    parts = [settings().git_commit, signing.signer(), candidate.estimator, candidate.name, *split]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def discard_others(parent: Run, expected: Collection[str], connect: Connect | None) -> None:
    """Discard the candidates of a DAG run that have other fingerprints: of other data, parameters or code."""
    candidate_runs.discard([run for run in tracking.find_candidates(parent) if _of(run) not in expected])
    if connect is not None:
        with connect() as connection:
            dag_run_id = parent.data.tags[tracking.DAG_RUN]
            candidate_records.discard_others(connection, parent.info.experiment_id, dag_run_id, expected)


def find_kept(parent: Run, expected: Collection[str], connect: Connect | None) -> set[str]:
    """Find the candidates that an earlier try finished, by fingerprint, and discard its incomplete ones.

    With a database, those without a record are incomplete as well.
    """
    kept: set[str] = set()
    half_done = []
    recorded = None if connect is None else _recorded(parent, connect)
    for run in tracking.find_candidates(parent):
        if (found := _of(run)) not in expected:
            continue
        complete = run.info.status == "FINISHED" and (recorded is None or (found, run.info.run_id) in recorded)
        if complete and found not in kept:
            kept.add(found)
        else:
            half_done.append(run)
    candidate_runs.discard(half_done)
    return kept


def _recorded(parent: Run, connect: Connect) -> set[tuple[str, str | None]]:
    with connect() as connection:
        records = candidate_records.read(connection, parent.info.experiment_id, parent.data.tags[tracking.DAG_RUN])
    return {(record.fingerprint, record.run_id) for record in records if record.outcome == "finished"}


def _of(run: Run) -> str:
    return str(run.data.tags.get(candidate_runs.FINGERPRINT, ""))
