"""grid_train: fit, judge and record every candidate of the grid."""

import hashlib
import itertools
import json
import logging
import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Final

from mlflow.entities import Run

from penguins import recording, tracking
from penguins.dataset import Dataset, Fold
from penguins.grid import Candidate, Grid, candidates
from penguins.search import Fitted, cells, search
from penguins.settings import settings

log = logging.getLogger(__name__)

# Recording a candidate is a dozen requests. Two at a time keep client and server busy; more
# don't help, for both are bound by their processor.
RECORDERS: Final = 2


@dataclass(frozen=True)
class TrainReport:
    """What grid_train did: the parent run, candidates fitted now, and those kept from an earlier try."""

    parent_run_id: str
    fitted: int
    kept: int


def open_run(data: Dataset, grid: Grid, cv_folds: int, dag_run_id: str) -> Run:
    """The parent run that the candidates of `dag_run_id` belong to; it is to be opened by one caller at a time.

    Candidates that an earlier try made of other data or with other parameters are discarded.

    Raises:
        UserError: the grid or the number of folds can't be used.
    """
    wanted = {_fingerprint(candidate, data, cv_folds) for candidate in candidates(grid)}
    data.folds(cv_folds)
    params = {"grid": dict(grid), "cv_folds": cv_folds, "seed": data.seed, "holdout_share": data.holdout_share}
    parent = tracking.open_parent(dag_run_id, params, data)
    recording.discard([run for run in tracking.find_candidates(dag_run_id) if _fingerprint_of(run) not in wanted])
    return parent


def grid_train(data: Dataset, grid: Grid, cv_folds: int, parent: Run, shard: int = 0, shards: int = 1) -> TrainReport:
    """Train a shard of the grid and leave one finished run for each of its candidates under `parent`.

    Called again it keeps the candidates that are finished, discards what was left half-done, and
    fits only what is missing. Different shards may be trained at the same time, anywhere.

    Args:
        cv_folds: folds of the cross-validation in the training part; 0 to judge on the hold-out only.
        shard: which of the `shards` parts of the grid, from 0.

    Raises:
        UserError: the grid or the number of folds can't be used.
    """
    mine = [candidate for cell in cells(candidates(grid))[shard::shards] for candidate in cell]
    wanted = {_fingerprint(candidate, data, cv_folds): candidate for candidate in mine}
    kept = _keep(parent, wanted)
    missing = {fingerprint: candidate for fingerprint, candidate in wanted.items() if fingerprint not in kept}
    log.info("%d candidates to fit on %d rows, %d kept", len(missing), len(data.train), len(kept))
    try:
        if missing:
            _fit_and_record(data, missing, data.folds(cv_folds), parent)
    except BaseException:
        tracking.client().set_terminated(parent.info.run_id, "FAILED")
        raise
    tracking.client().set_terminated(parent.info.run_id)
    return TrainReport(parent.info.run_id, fitted=len(missing), kept=len(kept))


def _keep(parent: Run, wanted: Collection[str]) -> set[str]:
    """Fingerprints of the wanted candidates that an earlier try finished; those it didn't are discarded."""
    kept: set[str] = set()
    half_done = []
    for run in tracking.find_candidates(parent.data.tags[tracking.DAG_RUN]):
        if (fingerprint := _fingerprint_of(run)) not in wanted:
            continue
        if run.info.status == "FINISHED" and fingerprint not in kept:
            kept.add(fingerprint)
        else:
            half_done.append(run)
    recording.discard(half_done)
    return kept


def _fit_and_record(data: Dataset, missing: dict[str, Candidate], folds: Sequence[Fold], parent: Run) -> None:
    """Fit in processes and record in threads, at the same time; the first that can't be recorded ends it."""
    fingerprints = {candidate.name: fingerprint for fingerprint, candidate in missing.items()}
    started, done = time.monotonic(), itertools.count(1)

    def record(fitted: Fitted) -> None:
        recording.record(fitted, parent, data, fingerprints[fitted.candidate.name])
        _tell(fitted, next(done), len(missing), time.monotonic() - started)

    pool = ThreadPoolExecutor(RECORDERS, thread_name_prefix="record")
    under_way: set[Future[None]] = set()
    try:
        for fitted in search(data, list(missing.values()), folds, settings().jobs):
            under_way.add(pool.submit(record, fitted))
            finished = {future for future in under_way if future.done()}
            under_way -= finished
            for future in finished:
                future.result()
        for future in as_completed(under_way):
            future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _tell(fitted: Fitted, done: int, total: int, seconds: float) -> None:
    judged = "  ".join(
        f"{name} {fitted.metrics[name]:.4f}"
        for name in ("cv_accuracy_mean", "holdout_accuracy")
        if name in fitted.metrics
    )
    log.info("%2d/%d  %5.1f s  %s  %s", done, total, seconds, judged, fitted.candidate.name)


def _fingerprint_of(run: Run) -> str:
    return str(run.data.tags.get(recording.FINGERPRINT, ""))


def _fingerprint(candidate: Candidate, data: Dataset, cv_folds: int) -> str:
    parts = [candidate.name, data.digest, data.seed, data.holdout_share, cv_folds]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
