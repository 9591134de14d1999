"""Processes that may end while they are looked at."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

import psutil

Answer = TypeVar("Answer")


def of_each(processes: Iterable[psutil.Process], ask: Callable[[psutil.Process], Answer]) -> list[Answer]:
    """What is found out about each process but those that have ended meanwhile, as short-lived children do."""
    answers = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            answers.append(ask(process))
    return answers
