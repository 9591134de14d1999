import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil
import pytest

from local.config import Config
from local.errors import StackError
from local.lab import NOTEBOOK, Lab
from local.ports import LOOPBACK, free_ports, is_free
from local.settings import REPO, Settings
from local.waiting import until
from tests.commands import command
from tests.local.processes import of_each

OPEN_TO_ALL = {"ServerApp": {"ip": "0.0.0.0", "open_browser": False}, "IdentityProvider": {"token": ""}}  # noqa: S104


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return Config.of(Settings.on_free_ports(tmp_path_factory.mktemp("lab")))


@pytest.fixture(scope="module")
def server(config, tmp_path_factory):
    """JupyterLab, started by a user whose own configuration of Jupyter needs no token."""
    home = tmp_path_factory.mktemp("home")
    (home / ".jupyter").mkdir()
    (home / ".jupyter" / "jupyter_server_config.json").write_text(json.dumps(OPEN_TO_ALL))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("JUPYTER_TOKEN", "")
        patch.setenv("JUPYTER_CONFIG_DIR", str(home / ".jupyter"))
        patch.setenv("BROWSER", "true")
        with Lab(config).running() as process:
            yield psutil.Process(process.pid)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("path", ["/api/contents", "/api/kernels", f"/files/{NOTEBOOK}", "/lab"])
@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong"])
def test_a_request_without_the_token_is_refused(config, path, query):
    response = httpx.get(Lab(config).base_url + path + query)
    assert response.status_code == httpx.codes.FORBIDDEN or "/login?" in response.headers.get("location", "")


@pytest.mark.usefixtures("server")
def test_no_code_is_run_without_the_token(config):
    assert httpx.post(f"{Lab(config).base_url}/api/kernels").status_code == httpx.codes.FORBIDDEN


@pytest.mark.usefixtures("server")
def test_a_request_with_the_token_finds_the_notebook(config):
    token = {"token": config.credentials.jupyter_token}
    contents = httpx.get(f"{Lab(config).base_url}/api/contents", params=token)
    assert NOTEBOOK in [item["name"] for item in contents.json()["content"]]
    assert httpx.get(Lab(config).url, follow_redirects=True).is_success


def test_jupyterlab_listens_on_loopback_only_and_hides_its_token(config, server):
    listening = [found for found in server.net_connections(kind="tcp") if found.status == psutil.CONN_LISTEN]
    assert {found.laddr.ip for found in listening} == {LOOPBACK}
    shown = " ".join([*server.cmdline(), *server.environ().values()])
    assert config.credentials.jupyter_token not in shown
    assert (config.layout.jupyter / "jupyter_server_config.json").stat().st_mode & 0o077 == 0


@pytest.mark.programs
def test_a_failed_start_is_reported_with_the_log(tmp_path):
    config = Config.of(Settings.on_free_ports(tmp_path))
    with (
        socket.create_server((LOOPBACK, config.settings.lab_port)),
        pytest.raises(StackError, match=r"(?s)jupyterlab ended with exit status 1\n.*is not available"),
        Lab(config).running(),
    ):
        pass


def test_a_taken_port_is_reported_before_the_start(tmp_path):
    settings = Settings.on_free_ports(tmp_path)
    with socket.create_server((LOOPBACK, settings.lab_port)):
        result = command(settings, "lab")
    assert result.returncode == 1
    assert result.stderr.startswith(f"port {settings.lab_port} is taken by")
    assert result.stderr.endswith("choose another port with LAB_PORT\n")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "supervisord.pid").exists()


def kernel_of(pid: int) -> psutil.Process | None:
    """Return the process that runs a notebook's code, or None."""
    lines = of_each(psutil.Process(pid).children(recursive=True), lambda process: (process, process.cmdline()))
    return next((process for process, line in lines if any("ipykernel" in part for part in line)), None)


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """End the process also if the test fails."""
    try:
        yield
    finally:
        process.terminate()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_lab_runs_beside_the_stack_until_a_signal(whole, ending):
    (port,) = free_ports(1)  # another port than in the settings of the running stack
    ports = {name: str(number) for name, number in whole.config.settings.ports.items()} | {"LAB_PORT": str(port)}
    variables = os.environ | ports | {"PENGUINS_STATE_DIR": str(whole.config.layout.state), "BROWSER": "true"}
    arguments = (sys.executable, "-m", "local", "lab")
    with (
        subprocess.Popen(arguments, env=variables, cwd=REPO, stdout=subprocess.PIPE, text=True) as process,
        ended(process),
    ):
        assert process.stdout is not None
        url = next(line.split()[1] for line in process.stdout if line.startswith("JupyterLab: "))
        assert url == f"http://{LOOPBACK}:{port}/lab/tree/{NOTEBOOK}?token={whole.config.credentials.jupyter_token}"
        started = httpx.post(
            f"http://{LOOPBACK}:{port}/api/kernels", params={"token": whole.config.credentials.jupyter_token}
        )
        assert started.status_code == httpx.codes.CREATED
        family = psutil.Process(process.pid).children(recursive=True)
        kernel = until(lambda: kernel_of(process.pid), "the kernel")
        assert kernel.environ()["PENGUINS_API_URL"] == whole.urls["api"]
        process.send_signal(ending)
        assert process.wait() == 130
    assert psutil.wait_procs([*family, kernel], timeout=60)[1] == []
    assert is_free(port)
    assert whole.states()["mlflow"].alive
