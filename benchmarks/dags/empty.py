"""Four empty tasks in sequence, to measure the overhead of Airflow."""

from airflow.sdk import chain, dag, task


@dag(schedule=None)
def empty() -> None:
    """Wire the four tasks."""

    @task()
    def nothing() -> None:
        """Do nothing."""

    chain(*(nothing.override(task_id=f"nothing_{number}")() for number in range(4)))


empty()
