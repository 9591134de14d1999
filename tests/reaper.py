"""Clean up after a run of the test suite: `python -m tests.reaper FOLDER`, at the end of standard input.

The run holds the other end of the pipe, so the input ends with the run, also if the run was killed.
"""

import json
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from local.orphans import has_ended, survivors
from tests.run import MARK, PROJECTS

TIMEOUT = 20.0  # seconds
SOCKETS = Path("/tmp")  # noqa: S108  SeaweedFS always puts the sockets of its gRPC ports here


def main() -> None:
    """Wait for the end of the run, then stop its processes and delete its files."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # these signals are meant for the run
        signal.signal(number, signal.SIG_IGN)
    folder = Path(sys.argv[1])
    sys.stdin.read()
    stop_all(folder)
    for project in _lines(folder / PROJECTS):
        # removes the projects of an interrupted run
        command = ("docker", "compose", "--project-name", project, "down", "--volumes", "--remove-orphans")
        subprocess.run([*command, "--rmi", "local"], capture_output=True)
    for ports in folder.rglob("s3-ports.json"):
        with suppress(OSError, ValueError):
            for name, port in json.loads(ports.read_text()).items():
                (SOCKETS / f"seaweedfs-{name.partition('.')[0]}-grpc-{port}.sock").unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)  # again, for files that an ending process wrote meanwhile


def stop_all(folder: Path) -> None:
    """Stop the processes of the run, first those that restart others."""
    for _ in range(5):
        found = marked(folder)
        stop([process for process in found if "supervisor.supervisord" in _command(process)])
        # a tracker frees the shared memory of other processes after their end
        trackers = [process for process in found if "resource_tracker" in _command(process)]
        stop([process for process in found if process not in trackers])
        stop(survivors(trackers, TIMEOUT))
        if not found:
            return


def marked(folder: Path) -> list[psutil.Process]:
    """Return the processes of the run and of runs inside it, with their children, in any order."""
    found: set[psutil.Process] = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            mark = process.environ().get(MARK)
            if mark and Path(mark).is_relative_to(folder) and not has_ended(process):
                found |= {process, *process.children(recursive=True)}
    return list(found)


def stop(processes: list[psutil.Process]) -> None:
    """Stop PostgreSQL with SIGQUIT, so that it frees its shared memory, and kill the other processes."""
    servers = [process for process in processes if _name(process) == "postgres"]
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGQUIT if process in servers else signal.SIGKILL)
    remaining = survivors(processes, TIMEOUT)
    for process in remaining:
        with suppress(psutil.Error):
            process.kill()
    survivors(remaining, TIMEOUT)


def _name(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return str(process.name())
    return ""


def _command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _lines(path: Path) -> list[str]:
    return sorted(set(path.read_text().split())) if path.exists() else []


if __name__ == "__main__":
    main()
