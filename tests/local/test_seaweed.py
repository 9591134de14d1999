"""The internal ports of the S3 server, asked by a local user without its certificate."""

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from local import seaweed
from local.config import Config
from local.settings import Settings
from local.stack import Stack

REQUEST = b"GET /dir/assign HTTP/1.0\r\n\r\n"


@pytest.fixture(scope="module")
def ports(stack: Stack) -> list[int]:
    """Every port that the S3 server listens on, but the two with a login."""
    listening = {
        connection.laddr.port
        for connection in psutil.Process(stack.states()["s3"].pid).net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    settings = stack.config.settings
    internal = listening - {settings.s3_port, settings.s3_console_port}
    assert internal == set(json.loads(stack.config.layout.s3_ports.read_text()).values())
    return sorted(internal)


def said(connection: socket.socket) -> bytes:
    """Return the answer to a request without TLS or a certificate, or nothing if the connection is cut."""
    try:
        connection.sendall(REQUEST)
        return connection.recv(1000)
    except (ConnectionError, ssl.SSLError):
        return b""


def connections(ports: list[int]) -> Iterator[socket.socket]:
    for port in ports:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            yield connection


def test_no_internal_port_answers_without_tls(ports):
    answers = [said(connection) for connection in connections(ports)]
    assert len(answers) == 8
    assert {answer.partition(b"\r\n")[0] for answer in answers} <= {b"", b"HTTP/1.0 400 Bad Request"}


def test_no_internal_port_answers_a_client_without_a_certificate(ports):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    for connection in connections(ports):
        with context.wrap_socket(connection) as encrypted:
            assert said(encrypted) == b""


def test_no_internal_port_takes_another_certificate(ports, tmp_path):
    seaweed.create_certificate(tmp_path / "certificate.pem", tmp_path / "key.pem")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    context.set_alpn_protocols(["h2", "http/1.1"])
    for connection in connections(ports):
        with context.wrap_socket(connection) as encrypted:
            assert said(encrypted) == b""


def test_the_server_itself_is_let_in_and_only_its_owner_has_the_key(stack):
    certificate, key = stack.config.layout.s3_certificate, stack.config.layout.s3_key
    assert {path.stat().st_mode & 0o777 for path in (certificate, key)} == {0o600}
    context = ssl.create_default_context(cafile=str(certificate))
    context.load_cert_chain(certificate, key)
    port = json.loads(stack.config.layout.s3_ports.read_text())["master.port"]
    assert httpx.get(f"https://127.0.0.1:{port}/dir/status", verify=context).json()["Topology"]


def test_another_users_folder_by_the_name_of_a_socket_stops_nothing(tmp_path):
    config = Config.of(Settings.on_free_ports(tmp_path / "state"))
    seaweed.prepare(config)
    ports = json.loads(config.layout.s3_ports.read_text())
    name = "/tmp/seaweedfs-{}-grpc-{}.sock"  # noqa: S108 (where SeaweedFS puts them)
    folder, socket_of_a_crash = (Path(name.format(part, ports[f"{part}.port.grpc"])) for part in ("master", "volume"))
    folder.mkdir()
    try:
        socket_of_a_crash.touch()
        Stack(config.settings).down()
        assert not socket_of_a_crash.exists()
    finally:
        folder.rmdir()
