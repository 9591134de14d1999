"""Check the health of one of Airflow's components; exits with 1 and a message if the component isn't healthy.

The scheduler, DAG processor and triggerer have no port. They write heartbeats into the database, and the API
server reports them. A heartbeat older than this container doesn't count.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any

import psutil

TIMEOUT = 5.0  # seconds


def trouble(component: str, health: dict[str, Any], started: float) -> str | None:
    """Return the problem of the component, or None; heartbeats count from the Unix time `started` on."""
    found = health[component]
    if found["status"] != "healthy":
        return f"the {component} is {found['status']}"
    heartbeat = found.get(f"latest_{component}_heartbeat")
    if heartbeat is not None and datetime.fromisoformat(heartbeat).timestamp() < started:
        return f"the {component} hasn't sent a heartbeat since it was started"
    return None


def main() -> None:
    """Check the component in the first argument: metadatabase, scheduler, dag_processor or triggerer."""
    component = sys.argv[1]
    url = f"{os.environ['AIRFLOW_HEALTH_URL']}/api/v2/monitor/health"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310 - the URL is our own
            health = json.load(response)
    except (urllib.error.URLError, TimeoutError) as error:
        sys.exit(f"the API server at {url} can't be asked: {error}")
    sys.exit(trouble(component, health, psutil.Process(1).create_time()))


if __name__ == "__main__":
    main()
