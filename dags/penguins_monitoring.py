"""
### {title}: is the model in Production still right?

`log_arrived → judge → raise_alarm → retrain`, and `log_arrived → judge_shadow`

| task | action | result |
|---|---|---|
| **log_arrived** | waits until the predictions of the window have arrived in the prediction log | |
| **judge** | compares the window with the rows that its version learned from, and with the truth | table `monitoring.verdicts` |
| **judge_shadow** | judges the version in the shadow of Production once it has answered enough, if there is one; perhaps a person decides, under *Required Actions* | promotes or refuses it |
| **raise_alarm** | raises an alarm if the window drifted, if `{model}` is below the contract's floor, or if there is much new truth | table `monitoring.alarms` |
| **retrain** | asks for a training: an event of the asset `{alarm}` starts a run of `{training}` | the gate decides about its version |

Without a reason for an alarm the run ends after **judge**, and **retrain** is skipped unless an alarm asks for a training:
after one there is none for the time of the cooldown. **judge** also counts truth that came after the verdict of its
window, and judges windows that nobody has judged, as after an outage; neither raises an alarm.

Each run judges the window that its data interval is. Windows of the past are judged by a backfill, which trains nothing.
`make verdicts` prints verdicts and alarms.
"""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from airflow.sdk import DeltaDataIntervalTimetable, dag, get_current_context, task

from contract.schema import DataContract, dag_id_of
from penguins.airflow import notices
from penguins.airflow.assets import alarm_asset
from penguins.airflow.operators import FORM, JudgeShadow
from penguins.airflow.parsing import build_dags, describe, title_of
from penguins.airflow.task_errors import RETRIES, report_user_errors
from penguins.airflow.waiting import LogArrived


def monitoring_dag(contract: DataContract) -> Any:
    """Return the DAG that watches the model of a contract."""
    length, asset = contract.monitoring.window_length, alarm_asset(contract)

    @dag(
        dag_id=dag_id_of(contract.name, "monitoring"),
        dag_display_name=f"{title_of(contract)}: monitor",
        schedule=DeltaDataIntervalTimetable(length),
        catchup=False,
        max_active_runs=3,  # one may wait for a person
        default_args={"owner": "penguins", "execution_timeout": timedelta(hours=1), **RETRIES},
        on_failure_callback=notices.failure_of(contract),
        doc_md=describe(__doc__ or "", contract),
        tags=[contract.name, "monitoring"],
        auto_register=False,
    )
    def wire() -> None:
        """Wire the five tasks."""

        @task.short_circuit()
        @report_user_errors
        def judge() -> list[dict[str, Any]]:
            """Judge the window, and return the reasons for alarms; before, note what became of earlier ones."""
            from penguins.airflow import database, runs
            from penguins.monitoring import alarms, report

            with database.connect() as connection:
                notices.tell_alarms(connection, contract, get_current_context())  # of a run that was killed before
                alarms.settle(connection, contract, lambda run: not runs.is_active(run, contract.dag_id))
                return [asdict(each) for each in report.judge(connection, contract, runs.current_span(length))]

        @task.short_circuit()
        @report_user_errors
        def raise_alarm(reasons: list[dict[str, Any]]) -> list[dict[str, Any]]:
            """Raise alarms, and return those that ask for a training."""
            from penguins.airflow import database, runs
            from penguins.monitoring import report
            from penguins.monitoring.alarms import Reason

            span, found = runs.current_span(length), [Reason(**each) for each in reasons]
            with database.connect() as connection:
                raised = report.raise_alarms(connection, contract, span, found, runs.is_backfill())
                context = get_current_context()
                context["ti"].xcom_push("raised", [alarm.id for alarm in raised.new])
                notices.tell_alarms(connection, contract, context)
            return [{"id": alarm.id, "reason": str(alarm)} for alarm in raised.asking]

        @task(outlets=[asset])
        @report_user_errors
        def retrain(alarms: list[dict[str, Any]]) -> None:
            """Ask for a training, by an event with the alarms and their reasons."""
            get_current_context()["outlet_events"][asset].extra = {
                "alarms": [alarm["id"] for alarm in alarms],
                "reason": "; ".join(alarm["reason"] for alarm in alarms),
            }

        reasons: Any = judge()
        shadow = JudgeShadow(task_id="judge_shadow", contract=contract, params=FORM)
        LogArrived(task_id="log_arrived", length=length) >> [reasons, shadow]
        retrain(raise_alarm(reasons))  # type: ignore[arg-type]  # its value, once it has run

    return wire()


# Airflow takes the DAGs of a file from its global names.
globals().update(build_dags(monitoring_dag, "monitoring"))
