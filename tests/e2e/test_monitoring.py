"""The closed loop on the whole stack: traffic that drifts, the alarm, the training that it asks for, the decision."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from examples.contracts import tables
from local.settings import REPO
from local.stack import Stack
from local.waiting import until
from tests.commands import command
from tests.e2e.deployment import Deployment, Made
from tests.e2e.test_contracts import GRID
from tests.shipper.conftest import superuser
from tests.shipper.segments import ids_at

NAME = "watched"
WINDOW = timedelta(days=31)
ANSWER = """INSERT INTO log.predictions (prediction_id, row_index, at, contract, model, version, class, latency_ms,
        outside, fraction, features, probabilities)
    SELECT %s, 0, %s, digest, 'watched', '1', 0, 1, 0, 1,
        (SELECT array_agg(1000 + random()) FROM jsonb_array_elements(document->'features')),
        (SELECT array_agg(1) FROM jsonb_array_elements(document->'classes'))
    FROM log.contracts WHERE name = 'watched'"""


def ended(deployment: Deployment, dag: str, run: str) -> dict[str, str]:
    """Wait for the end of a run, and return the states of its tasks."""
    until(lambda: deployment.airflow.run_state(dag, run) in ("success", "failed"), f"{run} to end", 120, poll=0.5)
    return {task.name: str(task.state) for task in deployment.airflow.tasks(dag, run)}


def test_drift_asks_for_a_training_and_the_gate_decides(
    whole: Stack, deployment: Deployment, made: Made, contracts_folder: Path, tmp_path: Path
) -> None:
    del made
    text = (REPO / "examples" / "contracts" / "wine.yaml").read_text()
    for old, new in (
        ("/data/wine.csv", str(tables.write(tmp_path)["wine"])),
        ("estimator: auto", f"estimator: random_forest\n      {GRID}"),
        ("name: wine", f"name: {NAME}"),
        ("registeredModel: wine", f"registeredModel: {NAME}"),
        ("experiment: wine", f"experiment: {NAME}"),
    ):
        assert old in text
        text = text.replace(old, new)
    text += f"  - property: monitoring\n    value:\n      window: {WINDOW.days}d\n"
    (contracts_folder / f"{NAME}.yaml").write_text(text)
    done = command(whole.config.settings, "run", f"--contract={NAME}")
    assert done.returncode == 0, done.stdout + done.stderr
    until(lambda: deployment.query("SELECT FROM log.contracts WHERE name = 'watched'"), "the prediction to arrive", 30)

    at = datetime.now(UTC) - WINDOW  # in the latest window that has ended
    ids = list(ids_at(at, 60))
    with superuser(whole) as connection, connection.cursor() as cursor:
        cursor.executemany(ANSWER, [[each, at] for each in ids])
    watching, training = f"{NAME}_monitoring", f"{NAME}_training"
    until(lambda: deployment.airflow.has_dag(watching), "the DAG to be parsed")
    states = ended(deployment, watching, deployment.airflow.trigger(watching))
    assert states == dict.fromkeys(("log_arrived", "judge", "judge_shadow", "raise_alarm", "retrain"), "success")
    alarms = "SELECT kind, run_id, outcome, closed_at IS NOT NULL FROM monitoring.alarms WHERE contract = 'watched'"
    until(lambda: [run for _, run, *_ in deployment.query(alarms) if run], "the training to start", 60)
    ((kind, run, *_),) = deployment.query(alarms)
    assert (kind, run.startswith("asset_triggered__")) == ("drift", True)
    assert set(ended(deployment, training, run).values()) == {"success"}
    ((_, _, outcome, is_closed),) = deployment.query(alarms)
    assert is_closed
    assert outcome.startswith("version 2 was not promoted: not better than version 1")
    ((reason,),) = deployment.query(
        f"SELECT reason FROM audit.promotions WHERE dag_run_id = '{run}' AND model = 'watched'"  # noqa: S608
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
               VALUES ('watched', 'watched', '1', now() - interval '99 days', now(), 'truth', '', 'manual__gone')"""
        )
    states = ended(deployment, watching, deployment.airflow.trigger(watching))
    assert (states["judge"], states["raise_alarm"], states["retrain"]) == ("success", "success", "skipped")
    gone = "manual__gone ended without a decision: it failed, or asks a person"
    assert set(deployment.query(alarms)) == {("drift", run, outcome, True), ("truth", "manual__gone", gone, True)}
    shown = command(whole.config.settings, "penguins", "verdicts", f"--contract={NAME}")
    assert shown.returncode == 0, shown.stderr
    assert "drifted" in shown.stdout
    assert "not promoted" in shown.stdout

    with superuser(whole) as connection:  # the sums of the traffic know nothing of them
        connection.execute("DELETE FROM log.predictions WHERE prediction_id = ANY(%s)", [ids])
