"""Work that is done here or in processes."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from threadpoolctl import threadpool_info

from penguins.training import processes
from penguins.training.processes import do_all


@pytest.fixture
def worthwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make any work worth the start of processes, once a part of it was done."""
    monkeypatch.setattr(processes, "WORTHWHILE", 0.0)


def count_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info()]


def test_little_work_starts_no_process() -> None:
    assert list(do_all([os.getpid] * 100, 2)) == [os.getpid()] * 100


@pytest.mark.usefixtures("worthwhile")
def test_one_job_starts_no_process() -> None:
    assert list(do_all([os.getpid] * 3, 1)) == [os.getpid()] * 3


@pytest.mark.usefixtures("worthwhile")
def test_the_rest_of_much_work_is_done_in_processes_that_end_with_it() -> None:
    first, *others = do_all([os.getpid] * 5, 2)
    assert (first, len(others)) == (os.getpid(), 4)
    assert os.getpid() not in others
    assert not any(psutil.pid_exists(pid) for pid in others)


def mode_of_folder(rows: np.ndarray) -> int | None:
    """Return the mode of the folder in which the file is that an array comes from."""
    return Path(rows.filename or "").parent.stat().st_mode & 0o777 if isinstance(rows, np.memmap) else None


@pytest.mark.usefixtures("worthwhile")
def test_rows_on_their_way_to_processes_are_nobody_elses_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBLIB_TEMP_FOLDER")  # which joblib's own folder would be in, and not in /dev/shm
    rows = np.zeros(1_000_000)
    assert list(do_all([partial(mode_of_folder, rows)] * 3, 2)) == [None, 0o700, 0o700]


@pytest.mark.usefixtures("worthwhile")
def test_a_fit_has_as_many_threads_here_as_in_a_process() -> None:
    before = count_threads()
    here, *others = do_all([count_threads] * 3, 2)
    assert {*here} == {number for each in others for number in each} == {max(1, (os.cpu_count() or 1) // 2)}
    assert count_threads() == before
