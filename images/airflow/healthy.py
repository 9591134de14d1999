"""Ask Airflow whether one of its components is really at work; exits with 1 and a line if it is not.

The scheduler and its like have no port to ask. They write a heartbeat into the database, which the API
server tells. One from before this container was started doesn't count.
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
    """What is wrong with the component; `started` is the Unix time from which on a heartbeat counts."""
    found = health[component]
    if found["status"] != "healthy":
        return f"the {component} is {found['status']}"
    heartbeat = found.get(f"latest_{component}_heartbeat")
    if heartbeat is not None and datetime.fromisoformat(heartbeat).timestamp() < started:
        return f"the {component} hasn't sent a heartbeat since it was started"
    return None


def main() -> None:
    """`healthy.py COMPONENT`: metadatabase, scheduler, dag_processor or triggerer."""
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
