"""The service's log."""

import json

from local.waiting import until
from tests.serving.api.conftest import Start, predict


def test_log_is_json_with_the_request_id(cached: Start) -> None:
    service = cached(SERVING_ACCESS_LOG="true")
    predict(service, X_Request_Id="trace-1")
    until(lambda: "trace-1" in service.log, "the log line of the request")
    lines = [json.loads(line) for line in service.log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (access,) = [line for line in lines if line.get("request_id") == "trace-1"]
    assert (access["method"], access["path"], access["status"]) == ("POST", "/predict", 200)
    assert access["milliseconds"] > 0
