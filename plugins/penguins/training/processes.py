"""Do work in forked processes. They have what this one has imported and read, and start within milliseconds."""

import ctypes
import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import joblib
from threadpoolctl import threadpool_limits

Result = TypeVar("Result")

PR_SET_PDEATHSIG: Final = 1

_work: Sequence[Callable[[], Any]] = ()
"""In a process: all of the work."""


def do_all(work: Sequence[Callable[[], Result]], jobs: int) -> Iterator[Result]:
    """Do the work in processes with a thread each, which end with it; a single one here.

    More threads would need OpenMP, which can't be used in a fork of a process that has used it.

    Args:
        jobs: number of processes; -1 for one a core.

    Yields:
        The results when they are ready, in no particular order.

    Raises:
        RuntimeError: a process was killed.
    """
    processes = min(joblib.effective_n_jobs(jobs), len(work))
    if processes <= 1:
        yield from (each() for each in work)
        return
    with _started(work, processes) as futures:
        try:
            for done in as_completed(futures):
                yield done.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                "A process that fits was killed, perhaps because there was too little memory. Set PENGUINS_JOBS to "
                "fewer processes."
            ) from error


@contextmanager
def done_beside(work: Callable[[], Result]) -> Iterator[Future[Result]]:
    """Do a piece of work in a process with a thread beside the block, at whose end it is killed if it isn't done.

    A process that may have no processes of its own, such as a worker of Celery, does it before the block.
    """
    if multiprocessing.current_process().daemon:
        done: Future[Result] = Future()
        done.set_result(work())
        yield done
        return
    with _started([work], 1) as (future,):
        yield future


@contextmanager
def _started(work: Sequence[Callable[[], Result]], processes: int) -> Iterator[list[Future[Result]]]:
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _begin, (work, os.getpid()))
    futures: list[Future[Result]] = [executor.submit(_do, place) for place in range(len(work))]
    own = set(multiprocessing.active_children()) - others
    try:
        yield futures
    finally:
        for process in own:  # they may be in the middle of a fit
            process.kill()
        executor.shutdown(cancel_futures=True)


def _begin(work: Sequence[Callable[[], Any]], parent: int) -> None:
    """Prepare a process: it ends with its parent, also when that is killed."""
    global _work
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    gc.freeze()  # looking through what was inherited would copy it
    threadpool_limits(1)
    _work = work


def _do(place: int) -> Any:
    return _work[place]()
