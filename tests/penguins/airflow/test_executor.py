"""The executor's wait for what tasks report."""

import time

import pytest
from airflow.models.taskinstancekey import TaskInstanceKey
from airflow.utils.state import TaskInstanceState

from penguins.airflow import executor


def test_the_scheduler_waits_for_the_report_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = executor.LocalExecutor()
    waiting.start()

    monkeypatch.setattr(executor, "WAIT_SECONDS", 0.3)
    begun = time.monotonic()
    waiting.sync()
    assert time.monotonic() - begun >= 0.3  # a turn costs processor time

    key = TaskInstanceKey("dag", "task", "run")
    waiting.running.add(key)
    waiting.result_queue.put((key, TaskInstanceState.SUCCESS, None))
    monkeypatch.setattr(executor, "WAIT_SECONDS", 1000)
    waiting.sync()  # the time limit of the test ends it otherwise
    assert waiting.get_event_buffer() == {key: (TaskInstanceState.SUCCESS, None)}
    waiting.end()
