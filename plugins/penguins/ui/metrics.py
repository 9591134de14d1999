"""`GET /penguins/metrics`: gauges of monitoring and DAGs for Prometheus, as the service's, without a login.

An application of its own, because the page's imports MLflow's client, which a scrape doesn't need.
"""

import logging
from http import HTTPStatus

import psycopg
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from sqlalchemy.exc import DBAPIError

from penguins import contracts
from penguins.airflow import dag_gauges, database
from penguins.monitoring import gauges
from penguins.ui import disk

log = logging.getLogger(__name__)

app = FastAPI(title="Penguins: metrics", docs_url=None, redoc_url=None, openapi_url=None)


@app.get("/metrics")
def metrics() -> PlainTextResponse:
    """Return the gauges."""
    found = contracts.read_all()
    with database.connect() as connection:
        text = gauges.exposition(connection, [*found.good, *found.broken]) + disk.exposition(connection)
    text += dag_gauges.exposition()
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@app.exception_handler(psycopg.Error)
@app.exception_handler(DBAPIError)
def _failed(_request: object, error: Exception) -> PlainTextResponse:
    log.warning("no gauges: %s", error)  # it names hosts, roles and statements, and the answer needs no login
    text = "Postgres doesn't answer: the log of Airflow's API server says why\n"
    return PlainTextResponse(text, HTTPStatus.SERVICE_UNAVAILABLE)
