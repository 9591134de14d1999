"""TCP ports on loopback: find free ones, and name the process that holds a taken one."""

import random
import socket
from collections.abc import Iterable

import psutil

LOOPBACK = "127.0.0.1"

# The range ends below the ports of outgoing connections on Linux (32768) and macOS (49152), also for the port
# 10000 above, which SeaweedFS uses too. A wide range makes it unlikely that two stacks choose the same port.
FREE_RANGE = range(10_000, 20_000)


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers set this option too: a port with connections in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int, reserved: Iterable[int] = ()) -> list[int]:
    """Return distinct free ports, none of them in `reserved`. Raises RuntimeError if there aren't enough."""
    excluded = set(reserved)
    found: list[int] = []
    # the system's random source: with equal seeds, as some test runners set, processes would choose equal ports
    for port in random.SystemRandom().sample(FREE_RANGE, len(FREE_RANGE)):
        if len(found) == count:
            return found
        if port not in excluded and is_free(port):
            found.append(port)
    raise RuntimeError(f"fewer than {count} free ports between {FREE_RANGE.start} and {FREE_RANGE.stop}")


def conflict(variable: str, port: int) -> str | None:
    """Return an error message if another process has the port that `variable` sets."""
    if is_free(port):
        return None
    return f"port {port} is taken by {_holder(port)}; stop that or choose another port with {variable}"


def _holder(port: int) -> str:
    """Return the name of the process that listens on the port, or "another process" if unknown."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows them to root only
        connections = []
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another process"
