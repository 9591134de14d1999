"""`make doctor`: what usually goes wrong with the stack in containers, and how to mend it."""

from collections.abc import Iterator
from pathlib import Path

from ops import check_env, check_machine, check_services
from ops.docker import Compose, DockerError
from ops.finding import Finding


def examine(env_file: Path) -> Iterator[Finding]:
    """Every check, up to the first group without which the next can't be made."""
    found = [*check_machine.check_docker(), *check_env.check(env_file)]
    yield from found
    if any(finding.mend and finding.fatal for finding in found):
        return
    compose = Compose(env_file)
    try:
        yield from check_machine.check_room()
        yield from check_machine.check_ports(compose)
        yield from check_services.check(compose)
    except DockerError as error:
        yield Finding(f"Docker can't tell: {error}", "docker compose config --quiet")


def main(env_file: Path) -> int:
    """Print the findings as they come; returns 1 if one is fatal."""
    healthy = True
    for finding in examine(env_file):
        print(finding, flush=True)
        healthy = healthy and not (finding.mend and finding.fatal)
    return 0 if healthy else 1
