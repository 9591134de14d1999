"""The sensor that waits for the prediction log."""

from datetime import timedelta
from typing import Any, Final

from airflow.sdk import BaseSensorOperator, Context

from penguins.airflow.task_errors import report_user_errors

LONGEST: Final = timedelta(hours=1)
"""Longest wait; then the run fails, and a later one judges its window."""

_LOOK_SECONDS: Final = 10.0


class LogArrived(BaseSensorOperator):
    """Wait until the predictions of the window have arrived in the prediction log; meanwhile it takes no worker."""

    def __init__(self, *, length: timedelta, **settings: Any) -> None:
        look = min(_LOOK_SECONDS, length.total_seconds() / 10)
        super().__init__(mode="reschedule", poke_interval=look, timeout=LONGEST, **settings)
        self._length = length

    @report_user_errors
    def poke(self, context: Context) -> bool:
        """Tell whether the log is complete up to the window's end."""
        from penguins.airflow import database, runs
        from penguins.monitoring import spans

        del context
        with database.connect() as connection:
            return spans.look(connection, runs.current_span(self._length))
