"""
### Keeping house: what is old and named by nothing

| task | looks at | kept for |
|---|---|---|
| **runs** | runs in MLflow that no version and no decision names, with their models and files; files in S3 whose run or model is gone | `PENGUINS_RUN_RETENTION_DAYS` |
| **history** | DAG runs and tasks in Airflow's database | `PENGUINS_HISTORY_RETENTION_DAYS` |
| **logs** | logs of Airflow's tasks | `PENGUINS_TASK_LOG_RETENTION_DAYS` |

Without a setting nothing is deleted: the log of each task then says how much is older than 90 days. With one the
**daily run deletes**. A run that you **trigger** only looks, unless you take *Only look* away. Each task shows a table in
its log of what goes, and of what stays for which reason.

Every registered version stays, with its run, its model and its files, whatever its stage: so a rollback finds it. So do
the parent run of each DAG run that the audit trail names, the latest training, and all that belongs to a DAG run that
hasn't ended. docs/how-to/keep-house.md has the rules.
"""

import logging
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task

from penguins.airflow import notices
from penguins.airflow.task_errors import RETRIES, report_user_errors

log = logging.getLogger(__name__)

HOUSE, DISK = "penguins_housekeeping", "penguins_disk"
DISK_DOC = """
### The use of the disk

**measure** writes the sizes of the databases, of the models and files in S3, of the logs of tasks and of what waits in the
prediction log into the table `monitoring.disk`, from which the page *Penguins* shows them. If less than
`PENGUINS_DISK_FREE_PERCENT` of the disk is free, it tells `PENGUINS_NOTIFY_URL`: once, and again after a day.
"""
DEFAULTS: dict[str, Any] = {"owner": "penguins", **RETRIES}


def _deletes() -> bool:
    """Tell whether this run deletes: a scheduled one as the settings say, one by hand if it is asked to."""
    context = get_current_context()
    return context["dag_run"].run_type != "manual" or not context["params"]["dry_run"]


@dag(
    dag_id=HOUSE,
    dag_display_name="Keep house",
    schedule=CronTriggerTimetable("40 3 * * *", timezone="UTC", run_immediately=timedelta(0)),  # not as a stack starts
    catchup=False,
    max_active_runs=1,
    params={
        "dry_run": Param(True, type="boolean", title="Only look", description="Tell what would go, and delete nothing.")
    },
    default_args={**DEFAULTS, "execution_timeout": timedelta(hours=6)},
    on_failure_callback=notices.failure_of(None),
    doc_md=__doc__,
    tags=["housekeeping"],
)
def keep_house() -> None:
    """Wire the three tasks."""

    @task()
    @report_user_errors
    def runs() -> list[dict[str, Any]]:
        """Look at MLflow's runs and files, or delete the old ones."""
        from penguins import contracts
        from penguins.airflow import database
        from penguins.housekeeping import airflow_history, house

        with airflow_history.connect() as history, database.connect() as connection:
            active = airflow_history.active(history, HOUSE)
            found = house.look_at_runs(connection, contracts.read_all().good.values(), active, _deletes())
        return [asdict(each) for each in house.log_all(found)]

    @task()
    @report_user_errors
    def history() -> list[dict[str, Any]]:
        """Look at Airflow's history, or delete what is old."""
        from penguins.housekeeping import airflow_history, house

        with airflow_history.connect() as connection:
            active = airflow_history.active(connection, HOUSE)
        return [asdict(each) for each in house.log_all([house.look_at_history(active, _deletes())])]

    @task()
    @report_user_errors
    def logs() -> list[dict[str, Any]]:
        """Look at the logs of tasks, or delete the old ones."""
        from penguins.housekeeping import airflow_history, house

        with airflow_history.connect() as connection:
            active = airflow_history.active(connection, HOUSE)
        return [asdict(each) for each in house.log_all([house.look_at_logs(active, _deletes())])]

    runs() >> history() >> logs()


@dag(
    dag_id=DISK,
    dag_display_name="Watch the disk",
    schedule=CronTriggerTimetable("20 * * * *", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "execution_timeout": timedelta(minutes=30)},
    on_failure_callback=notices.failure_of(None),
    doc_md=DISK_DOC,
    tags=["housekeeping"],
)
def watch_disk() -> None:
    """Wire the one task."""

    @task()
    @report_user_errors
    def measure() -> str:
        """Measure what the stack uses, and warn if the disk is nearly full."""
        from penguins.airflow import database
        from penguins.housekeeping import disk

        with database.connect() as connection:
            room, parts = disk.record(connection), disk.latest(connection)
            if room.is_low:
                log.warning("The disk is nearly full: %s; the stack uses: %s", room, parts)
            if disk.is_to_be_told(connection, room) and notices.tell_disk(str(room), str(parts)):
                disk.note_told(connection)
        return str(room)

    measure()


keep_house()
watch_disk()
