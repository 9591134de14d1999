"""Checks of the machine: Docker, disk, memory and ports."""

import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ops.docker import Compose, DockerError, docker
from ops.finding import Finding

_MIN_COMPOSE = (2, 20)
_MIN_DISK = 8  # GB: images, their build, and room for data
_MIN_MEMORY = 4  # GB
_GB = 10**9


def check_docker() -> Iterator[Finding]:
    """Check Docker, its daemon and Compose."""
    if shutil.which("docker") is None:
        yield Finding("Docker isn't installed", "https://docs.docker.com/engine/install/")
        return
    try:
        yield Finding(f"Docker {docker('version', '--format', '{{.Server.Version}}')}")
    except DockerError as error:
        yield Finding(
            f"the Docker daemon doesn't answer: {error}",
            "start it: sudo systemctl start docker; or, if it isn't allowed to you: sudo usermod -aG docker $USER",
        )
    yield _compose()


def _compose() -> Finding:
    required = ".".join(map(str, _MIN_COMPOSE))
    fix = f"install the plugin, {required} or later: https://docs.docker.com/compose/install/linux/"
    try:
        version = docker("compose", "version", "--short")
    except DockerError:
        return Finding("Docker has no command compose", fix)
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    return Finding(f"Compose {version}") if numbers >= _MIN_COMPOSE else Finding(f"Compose {version} is too old", fix)


def check_room(free_percent: float = 10) -> Iterator[Finding]:
    """Check disk and memory of Docker's machine. Raises DockerError.

    Args:
        free_percent: part of the disk below which there is a warning.
    """
    root, memory = docker("info", "--format", "{{.DockerRootDir}} {{.MemTotal}}").rsplit(" ", 1)
    if Path(root).exists():  # Docker Desktop runs a virtual machine with a disk of its own
        yield _disk(root, free_percent)
    total = int(memory) / _GB
    yield (
        Finding(f"{total:.0f} GB of memory")
        if total >= _MIN_MEMORY
        else Finding(
            f"Docker has {total:.1f} GB of memory, a training needs {_MIN_MEMORY}",
            "give it more (Docker Desktop: Settings → Resources)",
            fatal=False,
        )
    )


def _disk(root: str, free_percent: float) -> Finding:
    disk = shutil.disk_usage(root)
    free, share = disk.free / _GB, 100 * disk.free / (disk.free + disk.used)
    text = f"{free:.0f} GB free in {root}"
    if free < _MIN_DISK:
        needed = f"only {text}, the images and their build need {_MIN_DISK}"
        return Finding(needed, "docker system prune, or make room", fatal=False)
    if share < free_percent:
        fix = "make compose-housekeeping, or make room; docs/how-to/keep-house.md"
        return Finding(f"only {text}, {share:.1f}% of the disk", fix, fatal=False)
    return Finding(text)


def check_ports(compose: Compose) -> Iterator[Finding]:
    """Check that every published port is free or held by the stack. Raises DockerError."""
    own = {item["PublishedPort"] for container in compose.containers() for item in container["Publishers"] or ()}
    ports = {int(port["published"]): service for service, port in _published(compose.config())}
    taken = [
        Finding(
            f"port {number}, for {service}, is taken by {_holder(number)}",
            "stop that (make down, if it is the embedded stack), or choose another port in .env",
        )
        for number, service in ports.items()
        if number not in own and not _is_free(number)
    ]
    yield from taken or [Finding(f"ports {', '.join(map(str, sorted(ports)))} are free or ours")]


def _published(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, service in config["services"].items():
        for port in service.get("ports", ()):
            yield name, port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Servers set this option too: a port with connections in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    names = docker("ps", "--filter", f"publish={port}", "--format", "{{.Names}}").split()
    return f"the container {names[0]}" if names else "another program"
