"""Checks of the stack's containers."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from ops import check_signatures
from ops.docker import Compose, DockerError, docker
from ops.finding import Finding

# Pattern in a service's last log line → the fix.
_FIXES = {
    r"password authentication failed": "the volume was made with another password: put that into .env, "
    "or delete all data with: docker compose down --volumes",
    r"data of PostgreSQL \d+": "docs/how-to/compose.md, 'Another major version of PostgreSQL'",
    r"changed by version": "docs/how-to/compose.md, 'Upgrade'",
    r"restore into this volume": "docker compose --profile '*' down --volumes, then make compose-restore again",
    r"refuses the bucket": "give minio and its clients the same keys, those of .env: make compose-up",
}


def check(compose: Compose) -> Iterator[Finding]:
    """Check the volume, the containers and the served model. Raises DockerError."""
    yield from _volume(compose)
    containers = compose.containers()
    services = compose.config()["services"].items()
    lasting = {name for name, service in services if service.get("restart") == "unless-stopped"}
    trouble = [_trouble(compose, container) for container in containers if _is_in_trouble(container, lasting)]
    yield from trouble or [Finding("every container is well" if containers else "no container was started yet")]
    for container in _running(containers, "api"):
        yield from _model(container)
    yield from check_signed(compose)


def check_signed(compose: Compose) -> Iterator[Finding]:
    """Check the signatures of the versions in Production. Raises DockerError."""
    keys = compose.config()["services"]["api"]["environment"].get("SERVING_API_KEYS")
    for container in _running(compose.containers(), "api"):
        yield from check_signatures.check(f"http://127.0.0.1:{_port(container)}", keys or "")


def _running(containers: list[dict[str, Any]], service: str) -> list[dict[str, Any]]:
    return [each for each in containers if each["Service"] == service and each["State"] == "running"]


def _port(container: dict[str, Any]) -> int:
    return next(int(item["PublishedPort"]) for item in container["Publishers"] if item["PublishedPort"])


def _volume(compose: Compose) -> Iterator[Finding]:
    volume = compose.config()["volumes"]["postgres"]["name"]
    if not docker("volume", "ls", "--quiet", "--filter", f"name=^{volume}$"):
        return
    try:
        compose.run("run", "--rm", "--no-deps", "--no-TTY", "postgres-volume")
    except DockerError as error:
        yield Finding(f"postgres: {error}", _fix(str(error)))


def _is_in_trouble(container: dict[str, Any], lasting: set[str]) -> bool:
    ended = container["State"] == "exited" and (container["ExitCode"] != 0 or container["Service"] in lasting)
    return ended or container["State"] in ("restarting", "dead") or container["Health"] == "unhealthy"


def _trouble(compose: Compose, container: dict[str, Any]) -> Finding:
    service, line = container["Service"], compose.last_line(container["Service"])
    return Finding(f"{service} is {container['Health'] or container['State']}: {line}", _fix(line, service))


def _fix(line: str, service: str = "postgres") -> str:
    known = (fix for pattern, fix in _FIXES.items() if re.search(pattern, line))
    return next(known, f"read more: docker compose logs {service}")


def _model(container: dict[str, Any]) -> Iterator[Finding]:
    try:
        with urlopen(f"http://127.0.0.1:{_port(container)}/health/ready", timeout=5):
            yield Finding("the prediction service has a model")
    except HTTPError as error:
        reason = json.load(error).get("detail", error.reason)
        yield Finding(f"the prediction service isn't ready: {reason}", "train one: trigger the DAG in Airflow", False)
    except OSError as error:  # connection refused, closed or timed out
        yield Finding(f"the prediction service doesn't answer: {error}", "docker compose logs api")
