"""Measure a load with wrk, which is faster than the measured services, and check every answer."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serve_peers import Server

SCRIPT = """
local bodies, expected = BODIES, EXPECTED
local threads, requests, turn = {}, {}, 0
wrong = 0
function setup(thread) table.insert(threads, thread) end
function init()
  for i, body in ipairs(bodies) do
    requests[i] = wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)
  end
end
function request() turn = turn % #requests + 1; return requests[turn] end
function response(status, _, body)
  if status ~= 200 or not body:find(expected, 1, true) then wrong = wrong + 1 end
end
function done(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  for _, thread in ipairs(threads) do failed = failed + thread:get("wrong") end
  print(string.format('{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "failed": %d}', summary.requests,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, failed))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """Result of a load."""

    rate: float
    """Requests per second."""
    p50: float
    p99: float
    """Milliseconds."""
    failed: int
    cpu_milliseconds: float
    """Processor time per request."""


def load(server: Server, connections: int, seconds: int) -> Load:
    """Send requests as fast as the server answers.

    Raises:
        AssertionError: an answer was wrong or missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.lua")
        bodies = "{" + ", ".join(json.dumps(body) for body in server.bodies) + "}"
        script.write_text(SCRIPT.replace("BODIES", bodies).replace("EXPECTED", json.dumps(server.expected)))
        before = server.cpu_seconds()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), server.url]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        computed = server.cpu_seconds() - before
    found = json.loads(done.stdout.splitlines()[-1])
    assert not found["failed"], f"{server.name}: {found['failed']} of {found['requests']} answers were wrong or missing"
    rate, milliseconds = found["requests"] / found["seconds"], computed * 1000 / max(found["requests"], 1)
    return Load(rate, found["p50"], found["p99"], found["failed"], milliseconds)
