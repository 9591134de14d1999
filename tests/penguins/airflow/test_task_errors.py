import psycopg
import pytest
import requests

from penguins.airflow.task_errors import RETRIES, Refused, Unavailable, report_user_errors
from penguins.errors import UserError


def failing_with(error: Exception) -> None:
    @report_user_errors
    def task() -> None:
        raise error

    task()


def test_a_mistake_is_logged_once_and_not_retried(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Refused, match="no such file") as raised:
        failing_with(UserError("no such file"))
    assert caplog.messages == ["no such file"]
    decision = RETRIES["retry_policy"].evaluate(raised.value, try_number=1, max_tries=3)
    assert decision.action.value == "fail"


def test_a_dead_postgres_is_named_and_retried() -> None:
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect("host=127.0.0.1 port=1")
    with pytest.raises(Unavailable, match=r"Postgres doesn't answer.*port 1 failed") as raised:
        failing_with(refused.value)
    decision = RETRIES["retry_policy"].evaluate(raised.value, try_number=1, max_tries=3)
    assert decision.action.value == "default"


def test_a_dead_mlflow_is_named_and_retried() -> None:
    with pytest.raises(requests.ConnectionError) as refused:
        requests.get("http://127.0.0.1:1", timeout=1)
    with pytest.raises(Unavailable, match=r"MLflow at http.* doesn't answer: .*127.0.0.1"):
        failing_with(refused.value)


def test_a_bug_keeps_its_stack_trace() -> None:
    with pytest.raises(ZeroDivisionError):
        failing_with(ZeroDivisionError("division by zero"))


def test_the_wrapped_task_keeps_its_name_and_signature() -> None:
    @report_user_errors
    def load(params: dict[str, str]) -> str:
        """Docs."""
        return params["source"]

    assert (load.__name__, load.__doc__, load({"source": "x"})) == ("load", "Docs.", "x")
