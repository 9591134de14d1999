"""The pipeline's database outside of Airflow's tasks."""

import os
from contextlib import AbstractContextManager
from typing import Any

import psycopg
from psycopg import Connection

from penguins.settings import settings


def connect() -> AbstractContextManager[Connection[Any]]:
    """Open the pipeline's database by the address in the environment, or else by Airflow's connection."""
    address = os.environ.get(f"AIRFLOW_CONN_{settings().connection_id.upper()}", "")
    # Airflow has its own syntax for other addresses.
    plain_address = address.startswith("postgresql://") and "?" not in address
    if plain_address and "AIRFLOW__SECRETS__BACKEND" not in os.environ:
        return psycopg.connect(address, autocommit=True)
    from penguins.airflow import database  # imports Airflow, which takes two seconds

    return database.connect()
