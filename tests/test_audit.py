"""`make audit`, with uv itself and a database of vulnerabilities on this machine."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml

from local.settings import REPO

pytestmark = pytest.mark.programs

REPORT = {"id": "GHSA-aaaa-bbbb-cccc", "modified": "2026-01-01T00:00:00Z", "summary": "Reads every file"}


@contextmanager
def database(package: str) -> Iterator[tuple[str, list[str]]]:
    """Serve the API of osv.dev, with a vulnerability of the package; yield its address and the packages asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            asked.extend(query["package"]["name"] for query in queries)
            found = [{"vulns": [REPORT]} if query["package"]["name"] == package else {} for query in queries]
            self.answer({"results": found})

        def do_GET(self) -> None:
            self.answer(REPORT)

        def answer(self, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()


def audit(url: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "audit", f"ARGS=--service-url {url}"]
    return subprocess.run(
        command, cwd=REPO, env=os.environ | {"UV_HTTP_RETRIES": "0", "UV_NO_CACHE": "1"}, capture_output=True, text=True
    )


def test_a_known_vulnerability_fails_and_is_named() -> None:
    with database("starlette") as (url, asked):
        done = audit(url)
    assert done.returncode != 0
    assert "starlette" in done.stdout
    assert REPORT["id"] in done.stdout
    assert {"apache-airflow", "celery", "jupyterlab", "pytest", "uvicorn"} <= set(asked)


def test_without_one_it_passes_and_an_unreachable_database_fails() -> None:
    with database("no-such-package") as (url, _):
        assert audit(url).returncode == 0
    assert audit(url).returncode != 0


def test_it_runs_every_night() -> None:
    jobs = yaml.safe_load((REPO / ".github/workflows/nightly.yaml").read_text())["jobs"]
    assert "make audit" in [step.get("run") for job in jobs.values() for step in job["steps"]]
