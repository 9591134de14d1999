"""Wait until one of Airflow's components is healthy; exits with 1 and a message if it isn't after a while.

The scheduler, DAG processor and triggerer have no port. They write heartbeats into the database, and the API
server reports them. A heartbeat older than this container doesn't count.
"""

import json
import os
import sys
import time
import urllib.request
from datetime import datetime
from typing import Any

import psutil

TIMEOUT = 5.0  # seconds
PATIENCE = 20.0  # seconds; while all start, a Python for each look would take the time from them


def trouble(component: str, health: dict[str, Any], started: float) -> str | None:
    """Return the problem of the component, or None; heartbeats count from the Unix time `started` on."""
    found = health[component]
    if found["status"] != "healthy":
        return f"the {component} is {found['status']}"
    heartbeat = found.get(f"latest_{component}_heartbeat")
    if heartbeat is not None and datetime.fromisoformat(heartbeat).timestamp() < started:
        return f"the {component} hasn't sent a heartbeat since it was started"
    return None


def look(url: str, component: str, started: float) -> str | None:
    """Ask the API server at `url`, and return the problem of the component, or None."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310 - the URL is our own
            return trouble(component, json.load(response), started)
    except (OSError, ValueError) as error:
        return f"the API server at {url} can't be asked: {error}"


def main() -> None:
    """Wait for the component in the first argument: metadatabase, scheduler, dag_processor or triggerer."""
    url = f"{os.environ['AIRFLOW_HEALTH_URL']}/api/v2/monitor/health"
    started, deadline = psutil.Process(1).create_time(), time.monotonic() + PATIENCE
    while (problem := look(url, sys.argv[1], started)) and time.monotonic() < deadline:
        time.sleep(1)
    sys.exit(problem)


if __name__ == "__main__":
    main()
