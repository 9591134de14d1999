"""The edge: TLS, one login in front of what has none, limits and headers."""

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from local.ports import free_ports
from local.waiting import until
from tests.compose.stack import ComposeStack, run
from tests.e2e.deployment import PENGUIN, Made

Ask = Callable[..., httpx.Response]
UNLOCKED = {"airflow": "/", "api": "/docs", "mlflow": "/", "s3": "/", "prometheus": "/-/ready", "alerts": "/"}


@contextmanager
def asking(port: str, password: str, root: str) -> Iterator[Ask]:
    """Send requests to a name of the edge, whose certificate is checked; `login` is for the edge's own user."""
    with httpx.Client(verify=ssl.create_default_context(cadata=root), trust_env=False, timeout=30) as client:

        def send(name: str, path: str, method: str = "GET", login: bool = True, **more: object) -> httpx.Response:
            client.cookies.clear()
            headers = {"Host": f"{name}.localhost:{port}"} | more.pop("headers", {})  # type: ignore[operator]
            return client.request(
                method,
                f"https://127.0.0.1:{port}{path}",
                headers=headers,
                auth=("penguins", password) if login else None,
                extensions={"sni_hostname": f"{name}.localhost"},
                **more,  # type: ignore[arg-type]
            )

        yield send


@pytest.fixture(scope="module")
def ask(compose: ComposeStack) -> Iterator[Ask]:
    """The edge of the stack, with certificates of its own CA."""
    root = compose.execute("edge", "cat", "/var/lib/edge/caddy/pki/authorities/local/root.crt")
    with asking(compose.variables["EDGE_PORT"], compose.variables["EDGE_PASSWORD"], root) as send:
        yield send


@pytest.mark.parametrize("name", UNLOCKED)
def test_one_login_opens_what_has_none(ask: Ask, name: str) -> None:
    answer = ask(name, UNLOCKED[name])
    assert answer.status_code == 200
    for header, value in {
        "strict-transport-security": "max-age=31536000",
        "x-content-type-options": "nosniff",
    }.items():
        assert answer.headers[header] == value
    assert answer.headers["x-frame-options"] == ("DENY" if name == "api" else "SAMEORIGIN")  # its own is stricter
    locked = ask(name, UNLOCKED[name], login=False)
    assert locked.status_code == (200 if name == "airflow" else 401)
    wrong = ask(name, "/penguins/metrics", login=False, headers={"Authorization": "Basic cGVuZ3VpbnM6eA=="})
    assert (wrong.status_code, "www-authenticate" in wrong.headers) == (401, True)


def test_the_model_answers_behind_the_login(ask: Ask, made: Made) -> None:
    answer = ask("api", "/predict", "POST", json=PENGUIN)
    assert answer.json()["species"] == made.answer["species"]
    assert ask("api", "/predict", "POST", login=False, json=PENGUIN).status_code == 401


def test_mlflow_takes_what_its_own_page_sends(ask: Ask, compose: ComposeStack) -> None:
    own = f"https://mlflow.localhost:{compose.variables['EDGE_PORT']}"
    for origin, status in ((own, 200), ("https://example.org", 403)):
        headers, body = {"Origin": origin}, {"max_results": 1}
        found = ask("mlflow", "/ajax-api/2.0/mlflow/experiments/search", "POST", headers=headers, json=body)
        assert found.status_code == status


def test_people_log_in_to_airflow_over_tls(ask: Ask, compose: ComposeStack) -> None:
    own = f"https://airflow.localhost:{compose.variables['EDGE_PORT']}/"
    form = ask("airflow", "/auth/login/", login=False)
    (token,) = re.findall(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)
    (cookie,) = form.headers.get_list("set-cookie")
    assert cookie.endswith("; Secure")
    done = ask(
        "airflow",
        "/auth/login/?next=%2F",
        "POST",
        login=False,
        headers={"Cookie": cookie.partition(";")[0], "Referer": f"{own}auth/login/"},
        data={"username": "admin", "password": compose.variables["AIRFLOW_PASSWORD"], "csrf_token": token},
    )
    assert done.headers["location"] == own
    assert all("Secure" in cookie for cookie in done.headers.get_list("set-cookie"))


@pytest.mark.parametrize(
    "path",
    ["/execution/health", "//execution/health", "/%65xecution/health", "/x/..%2fexecution/health", "/penguins/alerts"],
)
def test_what_is_for_programs_of_the_stack_is_not_there(ask: Ask, path: str) -> None:
    assert ask("airflow", path).status_code == 404


def test_requests_that_are_too_large_are_refused(ask: Ask) -> None:
    assert ask("airflow", "/auth/token", "POST", login=False, content=bytes(10_000_001)).status_code == 413
    chunks = (bytes(1_000_000) for _ in range(11))  # without a length
    assert ask("airflow", "/auth/token", "POST", login=False, content=chunks).status_code >= 400
    assert ask("mlflow", "/", headers={"X-Long": "x" * 20_000}).status_code == 431


def test_plain_requests_are_sent_to_tls(compose: ComposeStack) -> None:
    answer = httpx.get(f"{compose.url('EDGE_HTTP_PORT')}/predict", headers={"Host": "api.localhost"}, trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "https://api.localhost/predict")


def test_files_are_certificates_and_keys_replace_the_login_of_the_service(
    compose: ComposeStack, made: Made, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    new = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    names = ",".join(f"DNS:{name}.localhost" for name in UNLOCKED)
    files = ("-keyout", str(key), "-out", str(certificate))
    run(*new, "-subj", "/CN=penguins", "-addext", f"subjectAltName={names}", *files)
    for path in (*tmp_path.parents, tmp_path):
        if path.is_relative_to(tmp_path.parent.parent):
            path.chmod(0o755)
    key.chmod(0o644)
    (port,) = map(str, free_ports(1))
    env_file = tmp_path / "test.env"
    env_file.write_text(f"{compose.env_file.read_text()}EDGE_TLS=files\nEDGE_CERTS_DIR={tmp_path}\n")
    published = ("--env", "EDGE_API_KEYS=yes", "--publish", f"127.0.0.1:{port}:8443")
    container = compose.compose("run", "--detach", "--no-deps", *published, "edge", env_file=env_file).strip()
    try:
        with asking(port, compose.variables["EDGE_PASSWORD"], certificate.read_text()) as ask:
            until(lambda: answers(ask), "the edge to answer")
            answer = ask("api", "/predict", "POST", login=False, json=PENGUIN)
            assert answer.json()["species"] == made.answer["species"]
            assert ask("api", "/metrics", login=False).status_code == 401
            assert ask("api", "/metrics").status_code == 200
            assert ask("mlflow", "/", login=False).status_code == 401
    finally:
        run("docker", "rm", "--force", "--volumes", container)


def answers(ask: Ask) -> bool:
    """Return whether an edge accepts connections."""
    try:
        return bool(ask("api", "/health").status_code)
    except httpx.TransportError:
        return False
