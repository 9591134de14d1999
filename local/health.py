"""Readiness checks: each makes a request like those of the program's clients.

Every command imports this module, and only those that start programs need boto3 and a client: 0.2 s of processor.
"""

import time
from collections.abc import Callable
from datetime import datetime
from functools import cache

import httpx
import psycopg

from local.config import Config
from local.environment import BUCKET, POSTGRES_LOGIN
from local.ports import LOOPBACK

_TIMEOUT = 3.0  # seconds for one request
_SILENCE = 60.0  # seconds; a program that works shows it more often

Check = Callable[[Config, float], str | None]
"""Takes the Unix time of the program's start; returns None if it is ready, or a description of the missing part."""


def _postgres(config: Config, _: float) -> str | None:
    try:
        psycopg.connect(
            host=LOOPBACK,
            port=config.settings.postgres_port,
            user="postgres",
            password=config.credentials.postgres_password,
            connect_timeout=int(_TIMEOUT),
            require_auth=POSTGRES_LOGIN,
        ).close()
    except psycopg.OperationalError as error:
        return str(error).strip()
    return None


def _init_db(config: Config, _: float) -> str | None:
    for role in ("airflow", "mlflow", "penguins", "shipper"):
        try:
            url = config.database_url(role)
            psycopg.connect(url, connect_timeout=int(_TIMEOUT), require_auth=POSTGRES_LOGIN).close()
        except psycopg.OperationalError as error:
            return str(error).strip()
    return None


def _s3(config: Config, _: float) -> str | None:
    import boto3
    import botocore.exceptions
    from botocore.config import Config as BotoConfig

    client = boto3.client(
        "s3",
        endpoint_url=config.urls["s3"],
        region_name="us-east-1",
        aws_access_key_id=config.credentials.s3_access_key,
        aws_secret_access_key=config.credentials.s3_secret_key,
        config=BotoConfig(connect_timeout=_TIMEOUT, read_timeout=_TIMEOUT, retries={"total_max_attempts": 1}),
    )
    try:
        client.head_bucket(Bucket=BUCKET)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        return str(error)
    return None


def _mlflow(config: Config, _: float) -> str | None:
    # Not /health: that path answers before the database is reachable, and with any host header.
    return _get(f"{config.urls['mlflow']}/api/2.0/mlflow/experiments/search?max_results=1")


def _api(config: Config, _: float) -> str | None:
    return _get(f"{config.urls['api']}/health/live")


def _shipper(config: Config, started: float) -> str | None:
    from contract.counters import SHIPPER_FILE
    from contract.segments import COUNTERS

    heart = config.layout.prediction_log / COUNTERS / SHIPPER_FILE
    beating = heart.exists() and heart.stat().st_mtime >= max(started, time.time() - _SILENCE)
    return None if beating else "its first look for segments"


def _airflow_api(config: Config, _: float) -> str | None:
    return _get(f"{config.urls['airflow-api-server']}/api/v2/monitor/health")


def _airflow_job(name: str) -> Check:
    def check(config: Config, started: float) -> str | None:
        url = f"{config.urls['airflow-api-server']}/api/v2/monitor/health"
        try:
            response = _client().get(url)
            response.raise_for_status()
        except httpx.HTTPError as error:
            return f"the API server, to see its heartbeat ({error})"
        job = response.json()[name]
        heartbeat = job[f"latest_{name}_heartbeat"]
        # The last heartbeat of the previous run counts as healthy for half a minute.
        fresh = heartbeat is not None and datetime.fromisoformat(heartbeat).timestamp() >= started
        return None if job["status"] == "healthy" and fresh else "its first heartbeat"

    return check


def _get(url: str) -> str | None:
    try:
        _client().get(url).raise_for_status()
    except httpx.HTTPError as error:
        return str(error)
    return None


@cache
def _client() -> httpx.Client:
    # trust_env=False: requests to this machine must not go through a proxy.
    return httpx.Client(timeout=_TIMEOUT, trust_env=False)


def _backup(_config: Config, _started: float) -> str | None:
    return None  # it waits for its time


CHECKS: dict[str, Check] = {
    "postgres": _postgres,
    "init-db": _init_db,
    "s3": _s3,
    "mlflow": _mlflow,
    "airflow-api-server": _airflow_api,
    "airflow-scheduler": _airflow_job("scheduler"),
    "airflow-dag-processor": _airflow_job("dag_processor"),
    "airflow-triggerer": _airflow_job("triggerer"),
    "api": _api,
    "shipper": _shipper,
    "backup": _backup,
}
