"""`make doctor`: check the stack in containers for common problems, and print how to fix them."""

from collections.abc import Iterator
from pathlib import Path

from ops import check_env, check_machine, check_services, dotenv
from ops.docker import Compose, DockerError
from ops.finding import Finding


def examine(env_file: Path) -> Iterator[Finding]:
    """Run all checks; stop after a fatal finding in the checks that later ones depend on."""
    found = [*check_machine.check_docker(), *check_env.check(env_file)]
    yield from found
    if any(finding.fix and finding.fatal for finding in found):
        return
    compose = Compose(env_file)
    try:
        yield from check_machine.check_room(_free_percent(env_file))
        yield from check_machine.check_ports(compose)
        yield from check_services.check(compose)
    except DockerError as error:
        yield Finding(f"Docker can't tell: {error}", "docker compose config --quiet")


def _free_percent(env_file: Path) -> float:
    """Return PENGUINS_DISK_FREE_PERCENT, or its default while it has no value that can be used."""
    try:
        return float(dotenv.parse(env_file.read_text())["PENGUINS_DISK_FREE_PERCENT"])
    except (KeyError, ValueError):
        return 10


def name_unsigned(env_file: Path) -> int:
    """Print each finding about signatures, after a start. Return 0: they keep nothing from running."""
    try:
        for finding in check_services.check_signed(Compose(env_file)):
            print(finding, flush=True)
    except DockerError as error:
        print(f"whether all versions are signed is unknown: {error}", flush=True)
    return 0


def main(env_file: Path) -> int:
    """Print each finding and return the exit status: 1 if one is fatal, otherwise 0."""
    healthy = True
    for finding in examine(env_file):
        print(finding, flush=True)
        healthy = healthy and not (finding.fix and finding.fatal)
    return 0 if healthy else 1
