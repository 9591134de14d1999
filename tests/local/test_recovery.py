"""Recovery after a crash: processes and files left by it."""

import os
import signal

import boto3
import psutil
import psycopg
import pytest

from local.environment import BUCKET
from local.errors import StackError
from local.orphans import orphans
from local.settings import Settings
from local.stack import Stack
from local.waiting import until
from tests import stacks


@pytest.fixture
def small(tmp_path):
    with stacks.copy(tmp_path).running("init-db", "s3") as stack:
        # S3 logs during its start, and a write to the closed pipe of a killed supervisord would end it
        until(lambda: "Press Ctrl+C" in stack.config.layout.log("s3").read_text(), "S3 to finish its start")
        yield stack


def crash(stack: Stack) -> None:
    supervisord = psutil.Process(int((stack.config.layout.state / "supervisord.pid").read_text()))
    supervisord.send_signal(signal.SIGKILL)
    supervisord.wait(10)


def bucket(stack: Stack):
    credentials = stack.config.credentials
    return boto3.resource(
        "s3",
        endpoint_url=stack.urls["s3"],
        region_name="us-east-1",
        aws_access_key_id=credentials.s3_access_key,
        aws_secret_access_key=credentials.s3_secret_key,
    ).Bucket(BUCKET)


def test_up_works_after_supervisord_was_killed_and_keeps_the_data(small):
    with psycopg.connect(small.config.database_url("penguins")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS x")
    bucket(small).put_object(Key="kept", Body=b"1" * 5_000_000)
    crash(small)
    assert len(orphans(small.config)) >= 2
    assert small.states() == {}

    assert small.up("init-db", "s3") is True

    with psycopg.connect(small.config.database_url("penguins")) as connection:
        assert connection.execute("SELECT x FROM kept").fetchall() == [(1,)]
    assert bucket(small).Object("kept").content_length == 5_000_000


def test_down_stops_orphans_after_a_crash(small):
    crash(small)
    assert small.down() is True
    assert orphans(small.config) == []
    assert not small.config.layout.run.exists()
    assert small.down() is False


@pytest.mark.programs
def test_a_stack_of_an_older_version_can_be_stopped(tmp_path, monkeypatch):
    newer = stacks.copy(tmp_path)
    older = {name: program for name, program in newer.programs.items() if name != "shipper"}
    with monkeypatch.context() as patch:
        patch.setattr("local.stack.all_programs", lambda _: older)
        newer.up("s3")
    stack = Stack(newer.config.settings)
    with pytest.raises(StackError, match="has no shipper; stop it first"):
        stack.up("s3", "shipper")
    assert stack.down() is True
    assert orphans(stack.config) == []


def test_up_works_after_a_reboot(small):
    crash(small)
    killed = orphans(small.config)
    for process in killed:
        process.kill()
    psutil.wait_procs(killed)  # an ending process has lost its mark, but may still hold its ports
    pid_file = small.config.layout.postgres / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))  # the pid of another process, as after a reboot
    small.config.layout.remove_run()  # a reboot empties the temporary directory
    assert small.up("init-db", "s3") is True


def test_down_keeps_the_processes_of_another_stack(small, tmp_path):
    other = Stack(Settings.on_free_ports(tmp_path / "other"))
    before = {name: state.pid for name, state in small.states().items()}
    assert other.down() is False
    assert {name: state.pid for name, state in small.states().items()} == before


@pytest.mark.programs
def test_a_deep_state_directory_works(tmp_path):
    deep = tmp_path / ("a directory with 100% 'ugly' name" * 3) / ("x" * 60)
    with Stack(Settings.on_free_ports(deep)).running("init-db", "s3") as stack:
        assert stack.states()["postgres"].state in ("STARTING", "RUNNING")
