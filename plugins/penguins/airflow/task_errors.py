"""Errors of the DAG's tasks: one message without a stack trace for mistakes and outages."""

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
    """End of a task by a user's mistake, not retried. Airflow logs no stack trace for a SystemExit."""


class Unavailable(SystemExit):
    """End of a try by an outage, retried. Airflow logs no stack trace for a SystemExit."""


# For the tasks' `@task(**RETRIES)`: retry after an outage, but not after a mistake.
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


def report_user_errors(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Make a task report a UserError or an outage in one line of its log, and end without a stack trace."""

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
