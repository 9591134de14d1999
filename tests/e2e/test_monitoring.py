"""The closed loop on the whole stack: traffic that drifts, the alarm, the training that it asks for, the decision."""

import csv
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from examples.contracts import tables
from local.clients.service import Service
from local.stack import Stack
from local.waiting import until
from penguins.monitoring.spans import latest_span
from tests.commands import command
from tests.e2e.deployment import Deployment
from tests.e2e.examples import QUOTA, WINDOW
from tests.shipper.conftest import superuser
from tests.shipper.segments import ids_at

NAME = "breast_cancer"
SHADOWED = "wine"
BETTER = {"grid": {"n_estimators": list(range(11, 31)), "max_depth": [2]}, "cv_folds": 2}
ANSWER = """INSERT INTO log.predictions (prediction_id, row_index, at, contract, model, version, class, latency_ms,
        outside, fraction, features, probabilities)
    SELECT %s, 0, %s, digest, name, '1', 0, 1, 0, 1,
        (SELECT array_agg(1000 + random()) FROM jsonb_array_elements(document->'features')),
        (SELECT array_agg(1) FROM jsonb_array_elements(document->'classes'))
    FROM log.contracts WHERE name = %s"""


@contextmanager
def drifted_rows(whole: Stack, name: str, *times: datetime) -> Iterator[None]:
    """Log sixty rows far from those of the training at each time, and forget them and their verdicts at the end.

    The sums of the traffic know nothing of them.
    """
    ids = [(each, at) for at in times for each in ids_at(at, 60)]
    with superuser(whole) as connection, connection.cursor() as cursor:
        cursor.executemany(ANSWER, [[each, at, name] for each, at in ids])
    yield
    with superuser(whole) as connection:
        connection.execute("DELETE FROM log.predictions WHERE prediction_id = ANY(%s)", [[each for each, _ in ids]])
        connection.execute("DELETE FROM monitoring.verdicts WHERE contract = %s", [name])


def ended(deployment: Deployment, dag: str, run: str) -> dict[str, str]:
    """Wait for the end of a run, and return the states of its tasks."""
    until(lambda: deployment.airflow.run_state(dag, run) in ("success", "failed"), f"{run} to end", 120, poll=0.5)
    return {task.name: str(task.state) for task in deployment.airflow.tasks(dag, run)}


def train(deployment: Deployment, trained: Callable[[str], str], name: str) -> None:
    """Train on an example, and wait until its first prediction is in the log."""
    trained(name)
    known = f"SELECT FROM log.contracts WHERE name = '{name}'"
    until(lambda: deployment.query(known), "the prediction to arrive", 30)
    until(lambda: deployment.airflow.has_dag(f"{name}_monitoring"), "the DAG to be parsed")


def test_drift_asks_for_a_training_and_the_gate_decides(
    whole: Stack, deployment: Deployment, trained: Callable[[str], str]
) -> None:
    train(deployment, trained, NAME)

    with drifted_rows(whole, NAME, datetime.now(UTC) - WINDOW):  # in the latest window that has ended
        check_the_loop(whole, deployment)


