"""Work that is done here or in processes."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing.queues import SimpleQueue

import numpy as np
import psutil
import pytest
from threadpoolctl import threadpool_info

from local.environment import library
from local.waiting import until
from penguins.training.processes import do_all, done_beside

WORK_THAT_TAKES_LONG = """
import time
from functools import partial
from penguins.training.processes import do_all
for _ in do_all([partial(time.sleep, 600)] * 2, 2):
    pass
"""


def count_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info()]


def test_one_job_starts_no_process() -> None:
    assert list(do_all([os.getpid] * 3, 1)) == [os.getpid()] * 3


def test_a_single_piece_of_work_starts_no_process() -> None:
    assert list(do_all([os.getpid], 2)) == [os.getpid()]


def test_more_is_done_in_processes_that_end_with_it() -> None:
    found = list(do_all([os.getpid] * 5, 2))
    assert len(found) == 5
    assert os.getpid() not in found
    assert not any(psutil.pid_exists(pid) for pid in found)


def test_work_that_is_given_up_ends_at_once() -> None:
    results = do_all([os.getpid, partial(time.sleep, 600), partial(time.sleep, 600)], 2)
    fitting = next(results)
    started = time.monotonic()
    results.close()
    assert time.monotonic() - started < 60
    assert not psutil.pid_exists(fitting)


def test_rows_are_nobody_elses_to_read() -> None:
    rows = np.zeros(1_000_000)
    address = rows.ctypes.data
    # They are in the memory that a process has of its parent: in no file, which others could open.
    assert list(do_all([lambda: (rows.ctypes.data, type(rows))] * 2, 2)) == [(address, np.ndarray)] * 2


def test_a_process_has_one_thread_for_a_fit() -> None:
    before = count_threads()
    assert {number for each in do_all([count_threads] * 3, 2) for number in each} == {1}
    assert count_threads() == before


def test_processes_end_with_their_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", WORK_THAT_TAKES_LONG], env=os.environ | library())
    try:
        until(lambda: len(psutil.Process(parent.pid).children()) == 2, "two processes")
        fitting = psutil.Process(parent.pid).children()
    finally:
        parent.kill()
        parent.wait()
    assert psutil.wait_procs(fitting, timeout=60)[1] == []


def test_a_process_that_is_killed_is_reported() -> None:
    with pytest.raises(RuntimeError, match="A process that fits was killed.*PENGUINS_JOBS"):
        list(do_all([partial(os.kill, 0, 0), lambda: os.kill(os.getpid(), signal.SIGKILL)], 2))


def test_work_is_done_beside_a_block_and_ends_with_it() -> None:
    with done_beside(os.getpid) as found:
        assert found.result() not in (os.getpid(), None)
    started, others = time.monotonic(), psutil.Process().children()
    with done_beside(partial(time.sleep, 600)):
        (child,) = set(psutil.Process().children()) - set(others)
    until(lambda: not child.is_running(), "the end of the process")
    assert time.monotonic() - started < 60


def beside_in_a_daemon(told: SimpleQueue[int]) -> None:
    with done_beside(os.getpid) as found:
        told.put(found.result())


def test_a_process_that_may_have_none_does_the_work_itself() -> None:
    """As a worker of Celery is."""
    forked = multiprocessing.get_context("fork")
    told: SimpleQueue[int] = forked.SimpleQueue()
    daemon = forked.Process(target=beside_in_a_daemon, args=(told,), daemon=True)
    daemon.start()
    daemon.join(60)
    assert (daemon.exitcode, told.empty()) == (0, False)
    assert told.get() == daemon.pid
