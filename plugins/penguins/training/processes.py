"""Do work here while little of it is left, and otherwise in processes, which take seconds to start."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import joblib
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import ThreadpoolController

Result = TypeVar("Result")
Work = Sequence[Callable[[], Result]]
"""Functions that can be pickled."""

WORTHWHILE: Final = 3.0
"""Seconds that processes must save. Each imports scikit-learn first, which takes two seconds of a processor."""


def do_all(work: Work[Result], jobs: int) -> Iterator[Result]:
    """Do the work here until processes are worth their start for the rest of it, by the time that each took so far.

    Args:
        jobs: number of processes; -1 for one a core.

    Yields:
        The results when they are ready, in no particular order.
    """
    processes = min(joblib.effective_n_jobs(jobs), len(work))
    # As many threads as in a process, because the order of sums depends on their number; alone as many as there are.
    threads = None if processes == 1 else max(1, joblib.cpu_count() // processes)
    pools, spent = ThreadpoolController(), 0.0
    for done, each in enumerate(work):
        left = spent / max(done, 1) * (len(work) - done)
        if left - left / processes > WORTHWHILE:
            yield from do_in_processes(work[done:], jobs)
            return
        started = time.thread_time()  # not of a clock: on a busy machine processes would take longer as well
        with pools.limit(limits=threads):
            result = each()
        spent += time.thread_time() - started
        yield result


def do_in_processes(work: Work[Result], jobs: int) -> Iterator[Result]:
    """Do the work in processes, with the arguments and results of `do_all`."""
    # The arrays, which are rows of the table, go through files, and everybody may read joblib's folder in /dev/shm.
    mask = os.umask(0o077)
    try:
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
        yield from parallel(joblib.delayed(each)() for each in work)
    finally:
        # Otherwise joblib keeps its processes for minutes for a next call, beyond the end of the task.
        get_reusable_executor().shutdown(wait=True, kill_workers=True)
        os.umask(mask)
