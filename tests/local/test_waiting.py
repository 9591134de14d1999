import time

import pytest

from local.errors import StackError
from local.waiting import PAUSES, until


def test_the_result_is_returned() -> None:
    answers = iter([None, 0, "ready"])
    assert until(lambda: next(answers), "an answer", poll=0) == "ready"


def test_the_end_of_the_time_is_an_error() -> None:
    with pytest.raises(StackError, match="timed out after 0 s: waiting for nothing"):
        until(lambda: None, "nothing", seconds=0)


def test_an_expensive_condition_is_called_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pauses = [0.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += seconds

    def cost(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", sleep)
    costs = iter([0.0, 0.1, 30.0])
    with pytest.raises(StackError):
        until(lambda: cost(next(costs)), "nothing", seconds=20, poll=0.1)
    assert pauses == pytest.approx([0.1, PAUSES * 0.1])
