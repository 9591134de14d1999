"""How a task of the DAG ends when something goes wrong: one message, no stack trace for a person's mistake."""

import functools
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, ParamSpec, TypeVar

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from penguins.errors import UserError
from penguins.outages import describe_outage
from penguins.settings import settings

log = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Refused(SystemExit):
    """Ends the task; Airflow logs no stack trace for a SystemExit. Not retried."""


class Unavailable(SystemExit):
    """Ends this try of the task, likewise without a stack trace. Retried."""


# For the tasks' `@task(**RETRIES)`: services come back, mistakes don't go away by themselves.
RETRIES: Final[dict[str, Any]] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=settings().retry_seconds),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(
                exception="penguins.airflow.task_errors.Refused",
                action=RetryAction.FAIL,
                reason="trying again would not help: see the error above",
            )
        ]
    ),
}


def plainly(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let a task say what a person can mend in one line, and no more."""

    @functools.wraps(function)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            log.error("%s", error)
            raise Refused(str(error)) from None
        except Exception as error:
            outage = describe_outage(error)
            if outage is None:
                raise
            log.error("%s", outage)
            raise Unavailable(outage) from None

    return wrapped
