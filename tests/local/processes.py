"""Inspect processes that may end at any time."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

import psutil

Answer = TypeVar("Answer")


def of_each(processes: Iterable[psutil.Process], ask: Callable[[psutil.Process], Answer]) -> list[Answer]:
    """Return the answer for each process; skip processes that have ended."""
    answers = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            answers.append(ask(process))
    return answers
