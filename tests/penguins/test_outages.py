"""Outages are told from other errors."""

import errno
import json
import re

import psycopg
import pytest
import requests
from boto3.exceptions import RetriesExceededError
from botocore.exceptions import ClientError, EndpointConnectionError, IncompleteReadError
from mlflow.exceptions import MlflowException, RestException

from penguins.outages import describe_outage

OUTAGES = {
    "Postgres doesn't answer or gave up": psycopg.OperationalError("the server is gone"),
    "Postgres doesn't answer or gave up: could not": psycopg.errors.DiskFull("could not extend file"),
    "no room on a disk": OSError(errno.ENOSPC, "No space left on device"),
    "S3 doesn't answer: Could not connect": EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
    "S3 doesn't answer: Max Retries": RetriesExceededError(IncompleteReadError(actual_bytes=1, expected_bytes=2)),
    "S3 doesn't answer: An error": ClientError({"Error": {"Code": "503"}}, "GetObject"),
    "MLflow at http.* answers with an error": requests.HTTPError("502"),
    "MLflow at http.* is its Postgres up": RestException({"error_code": "INTERNAL_ERROR", "message": "x"}),
    "MLflow at http.* doesn't answer: refused": requests.ConnectionError("refused"),
    "MLflow at http.* doesn't answer: API": MlflowException("API request to http://x failed with exception refused"),
}


@pytest.mark.parametrize(("message", "error"), OUTAGES.items(), ids=[type(each).__name__ for each in OUTAGES.values()])
def test_the_service_or_disk_is_named(message: str, error: Exception) -> None:
    assert re.match(message, describe_outage(error) or "")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        FileNotFoundError(errno.ENOENT, "no such file"),
        psycopg.errors.UndefinedTable("x"),
        RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "x"}),
        MlflowException("a run has no model"),
        json.JSONDecodeError("x", "x", 0),
    ],
    ids=lambda error: type(error).__name__,
)
def test_another_error_is_no_outage(error: Exception) -> None:
    assert describe_outage(error) is None
