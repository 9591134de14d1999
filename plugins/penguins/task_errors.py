"""How a task of the DAG ends when something goes wrong: one message, no stack trace for a person's mistake."""

import errno
import functools
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, ParamSpec, TypeVar

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from penguins.errors import UserError
from penguins.settings import settings

log = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Refused(SystemExit):
    """Ends the task; Airflow logs no stack trace for a SystemExit. Not retried."""


class Unavailable(SystemExit):
    """Ends this try of the task, likewise without a stack trace. Retried."""


# For the tasks' `@task(**RETRIES)`: services come back, mistakes don't go away by themselves.
RETRIES: Final[dict[str, Any]] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(
                exception="penguins.task_errors.Refused",
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


def describe_outage(error: Exception) -> str | None:
    """Which service didn't answer, if that is what `error` says, and None otherwise."""
    # imported here: the DAG file must parse in a moment
    import psycopg
    import requests
    from botocore.exceptions import BotoCoreError, ClientError
    from mlflow.exceptions import MlflowException, RestException

    if isinstance(error, psycopg.OperationalError | psycopg.InternalError):
        return f"Postgres doesn't answer or gave up: {error}"
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return f"no room on a disk of the machine that runs the task: {error}"
    if isinstance(error, BotoCoreError | ClientError):
        return f"S3 doesn't answer: {error}"
    where = f"MLflow at {settings().mlflow_tracking_uri}"
    if isinstance(error, requests.HTTPError):
        return f"{where} answers with an error; if it is about artifacts, is S3 up? {error}"
    if isinstance(error, RestException):
        internal = error.error_code in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE")
        return f"{where} is in trouble; is its Postgres up? {error}" if internal else None
    if isinstance(error, requests.RequestException):
        return f"{where} doesn't answer: {error}"
    if isinstance(error, MlflowException) and "failed with" in str(error):  # how its client wraps the above
        return f"{where} doesn't answer: {error}"
    return None