def check_the_loop(whole: Stack, deployment: Deployment) -> None:
    """Check what a run of the monitoring DAG finds, asks for and is answered, and that the next one repeats nothing."""
    watching, training = f"{NAME}_monitoring", f"{NAME}_training"
    states = ended(deployment, watching, deployment.airflow.trigger(watching))
    assert states == dict.fromkeys(("log_arrived", "judge", "judge_shadow", "raise_alarm", "retrain"), "success")
    alarms = f"""SELECT kind, run_id, outcome, closed_at IS NOT NULL FROM monitoring.alarms
        WHERE contract = '{NAME}'"""  # noqa: S608
    until(lambda: [run for _, run, *_ in deployment.query(alarms) if run], "the training to start", 60)
    ((kind, run, *_),) = deployment.query(alarms)
    assert (kind, run.startswith("asset_triggered__")) == ("drift", True)
    assert set(ended(deployment, training, run).values()) == {"success"}
    ((_, _, outcome, is_closed),) = deployment.query(alarms)
    assert is_closed
    assert outcome.startswith("version 2 was not promoted: not better than version 1")
    ((reason,),) = deployment.query(
        f"SELECT reason FROM audit.promotions WHERE dag_run_id = '{run}' AND model = '{NAME}'"  # noqa: S608
    )
    assert "; trained for alarm " in reason
    assert ", drift: " in reason
    about = [notice for notice in deployment.notices() if f"\nContract: {NAME}\n" in notice["message"]]
    assert [notice["title"] for notice in about] == [
        f"{NAME} version 1 was promoted",
        f"{NAME}: drift",
        f"{NAME}: a training has started",
        f"{NAME} version 2 was not promoted",
    ]
    assert f"/dags/{watching}/runs/" in about[1]["message"]
    assert f"/dags/{training}/runs/{run.partition(':')[0]}" in about[3]["message"]

    with superuser(whole) as connection:  # an alarm whose training broke off
        connection.execute(
            """INSERT INTO monitoring.alarms (contract, model, version, window_start, window_end, kind, reason, run_id)
               VALUES (%(name)s, %(name)s, '1', now() - interval '99 days', now(), 'truth', '', 'manual__gone')""",
            {"name": NAME},
        )
    states = ended(deployment, watching, deployment.airflow.trigger(watching))
    assert (states["judge"], states["raise_alarm"], states["retrain"]) == ("success", "success", "skipped")
    assert deployment.notices()[-1]["title"] == f"{NAME}: much new truth"  # nobody had been told of it yet
    gone = "manual__gone ended without a decision: it failed, or asks a person"
    assert set(deployment.query(alarms)) == {("drift", run, outcome, True), ("truth", "manual__gone", gone, True)}
    shown = command(whole.config.settings, "penguins", "verdicts", f"--contract={NAME}")
    assert shown.returncode == 0, shown.stderr
    assert "drifted" in shown.stdout
    assert "not promoted" in shown.stdout


def follow_backfill(deployment: Deployment, dag: str, first: datetime, last: datetime) -> list[dict[str, Any]]:
    """Backfill a DAG over the starts of windows, also those that have a run; return the runs once they have ended."""
    body = {"dag_id": dag, "from_date": first.isoformat(), "to_date": last.isoformat()}
    made = deployment.airflow_api.post("/api/v2/backfills", body | {"reprocess_behavior": "completed"})

    def is_complete() -> bool:
        return bool(deployment.airflow_api.get(f"/api/v2/backfills/{made['id']}")["completed_at"])

    until(is_complete, "the backfill to end", 180, poll=0.5)
    runs = deployment.airflow_api.get(f"/api/v2/dags/{dag}/dagRuns", limit=100)["dag_runs"]
    return [run for run in runs if run["run_type"] == "backfill"]


def put_in_shadow(whole: Stack, deployment: Deployment, number: str, wine: Path) -> None:
    """Train a version that has to be shadowed before a person is asked, and answer the quota of real requests."""
    training = f"{SHADOWED}_training"
    run = deployment.airflow.trigger(training, {"promotion": "manual", **BETTER})
    assert set(ended(deployment, training, run).values()) == {"success"}
    made = deployment.mlflow.version_of(SHADOWED, run)
    assert made
    assert (made.number, made.tags["verdict"]) == (number, "shadowing")
    service = Service(whole.urls["api"], SHADOWED)
    until(lambda: service.status().get("shadow", {}).get("version") == number, "the service to load the shadow", 30)
    with wine.open() as lines:
        for row in islice(csv.DictReader(lines), 0, 5 * QUOTA, 5):  # of all classes
            del row[tables.TARGETS["wine"]]
            assert service.predict({name: float(value) for name, value in row.items()})["model_version"] == "1"
    counted = f"SELECT count(*) FROM log.predictions WHERE model = '{SHADOWED}' AND shadow_version = '{number}'"  # noqa: S608
    until(lambda: deployment.query(counted) == [(QUOTA,)], "the predictions to arrive", 30)


