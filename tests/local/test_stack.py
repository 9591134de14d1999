import os
import signal

import httpx
import psutil
import pytest

from local.errors import StackError
from local.stack import Stack
from local.waiting import until
from tests import stacks
from tests.local.processes import of_each


def processes(stack: Stack) -> list[psutil.Process]:
    supervisord = psutil.Process(int((stack.config.layout.state / "supervisord.pid").read_text()))
    return [supervisord, *supervisord.children(recursive=True)]


def pids(stack: Stack) -> dict[str, int]:
    return {name: state.pid for name, state in stack.states().items()}


def test_every_program_runs_and_answers(whole):
    expected = {name for name, program in whole.programs.items() if not program.once}

    def running() -> set[str]:
        return {name for name, state in whole.states().items() if state.state == "RUNNING"}

    # Another test may have killed one just before: its restart takes a second.
    until(lambda: running() == expected, "every program to run", 30)
    assert httpx.get(f"{whole.urls['api']}/health/live").is_success
    health = httpx.get(f"{whole.urls['airflow-api-server']}/api/v2/monitor/health").json()
    assert {part["status"] for part in health.values()} == {"healthy"}


def test_the_second_up_changes_nothing(whole):
    before = pids(whole)
    assert whole.up() is False
    assert pids(whole) == before


def test_nothing_listens_off_loopback(whole):
    listening = {
        connection.laddr.ip
        for connections in of_each(processes(whole), lambda process: process.net_connections(kind="inet"))
        for connection in connections
        if connection.status == psutil.CONN_LISTEN or not connection.raddr
    }
    assert listening == {"127.0.0.1"}


def test_children_write_bytecode_and_hold_only_their_own_secrets(whole):
    found = whole.states()
    for name in ("mlflow", "airflow-scheduler", "api"):
        variables = psutil.Process(found[name].pid).environ()
        assert "PYTHONDONTWRITEBYTECODE" not in variables
        assert ("AWS_SECRET_ACCESS_KEY" in variables) == (name == "mlflow") or "AWS_SECRET_ACCESS_KEY" in os.environ
        assert whole.config.credentials.postgres_password not in variables.values()


def test_no_password_is_on_a_command_line(whole):
    secrets = [value for name, value in whole.config.credentials if name != "s3_access_key"]
    lines = of_each(processes(whole), lambda process: " ".join(process.cmdline()))
    assert len(lines) > len(whole.programs) / 2
    assert not [line for line in lines if any(secret in line for secret in secrets)]


def test_a_killed_program_is_restarted(whole):
    killed = whole.states()["api"].pid
    os.kill(killed, signal.SIGKILL)
    until(lambda: whole.states()["api"].pid not in (0, killed), "another process")
    whole.start("api")
    assert httpx.get(f"{whole.urls['api']}/health/live").is_success


def test_one_program_stops_and_starts(whole):
    whole.stop("api")
    assert whole.states()["api"].state == "STOPPED"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{whole.urls['api']}/health/live")
    assert whole.up() is True
    assert httpx.get(f"{whole.urls['api']}/health/live").is_success


def test_changed_ports_of_a_running_stack_are_refused(whole):
    other = whole.config.settings.model_copy(update={"api_port": 1})
    with pytest.raises(StackError, match="the stack is running with API_PORT="):
        Stack(other).up()


@pytest.mark.programs
def test_a_failed_start_is_reported_with_the_log(tmp_path):
    stack = stacks.copy(tmp_path)
    (stack.config.layout.postgres / "postgresql.conf").write_text("no_such_option = 1\n")
    try:
        with pytest.raises(StackError, match=r'(?s)^postgres .*unrecognized configuration parameter "no_such_option"'):
            stack.up("postgres")
    finally:
        stack.down()
