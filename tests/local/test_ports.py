import os
import random
import socket

import pytest

from local.ports import LOOPBACK, conflict, free_ports, is_free
from local.settings import Settings
from tests.commands import command


@pytest.fixture
def listener():
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_free_ports_are_distinct_free_and_not_reserved():
    reserved = free_ports(50)
    ports = free_ports(50, reserved)
    assert len(set(ports)) == 50
    assert not set(ports) & set(reserved)
    assert all(is_free(port) for port in ports)


def test_processes_with_equal_seeds_choose_different_ports():
    chosen = []
    for _ in range(2):
        random.seed(1)
        chosen.append(free_ports(5))
    assert chosen[0] != chosen[1]


def test_the_holder_of_a_port_is_named(listener):
    assert not is_free(listener)
    assert f"pid {os.getpid()}" in (conflict("SOME_PORT", listener) or "")


def test_up_names_the_taken_port_the_process_and_the_variable(listener, tmp_path):
    result = command(Settings.on_free_ports(tmp_path), "up", MLFLOW_PORT=str(listener))
    assert result.returncode == 1
    assert f"port {listener} is taken by" in result.stderr
    assert f"(pid {os.getpid()})" in result.stderr
    assert "MLFLOW_PORT" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "supervisord.pid").exists()
