"""A client that goes away at a bad moment: while a slow disk creates or writes the segment of its request."""

import socket
import sys
from pathlib import Path
from typing import Literal

from local.waiting import until
from tests.serving.service import Service

Moment = Literal["create", "sync"]

_SLOW = """
import os, pathlib, runpy, sys, time
folder, sync, create = pathlib.Path(sys.argv[1]), os.fdatasync, os.open
def wait(moment):
    (folder / moment).touch()
    time.sleep(1)
def slow_sync(file):
    if '.part' in os.readlink(f'/proc/self/fd/{file}'):
        wait('sync')
    return sync(file)
def slow_open(path, *arguments, **others):
    if str(path).endswith('.part'):
        wait('create')
    return create(path, *arguments, **others)
os.fdatasync, os.open = slow_sync, slow_open
sys.argv[1:] = []
runpy.run_module('serving', run_name='__main__')
"""


def slow_disk(folder: Path) -> tuple[str, ...]:
    """Return the command of a service with a slow disk, which leaves a file in `folder` when it begins to wait."""
    return (sys.executable, "-c", _SLOW, str(folder))


def leave(service: Service, folder: Path, moment: Moment, path: str, table: str) -> None:
    """Send a table in CSV, and go away at a moment."""
    (folder / moment).unlink(missing_ok=True)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: {len(table)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.http.base_url.port or 80)) as client:
        client.sendall((head + table).encode())
        until((folder / moment).exists, "the segment to be on its way", 60)
