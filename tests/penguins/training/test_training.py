import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import psutil
import psycopg
import pytest
from mlflow.entities import Run
from psycopg import Connection

from local.environment import BUCKET
from local.stack import Stack
from local.waiting import until
from penguins.data.dataset import Dataset, read_processed, split
from penguins.errors import UserError
from penguins.promotion.registration import register_best
from penguins.settings import settings
from penguins.training import candidate_records, candidate_runs, tracking
from penguins.training.candidate_records import Connect
from penguins.training.estimators import Grid
from penguins.training.tracking import client
from penguins.training.training import LOGGING_THREADS, TrainReport, grid_train, open_run
from tests.keys import OTHER_PRIVATE, OTHER_PUBLIC
from tests.penguins import ours
from tests.penguins.conftest import GRID, TOO_MANY_TREES, pointed_at, real_penguins

pytestmark = pytest.mark.usefixtures("mlflow")

RUN = "manual__2026-01-01T00:00:00+00:00"
# A fit and three requests a candidate are what costs time here, so most tests train the first fifth of the grid.
FIFTH = 5


@pytest.fixture
def report(mlflow: None, data: Dataset) -> TrainReport:  # noqa: ARG001
    """The result of one call that trained four candidates."""
    return train(data, shards=FIFTH)


@contextmanager
def in_experiment(stack: Stack, name: str) -> Iterator[Dataset]:
    """Open an experiment for several tests, and yield the real penguins."""
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        pointed_at(stack, monkeypatch, name, "unused"),
        psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as connection,
    ):
        yield real_penguins(connection)


@pytest.fixture(scope="module")
def trained(stack: Stack) -> tuple[TrainReport, Dataset]:
    """The result of one call, for the tests that only read."""
    with in_experiment(stack, "looked_at") as data:
        return train(data), data


@pytest.fixture
def looked_at(
    stack: Stack, trained: tuple[TrainReport, Dataset], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[TrainReport, Dataset]]:
    with pointed_at(stack, monkeypatch, "looked_at", "unused"):
        yield trained


def train(
    data: Dataset, grid: Grid = GRID, shard: int = 0, shards: int = 1, connect: Connect | None = None
) -> TrainReport:
    parent = open_run(data, grid, 3, RUN, connect=connect)
    return grid_train(data, grid, 3, parent, shard, shards, connect=connect)


def objects(stack: Stack, prefix: str) -> set[str]:
    s3 = boto3.client(
        "s3",
        endpoint_url=stack.urls["s3"],
        aws_access_key_id=stack.config.credentials.s3_access_key,
        aws_secret_access_key=stack.config.credentials.s3_secret_key,
        region_name="us-east-1",
    )
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return {item["Key"].removeprefix(prefix) for page in pages for item in page.get("Contents", [])}


def test_every_candidate_is_a_finished_run_with_params_metrics_dataset_and_model(
    stack: Stack, looked_at: tuple[TrainReport, Dataset]
) -> None:
    report, data = looked_at
    assert (report.fitted, report.kept) == (20, 0)
    runs = ours.find_candidates(RUN)
    assert len(runs) == 20
    for run in runs:
        assert run.info.status == "FINISHED"
        assert set(run.data.params) == {"n_estimators", "max_depth"}
        assert {"cv_accuracy_mean", "cv_accuracy_std", "holdout_accuracy", "holdout_f1_macro"} <= set(run.data.metrics)
        assert {"holdout_log_loss", "fit_seconds"} <= set(run.data.metrics)
        assert run.data.tags["mlflow.parentRunId"] == report.parent_run_id
        assert run.data.tags["data_digest"] == data.digest
        (used,) = run.inputs.dataset_inputs
        assert (used.dataset.name, json.loads(used.dataset.profile)["num_rows"]) == ("penguins_processed", 342)
        model = client().get_logged_model(candidate_runs.model_id(run))
        assert model.status == "READY"
        prefix = model.artifact_location.removeprefix("mlflow-artifacts:/") + "/"
        assert {"MLmodel", "model.pkl", "requirements.txt"} <= objects(stack, prefix)
        assert {metric.key: metric.value for metric in model.metrics} == run.data.metrics


