"""grid_train: fit, score and log every candidate of the grid."""

import itertools
import logging
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Final

from mlflow.entities import Run

from penguins.data.dataset import Dataset, Fold
from penguins.errors import UserError
from penguins.settings import settings
from penguins.training import candidate_records, candidate_runs, progress, resuming, tracking
from penguins.training.candidate_records import Connect, Record
from penguins.training.estimators import ESTIMATORS, FOREST, Grid, choose
from penguins.training.grid import Candidate, candidates
from penguins.training.sampling import SAMPLE_ROWS, judged_rows
from penguins.training.search import Failed, Fitted, cells, search

log = logging.getLogger(__name__)

# Logging a candidate takes three requests. Four threads keep client and server busy; more don't help, because both are
# limited by their processor.
LOGGING_THREADS: Final = 4


@dataclass(frozen=True)
class TrainReport:
    """The result of grid_train.

    Attributes:
        fitted: candidates fitted and logged by this call.
        kept: candidates that an earlier try had finished.
        failed: candidates that couldn't be fitted; their runs have the reason.
        left_out: candidates that the time budget left out.
    """

    parent_run_id: str
    fitted: int
    kept: int
    failed: int = 0
    left_out: int = 0


def open_run(
    data: Dataset,
    grid: Grid | None,
    cv_folds: int,
    dag_run_id: str,
    estimator: str = FOREST,
    connect: Connect | None = None,
    sample_rows: int = SAMPLE_ROWS,
) -> Run:
    """Open the parent run of the candidates of `dag_run_id`. One caller at a time may do so.

    Candidates of an earlier try with other data or other parameters are discarded.

    Args:
        grid: None for the estimator's default grid.
        estimator: name of an estimator, or `auto`.
        connect: as for `grid_train`.
        sample_rows: as for `grid_train`.

    Raises:
        UserError: the estimator, the grid or the number of folds can't be used.
    """
    estimator = choose(estimator, len(data.labels))
    found = candidates(grid, estimator)
    judged = judged_rows(data, grid, sample_rows)
    expected = {resuming.fingerprint(candidate, judged, cv_folds) for candidate in found}
    judged.folds(cv_folds)
    params = {
        "estimator": estimator,
        "grid": dict(ESTIMATORS[estimator].grid if grid is None else grid),
        "cv_folds": cv_folds,
        "seed": data.seed,
        "holdout_share": data.holdout_share,
        **({tracking.SAMPLE: len(judged.train)} if judged is not data else {}),
    }
    parent = tracking.open_parent(dag_run_id, params, data)
    resuming.discard_others(parent, expected, connect)
    log.info("the parent run is open, for %d rows", len(data.labels))
    return parent


def grid_train(
    data: Dataset,
    grid: Grid | None,
    cv_folds: int,
    parent: Run,
    shard: int = 0,
    shards: int = 1,
    estimator: str = FOREST,
    time_budget: float = math.inf,
    connect: Connect | None = None,
    sample_rows: int = SAMPLE_ROWS,
) -> TrainReport:
    """Train a shard of the grid and log one finished run for each of its candidates under `parent`.

    A second call keeps the finished candidates, discards incomplete ones, and fits the missing ones. Different shards
    may be trained at the same time, on different machines. A candidate that can't be fitted becomes a failed run with
    the reason, and the others go on.

    Args:
        grid: None for the estimator's default grid.
        cv_folds: folds of the cross-validation in the training part; 0 to score on the hold-out only.
        shard: index of the part of the grid, from 0.
        shards: number of parts of the grid.
        estimator: name of an estimator, or `auto`.
        time_budget: seconds after which no fit is started.
        connect: opens the pipeline's database, to record the candidates. Without a record, `register_best` doesn't know
            a candidate.
        sample_rows: training rows that candidates are fitted and judged on, at most. `register_best` fits the best
            again on all. A grid with `max_samples` has a sample of its own for each tree, and gets all rows.

    Raises:
        UserError: the estimator, the grid or the number of folds can't be used, or no candidate is done.
    """
    estimator = choose(estimator, len(data.labels))
    whole, data = len(data.train), judged_rows(data, grid, sample_rows)
    mine = [candidate for cell in cells(candidates(grid, estimator))[shard::shards] for candidate in cell]
    expected = {resuming.fingerprint(candidate, data, cv_folds): candidate for candidate in mine}
    kept = resuming.find_kept(parent, expected, connect)
    missing = {fingerprint: candidate for fingerprint, candidate in expected.items() if fingerprint not in kept}
    log.info("%d candidates to fit on %d of %d rows, %d kept", len(missing), len(data.train), whole, len(kept))
    try:
        found = _fit_and_log(data, missing, data.folds(cv_folds), parent, time_budget, connect) if missing else []
        failed = [record.tags[candidate_runs.REASON] for record in found if record.outcome == "failed"]
        left_out = len(missing) - len(found)
        if mine and len(kept) + len(found) == len(failed):
            raise UserError(progress.nothing_done(failed, left_out, time_budget))
    except BaseException:
        tracking.client().set_terminated(parent.info.run_id, "FAILED")
        raise
    if left_out:
        log.warning("left out for the time budget of %.0f s: %d of %d candidates", time_budget, left_out, len(mine))
    if connect is not None:
        for record in found:
            missing.pop(record.fingerprint)
        with connect() as connection:
            candidate_records.append(
                connection,
                [candidate_runs.describe(each, parent, data, name, "left out") for name, each in missing.items()],
            )
    tracking.set_left_out(parent, shard, left_out)
    tracking.client().set_terminated(parent.info.run_id)
    return TrainReport(parent.info.run_id, len(found) - len(failed), len(kept), len(failed), left_out)


def _fit_and_log(
    data: Dataset,
    missing: Mapping[str, Candidate],
    folds: Sequence[Fold],
    parent: Run,
    seconds: float,
    connect: Connect | None,
) -> list[Record]:
    """Fit in processes and log in threads, at the same time. The first error in logging ends both."""
    fingerprints = {candidate.name: fingerprint for fingerprint, candidate in missing.items()}
    started, done = time.monotonic(), itertools.count(1)

    def log_result(found: Fitted | Failed) -> Record:
        fingerprint = fingerprints[found.candidate.name]
        if isinstance(found, Failed):
            record = candidate_runs.log_failed_candidate(found, parent, data, fingerprint)
        else:
            record = candidate_runs.log_candidate(found, parent, data, fingerprint)
        if connect is not None:
            with connect() as connection:
                candidate_records.append(connection, [record])
        progress.log_result(found, next(done), len(missing), time.monotonic() - started)
        return record

    pool = ThreadPoolExecutor(LOGGING_THREADS, thread_name_prefix="log")
    under_way: set[Future[Record]] = set()
    records: list[Record] = []
    try:
        for found in search(data, list(missing.values()), folds, settings().jobs, seconds):
            under_way.add(pool.submit(log_result, found))
            finished = {future for future in under_way if future.done()}
            under_way -= finished
            records += [future.result() for future in finished]
        log.info("the last fit was done after %.1f s", time.monotonic() - started)
        records += [future.result() for future in as_completed(under_way)]
    finally:
        pool.shutdown(cancel_futures=True)
    return records
