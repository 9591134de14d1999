"""The times at which DAGs of tests run by themselves."""

from datetime import UTC, datetime, timedelta

from local.clients.http import JsonApi
from local.waiting import until

CLEAR = timedelta(minutes=3)
"""Time for the tests of a DAG, during which it doesn't run by itself."""


def far_off() -> str:
    """Return a yearly schedule whose last and next times are months away.

    Airflow starts the first run of a new DAG at once if a time of its schedule has passed by less than a tenth of the
    time between two, so with the default `@weekly` every stack of a Sunday would train once more than its test does.
    """
    return f"0 0 1 {(datetime.now(UTC).month + 5) % 12 + 1} *"


def wait_until_clear(airflow: JsonApi, dag: str) -> None:
    """Wait while a DAG is about to run by itself or does so, which tests of its runs would take for one of theirs."""

    def clear() -> bool:
        planned = airflow.get(f"/api/v2/dags/{dag}")["next_dagrun_run_after"]
        latest = airflow.get(f"/api/v2/dags/{dag}/dagRuns", order_by="-id", limit=1)["dag_runs"]
        ended = all(run["state"] in ("success", "failed") for run in latest)
        return ended and datetime.fromisoformat(planned) - datetime.now(UTC) > CLEAR

    until(clear, f"the planned run of {dag}", poll=1)