def test_the_parent_run_has_grid_and_folds(looked_at: tuple[TrainReport, Dataset]) -> None:
    report, _ = looked_at
    parent = ours.find_parent(RUN)
    assert parent is not None
    assert (parent.info.run_id, parent.info.run_name, parent.info.status) == (report.parent_run_id, RUN, "FINISHED")
    assert json.loads(parent.data.params["grid"]) == GRID
    assert parent.data.params["cv_folds"] == "3"


def statuses(runs: list[Run]) -> set[str]:
    return {run.info.status for run in runs}


def test_a_rerun_keeps_what_is_finished_and_redoes_what_is_not(report: TrainReport, data: Dataset) -> None:
    runs = ours.find_candidates(RUN)
    kept, half_done = {run.info.run_id for run in runs[2:]}, {run.info.run_id for run in runs[:2]}
    for run_id in half_done:  # as after a kill of the task
        client().update_run(run_id, status="RUNNING")
    again = train(data, shards=FIFTH)
    assert again == TrainReport(report.parent_run_id, fitted=2, kept=2)
    runs = ours.find_candidates(RUN)
    assert len(runs) == 4
    assert statuses(runs) == {"FINISHED"}
    assert kept < {run.info.run_id for run in runs}
    assert not half_done & {run.info.run_id for run in runs}


def test_a_rerun_with_other_data_keeps_nothing(report: TrainReport, connection: Connection[Any]) -> None:
    rows = read_processed(connection)
    other = split(rows[rows.index != 7], 0.2, 42, ours.contract())
    again = train(other, shards=FIFTH)
    assert again == TrainReport(report.parent_run_id, fitted=4, kept=0)
    assert {run.data.tags["data_digest"] for run in ours.find_candidates(RUN)} == {other.digest}


def test_a_rerun_with_other_code_or_another_key_keeps_nothing(
    report: TrainReport, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"PENGUINS_SIGNING_KEY": OTHER_PRIVATE, "PENGUINS_TRUSTED_KEYS": OTHER_PUBLIC}
    for changed in ({"PENGUINS_GIT_COMMIT": "another"}, keys):
        for name, value in changed.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        assert train(data, shards=FIFTH) == TrainReport(report.parent_run_id, fitted=4, kept=0)
        assert len(ours.find_candidates(RUN)) == 4


def metrics() -> dict[str, dict[str, float]]:
    """Return the metrics of every candidate, without what differs from one run to the next."""
    return {
        run.info.run_name: {name: value for name, value in run.data.metrics.items() if name != "fit_seconds"}
        for run in ours.find_candidates(RUN)
    }


def test_shards_together_give_what_one_task_gives(
    stack: Stack, trained: tuple[TrainReport, Dataset], data: Dataset
) -> None:
    shards = 7  # more than the number of shared fits
    reports = [train(data, GRID, shard, shards) for shard in range(shards)]
    assert sum(report.fitted for report in reports) == 20
    assert len({report.parent_run_id for report in reports}) == 1
    together = metrics()
    assert len(together) == 20
    with pytest.MonkeyPatch.context() as patch, pointed_at(stack, patch, "looked_at", "unused"):
        assert trained[0].fitted == 20
        assert metrics() == together


def test_a_shard_leaves_the_work_of_others_alone(data: Dataset) -> None:
    train(data, GRID, 0, FIFTH)
    others = ours.find_candidates(RUN)
    client().update_run(others[0].info.run_id, status="RUNNING")  # as if the other shard were fitting it
    train(data, GRID, 1, FIFTH)
    assert {run.info.run_id for run in others} < {run.info.run_id for run in ours.find_candidates(RUN)}


