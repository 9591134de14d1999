"""grid_train: fit, judge and record every candidate of the grid."""

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final

from mlflow.entities import Run

from penguins import recording, tracking
from penguins.dataset import Dataset
from penguins.grid import Candidate, Grid, candidates
from penguins.search import Fitted, search
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


def grid_train(data: Dataset, grid: Grid, cv_folds: int, dag_run_id: str) -> TrainReport:
    """Train the grid and leave one finished run for each candidate under the parent run of `dag_run_id`.

    Called again for the same DAG run it keeps the candidates that are finished and made from the
    same data, parameters and split, discards the others, and fits only what is missing.

    Args:
        cv_folds: folds of the cross-validation in the training part; 0 to judge on the hold-out only.

    Raises:
        UserError: the grid or the number of folds can't be used.
    """
    wanted = {_fingerprint(candidate, data, cv_folds): candidate for candidate in candidates(grid)}
    folds = data.folds(cv_folds) if cv_folds else []
    params = {"grid": dict(grid), "cv_folds": cv_folds, "seed": data.seed, "holdout_rows": len(data.holdout)}
    parent = tracking.open_parent(dag_run_id, params, data)
    kept = _keep(dag_run_id, wanted)
    missing = {fingerprint: candidate for fingerprint, candidate in wanted.items() if fingerprint not in kept}
    log.info("%d candidates to fit on %d rows, %d kept", len(missing), len(data.train), len(kept))
    if missing:
        _fit_and_record(data, missing, folds, parent)
    tracking.client().set_terminated(parent.info.run_id)
    return TrainReport(parent.info.run_id, fitted=len(missing), kept=len(kept))


def _keep(dag_run_id: str, wanted: dict[str, Candidate]) -> set[str]:
    """Fingerprints of the wanted candidates that an earlier try finished; what else it left is discarded."""
    kept: set[str] = set()
    stale = []
    for run in tracking.find_candidates(dag_run_id):
        fingerprint = run.data.tags.get(recording.FINGERPRINT, "")
        if run.info.status == "FINISHED" and fingerprint in wanted and fingerprint not in kept:
            kept.add(fingerprint)
        else:
            stale.append(run)
    recording.discard(stale)
    return kept


def _fit_and_record(data: Dataset, missing: dict[str, Candidate], folds: Sequence[Any], parent: Run) -> None:
    """Fit in processes and record in threads, at the same time."""
    fingerprints = {candidate.name: fingerprint for fingerprint, candidate in missing.items()}
    started, done = time.monotonic(), 0
    with ThreadPoolExecutor(RECORDERS, thread_name_prefix="record") as pool:
        under_way: dict[Future[None], Fitted] = {}

        def settle(until: int) -> None:
            nonlocal done
            while len(under_way) > until:
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    fitted = under_way.pop(future)
                    future.result()
                    done += 1
                    _tell(fitted, done, len(missing), time.monotonic() - started)

        for fitted in search(data, list(missing.values()), folds, settings().jobs):
            future = pool.submit(recording.record, fitted, parent, data, fingerprints[fitted.candidate.name])
            under_way[future] = fitted
            settle(until=2 * RECORDERS)  # holds back the fitting rather than pile up models
        settle(until=0)


def _tell(fitted: Fitted, done: int, total: int, seconds: float) -> None:
    judged = "  ".join(
        f"{name} {fitted.metrics[name]:.4f}"
        for name in ("cv_accuracy_mean", "holdout_accuracy")
        if name in fitted.metrics
    )
    log.info("%2d/%d  %5.1f s  %s  %s", done, total, seconds, judged, fitted.candidate.name)


def _fingerprint(candidate: Candidate, data: Dataset, cv_folds: int) -> str:
    parts = [candidate.name, data.digest, data.seed, len(data.holdout), cv_folds]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