def ask_and_answer(deployment: Deployment, number: str, choice: str) -> None:
    """Run the monitoring DAG, check its question about the version in the shadow, and answer that."""
    watching = f"{SHADOWED}_monitoring"
    run = deployment.airflow.trigger(watching)
    paused = re.compile(
        rf"Received executor event with state success .*task_id='judge_shadow', run_id='{re.escape(run)}'"
    )  # after an answer before that the scheduler would run the task again

    def waits() -> bool:
        states = {task.name: task.state for task in deployment.airflow.tasks(watching, run)}
        return states["judge_shadow"] == "awaiting_input" and paused.search(deployment.scheduler_log()) is not None

    until(waits, "the question", 120, poll=0.5)
    address = f"/api/v2/dags/{watching}/dagRuns/{quote(run)}/taskInstances/judge_shadow/-1/hitlDetails"
    asked = deployment.airflow_api.get(address)
    assert asked["subject"] == f"Put {SHADOWED} version {number} in Production, in place of version 1?"
    assert f"The gate says: **promote**: {QUOTA} predictions in the shadow of version 1, " in asked["body"]
    assert f"| real traffic                     |     version 1 |     version {number} |" in asked["body"]
    assert f"| rows                             |               |            {QUOTA} |" in asked["body"]
    deployment.airflow_api.patch(address, {"chosen_options": [choice], "params_input": {"comment": "seen"}})
    assert ended(deployment, watching, run)["judge_shadow"] == "success"


def test_a_backfill_trains_nothing_and_a_person_decides_about_the_shadow(
    whole: Stack, deployment: Deployment, trained: Callable[[str], str], paths: dict[str, Path]
) -> None:
    wine, watching = paths["wine"], f"{SHADOWED}_monitoring"
    train(deployment, trained, SHADOWED)

    end = latest_span(datetime.now(UTC), WINDOW).end
    starts = [end - number * WINDOW for number in (3, 2, 1)]
    with drifted_rows(whole, SHADOWED, *(start + WINDOW / 2 for start in starts)):
        runs = follow_backfill(deployment, watching, starts[0], starts[-1])
        assert sorted(run["logical_date"][:10] for run in runs) == [f"{start:%Y-%m-%d}" for start in starts]
        assert {run["state"] for run in runs} == {"success"}
        verdicts = f"""SELECT window_start, verdict, rows FROM monitoring.verdicts
            WHERE contract = '{SHADOWED}' AND rows > 1 ORDER BY 1"""  # noqa: S608
        assert deployment.query(verdicts) == [(start, "drifted", 60) for start in starts]
    assert deployment.query(f"SELECT FROM monitoring.alarms WHERE contract = '{SHADOWED}'") == []
    trained = deployment.airflow_api.get(f"/api/v2/dags/{SHADOWED}_training/dagRuns")["dag_runs"]
    assert len(trained) == 1

    put_in_shadow(whole, deployment, "2", wine)
    ask_and_answer(deployment, "2", "Keep the champion")
    assert aliases(deployment) == {"production": "1", "challenger": "2"}
    put_in_shadow(whole, deployment, "3", wine)
    ask_and_answer(deployment, "3", "Promote")
    assert aliases(deployment) == {"production": "3"}
    decided = f"SELECT who, action, to_version FROM audit.promotions WHERE model = '{SHADOWED}' ORDER BY id"  # noqa: S608
    actions = [action for _, action, _ in deployment.query(decided)]
    assert actions == ["promote", "shadow", "refuse", "shadow", "promote"]
    assert [(who, number) for who, _, number in deployment.query(decided)][2::2] == [("admin", "2"), ("admin", "3")]
    about = [notice["title"] for notice in deployment.notices() if f"\nContract: {SHADOWED}\n" in notice["message"]]
    assert about == [
        f"{SHADOWED} version 1 was promoted",
        f"{SHADOWED} version 2 answers in the shadow of Production first",
        f"{SHADOWED} version 2 waits for a person's decision",
        f"{SHADOWED} version 3 answers in the shadow of Production first",
        f"{SHADOWED} version 3 waits for a person's decision",
        f"{SHADOWED} version 3 was promoted",
    ]


def aliases(deployment: Deployment) -> dict[str, str]:
    """Return the aliases of the model."""
    found = deployment.mlflow_api.get("/api/2.0/mlflow/registered-models/get", name=SHADOWED)["registered_model"]
    return {each["alias"]: each["version"] for each in found.get("aliases", [])}