TRY = """
import psycopg
from penguins import contracts
from penguins.data.dataset import read_processed, split
from penguins.training.training import grid_train, open_run
with psycopg.connect({database!r}) as connection:
    data = split(read_processed(connection), 0.2, 42, contracts.find("penguins"))
grid_train(data, {grid!r}, 3, open_run(data, {grid!r}, 3, {run!r}))
"""


SLOW: Grid = {"n_estimators": [150], "max_depth": list(range(1, 21))}


def start_try(stack: Stack, grid: Grid) -> subprocess.Popen[bytes]:
    """Start grid_train in another process."""
    code = TRY.format(database=stack.environment["AIRFLOW_CONN_PENGUINS_DB"], grid=grid, run=RUN)
    environment = os.environ | {"PYTHONPATH": stack.environment["PYTHONPATH"], "PENGUINS_JOBS": "2"}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)


@pytest.fixture(scope="module")
def killed(stack: Stack) -> tuple[list[psutil.Process], Dataset]:
    """A try in an experiment of its own that was killed when 18 of 20 models were logged.

    The processes that were fitting when its first candidate was finished, and the data.
    """
    with in_experiment(stack, "killed") as data:
        first_try = start_try(stack, SLOW)

        def goes_on(condition: bool) -> bool:
            assert condition or first_try.poll() is None
            return condition

        until(
            lambda: goes_on(any(run.info.status == "FINISHED" for run in ours.find_candidates(RUN))),
            "a candidate",
            poll=0.2,
        )
        # the fitting processes end with the last fit
        fitting = psutil.Process(first_try.pid).children()
        experiment = tracking.experiment_id(ours.contract())
        until(lambda: goes_on(len(client().search_logged_models([experiment])) >= 18), "18 models")
        family = psutil.Process(first_try.pid).children(recursive=True)
        first_try.kill()  # as the kernel does when memory runs out
        first_try.wait()
        psutil.wait_procs(family)  # they end with it
    return fitting, data


def test_candidates_are_logged_while_others_are_fitted(killed: tuple[list[psutil.Process], Dataset]) -> None:
    fitting, _ = killed
    assert fitting


