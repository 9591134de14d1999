"""TCP ports on loopback: which are free, and who has the ones that are not."""

import random
import socket
from collections.abc import Iterable

import psutil

LOOPBACK = "127.0.0.1"

# Below the ranges from which Linux (32768) and macOS (49152) take the ports of outgoing connections, so
# that a port chosen here can't be lost to one, nor the one 10000 above it, which SeaweedFS uses too; and
# wide, so that two stacks that choose at the same time hardly ever choose the same.
_FREE_RANGE = range(10_000, 20_000)


def is_free(port: int) -> bool:
    """Whether a server could listen on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are only timing out counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int, reserved: Iterable[int] = ()) -> list[int]:
    """Distinct free ports, none of them in `reserved`. Raises RuntimeError when there aren't enough."""
    excluded = set(reserved)
    found: list[int] = []
    # the system's source: processes whose own was seeded alike, as some test runners do, would choose the same
    for port in random.SystemRandom().sample(_FREE_RANGE, len(_FREE_RANGE)):
        if len(found) == count:
            return found
        if port not in excluded and is_free(port):
            found.append(port)
    raise RuntimeError(f"fewer than {count} free ports between {_FREE_RANGE.start} and {_FREE_RANGE.stop}")


def conflict(variable: str, port: int) -> str | None:
    """What to tell the user if another process has the port that `variable` sets."""
    if is_free(port):
        return None
    return f"port {port} is taken by {_holder(port)}; stop that or choose another port with {variable}"


def _holder(port: int) -> str:
    """The process that listens on the port; "another process" where it can't be seen."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows them to root only
        connections = []
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another process"
