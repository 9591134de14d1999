"""Fit the best candidate of a sample again, on all training rows."""

import hashlib
import json
import logging
from contextlib import nullcontext
from typing import Any

from psycopg import Connection

from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.training import candidate_records, candidate_runs, resuming, tracking
from penguins.training.candidate_records import Record
from penguins.training.candidate_runs import ESTIMATOR, REFIT_OF
from penguins.training.grid import Candidate
from penguins.training.search import Failed, Fitted, search
from penguins.training.tracking import SAMPLE

log = logging.getLogger(__name__)


def fit_on_all_rows(connection: Connection[Any], data: Dataset, best: Record) -> Record:
    """Log and record the best candidate of a sample as a run of its own, fitted on all training rows.

    Its `cv_*` metrics are those of the sample, its `holdout_*` metrics those of the new model on the whole hold-out. A
    second call returns the record of the first.

    Raises:
        UserError: its parent run was deleted, or it can't be fitted on so many rows.
    """
    parent = tracking.find_parent(data.contract.training.experiment, best.dag_run_id)
    if parent is None:
        raise UserError(f"{best.dag_run_id} has no parent run in MLflow. Clear grid_train to train again.")
    fingerprint = hashlib.sha256(f"{best.fingerprint} on all rows".encode()).hexdigest()[:16]
    if resuming.find_kept(parent, {fingerprint}, lambda: nullcontext(connection)):
        records = candidate_records.read(connection, best.experiment_id, best.dag_run_id)
        return next(record for record in records if record.fingerprint == fingerprint)
    log.info("%s was judged on a sample of %s rows; it is fitted on all", best.name, best.tags[SAMPLE])
    candidate = Candidate({name: json.loads(value) for name, value in best.params.items()}, best.tags[ESTIMATOR])
    (found,) = search(data, [candidate], [], jobs=1)
    if isinstance(found, Failed):
        raise UserError(f"{best.name} can't be fitted on all {len(data.train)} training rows: {found.reason}")
    judged = {name: value for name, value in best.metrics.items() if name.startswith("cv_")}
    record = candidate_runs.log_candidate(
        Fitted(candidate, found.model, judged | found.metrics),
        parent,
        data,
        fingerprint,
        {SAMPLE: best.tags[SAMPLE], REFIT_OF: best.run_id or ""},
    )
    candidate_records.append(connection, [record])
    return record