def test_a_rerun_after_a_kill_at_90_percent_fits_the_rest_and_leaves_no_model_behind(
    stack: Stack, killed: tuple[list[psutil.Process], Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, data = killed
    with pointed_at(stack, monkeypatch, "killed", "unused"):
        is_completed(data)


def is_completed(data: Dataset) -> None:
    experiment = tracking.experiment_id(ours.contract())
    finished = {run.info.run_id for run in ours.find_candidates(RUN) if run.info.status == "FINISHED"}
    again = train(data, SLOW)
    assert 18 - LOGGING_THREADS <= again.kept == len(finished) < 20
    assert again.fitted == 20 - again.kept
    runs = ours.find_candidates(RUN)
    assert finished < {run.info.run_id for run in runs}
    models = client().search_logged_models([experiment])
    assert {model.model_id for model in models} == {candidate_runs.model_id(run) for run in runs}
    assert len(models) == 20


def boost(data: Dataset, grid: Grid) -> TrainReport:
    """Train the first half of a grid of gradient boosting, two of its five shared fits."""
    name = "gradient_boosting"
    return grid_train(data, grid, 3, open_run(data, grid, 3, RUN, name), shard=1, shards=2, estimator=name)


def test_a_candidate_that_fails_is_a_failed_run_with_the_reason(data: Dataset) -> None:
    report = boost(data, TOO_MANY_TREES)
    assert (report.fitted, report.failed) == (6, 2)
    failed = [run for run in ours.find_candidates(RUN) if run.info.status == "FAILED"]
    assert {run.data.params["n_estimators"] for run in failed} == {str(2**60)}
    assert len(failed) == 2
    assert all("Error" in run.data.tags["reason"] for run in failed)
    parent = ours.find_parent(RUN)
    assert parent is not None
    assert parent.info.status == "FINISHED"


def test_all_candidates_failing_fails_the_task(data: Dataset) -> None:
    with pytest.raises(UserError, match="not one candidate could be fitted. The first of 8 failed with .*Error"):
        boost(data, {**TOO_MANY_TREES, "n_estimators": [2**number for number in range(57, 61)]})


def test_a_time_budget_leaves_candidates_out_and_a_rerun_fits_them(
    connection: Connection[Any], connect: Connect, data: Dataset
) -> None:
    def recorded() -> list[str]:
        return sorted(each.outcome for each in candidate_records.read(connection, parent.info.experiment_id, RUN))

    parent = open_run(data, GRID, 3, RUN, connect=connect)
    with pytest.raises(UserError, match="time_budget: not one of 4 candidates was done within 0 s"):
        grid_train(data, GRID, 3, parent, shards=FIFTH, time_budget=0, connect=connect)
    train(data, shards=FIFTH, connect=connect)
    candidate_runs.discard(ours.find_candidates(RUN)[:2])
    report = grid_train(data, GRID, 3, parent, shards=FIFTH, time_budget=0, connect=connect)
    assert (report.fitted, report.kept, report.left_out) == (0, 2, 2)
    assert recorded() == ["finished"] * 2 + ["left out"] * 2
    note = " (2 candidates were left out for the time budget)"
    assert register_best(connection, data, RUN, expected=4).reason.endswith(note)
    assert train(data, shards=FIFTH, connect=connect) == TrainReport(report.parent_run_id, fitted=2, kept=2)
    assert recorded() == ["finished"] * 4


def test_a_candidate_that_somebody_logged_under_its_fingerprint_is_not_kept(connect: Connect, data: Dataset) -> None:
    report = train(data, shards=FIFTH, connect=connect)
    forged, *_ = ours.find_candidates(RUN)
    client().delete_run(forged.info.run_id)
    tags = {name: value for name, value in forged.data.tags.items() if name != "mlflow.runName"}
    run_id = client().create_run(forged.info.experiment_id, tags=tags).info.run_id
    client().log_metric(run_id, "cv_accuracy_mean", 2.0)
    client().set_terminated(run_id)
    assert train(data, shards=FIFTH, connect=connect) == TrainReport(report.parent_run_id, fitted=1, kept=3)
    assert run_id not in {run.info.run_id for run in ours.find_candidates(RUN)}


def test_records_of_other_data_are_discarded(connection: Connection[Any], connect: Connect, data: Dataset) -> None:
    train(data, shards=FIFTH, connect=connect)
    other = split(read_processed(connection), 0.2, 43, ours.contract())
    parent = open_run(other, GRID, 3, RUN, connect=connect)
    assert candidate_records.read(connection, parent.info.experiment_id, RUN) == []


def test_a_failed_try_fails_the_parent_run(data: Dataset) -> None:
    parent = open_run(data, GRID, 3, RUN)
    with pytest.raises(UserError, match="cv_folds=99"):
        grid_train(data, GRID, 99, parent)
    assert client().get_run(parent.info.run_id).info.status == "FAILED"


def test_an_unusable_grid_leaves_no_run(data: Dataset) -> None:
    with pytest.raises(UserError, match="at least 20"):
        train(data, {"max_depth": [1, 2]})
    assert ours.find_parent(RUN) is None


def test_mlflow_going_away_ends_the_task_and_a_rerun_completes(
    stack: Stack, data: Dataset, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: stack.start("mlflow"))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    train(data, shards=FIFTH)
    half_done = ours.find_candidates(RUN)[:2]
    candidate_runs.discard(half_done)
    stack.stop("mlflow")
    with pytest.raises(Exception, match=f"API request to {settings().mlflow_tracking_uri}.*Connection refused"):
        train(data, shards=FIFTH)
    stack.start("mlflow")
    assert train(data, shards=FIFTH).fitted == 2
    assert len(ours.find_candidates(RUN)) == 4
