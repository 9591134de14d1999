"""Start Airflow's scheduler, after clearing up after one that was killed.

The tasks of a killed scheduler are started again by the next one only if Airflow takes the old one for dead. It judges
by the age of a heartbeat, and looks at its start and then every five minutes. Shorter times aren't safe: a scheduler
that is slow under load would take itself for dead, and start tasks again that are running. But whatever starts this
script knows that the scheduler before has ended.
"""

import os
import socket
import sys
from pathlib import Path

import psutil
import psycopg

# Variables whose values together are the same in this process and in those of its predecessor only.
MARKS = ("PENGUINS_STACK", "SUPERVISOR_PROCESS_NAME")

FORGET = """
UPDATE job SET state = 'failed'
WHERE job_type = 'SchedulerJob' AND state = 'running' AND split_part(hostname, '.', 1) = split_part(%s, '.', 1)
"""


def end_tasks() -> None:
    """End the processes of tasks that a killed scheduler has left; in a container they have ended with it.

    They can't go on: their log is a pipe that nobody reads any more. And a second try must not run beside the first.
    """
    marks = {name: os.environ.get(name) for name in MARKS}
    if not all(marks.values()):
        return
    for process in psutil.process_iter():
        try:
            theirs = process.environ()
            if process.pid != os.getpid() and {name: theirs.get(name) for name in MARKS} == marks:
                process.kill()
                print(f"ended {process.pid} of the scheduler before", flush=True)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue  # another user's process, or already ended


def forget_predecessor() -> None:
    """Note in Airflow's database that no scheduler of this machine is running."""
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "", 1)
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            # Not getfqdn, which waits for DNS on a machine without it.
            connection.execute(FORGET, [socket.gethostname()])
    except psycopg.Error as error:
        print(f"tasks of a scheduler that was killed may wait for five minutes: {error}", flush=True)


def main() -> None:
    """Clear up, and become the scheduler with the arguments of this process."""
    end_tasks()
    forget_predecessor()
    run = str(Path(__file__).with_name("run.py"))
    os.execv(sys.executable, [sys.executable, "-P", run, "scheduler", *sys.argv[1:]])  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
