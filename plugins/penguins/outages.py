"""Tell failures of a service or a disk from all other errors."""

import errno
from typing import Final

from penguins.errors import ServiceError
from penguins.settings import settings

_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def describe_outage(error: Exception) -> str | None:
    """Return a message that names the failed service or disk; None if `error` is of another kind."""
    if isinstance(error, ServiceError):
        return str(error)
    # Imported here to keep the parsing of the DAG file fast.
    import psycopg
    import requests
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from mlflow.exceptions import MlflowException, RestException

    if isinstance(error, psycopg.OperationalError | psycopg.InternalError):
        return f"Postgres doesn't answer or gave up: {error}"
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return f"no room on a disk of the machine that runs the task: {error}"
    if isinstance(error, BotoCoreError | ClientError | Boto3Error):
        return f"S3 doesn't answer: {error}"
    where = f"MLflow at {settings().mlflow_tracking_uri}"
    if isinstance(error, requests.HTTPError):
        return f"{where} answers with an error; if it is about artifacts, is S3 up? {error}"
    if isinstance(error, RestException):
        internal = error.error_code in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE")
        return f"{where} is in trouble; is its Postgres up? {error}" if internal else None
    if isinstance(error, requests.RequestException):
        return f"{where} doesn't answer: {error}"
    if isinstance(error, MlflowException) and "failed with" in str(error):  # its client wraps the errors above
        return f"{where} doesn't answer: {error}"
    return None
