"""`GET /penguins/metrics`: gauges of the monitoring for Prometheus, as the service's, without a login.

An application of its own, because the page's imports MLflow's client, which a scrape doesn't need.
"""

from http import HTTPStatus

import psycopg
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from penguins.airflow import database
from penguins.monitoring import gauges

app = FastAPI(title="Penguins: metrics", docs_url=None, redoc_url=None, openapi_url=None)


@app.get("/metrics")
def metrics() -> PlainTextResponse:
    """Return the gauges."""
    with database.connect() as connection:
        return PlainTextResponse(gauges.exposition(connection), media_type="text/plain; version=0.0.4; charset=utf-8")


@app.exception_handler(psycopg.Error)
def _failed(_request: object, error: Exception) -> PlainTextResponse:
    return PlainTextResponse(f"Postgres doesn't answer: {error}\n", HTTPStatus.SERVICE_UNAVAILABLE)
