"""Truth goes through the spool: all of a request or nothing."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from contract.lines import Truth
from local.waiting import until
from tests.serving.cached import store
from tests.serving.log.conftest import Start, spool, start  # noqa: F401 - fixtures
from tests.serving.log.leaving import Moment, leave, slow_disk
from tests.serving.log.spool import count_lines, lines
from tests.serving.service import PENGUIN, Service, with_largest_file

pytestmark = pytest.mark.programs

CSV = {"Content-Type": "text/csv"}


def ids(number: int) -> Iterator[str]:
    """Yield ids."""
    return (f"0192d1f0-5a3c-7000-9f0e-{each:012x}" for each in range(number))


def table(number: int, *more: str) -> str:
    """Return a table of truths."""
    return "\n".join(["prediction_id,class", *(f"{each},Gentoo" for each in ids(number)), *more]) + "\n"


def tell(service: Service, body: Any, path: str = "/feedback") -> httpx.Response:
    """Send feedback."""
    if isinstance(body, str):
        return service.http.post(path, content=body, headers=CSV, timeout=300)  # its process gives way to all others
    return service.http.post(path, json=body)


def ready(spool: Path, number: int) -> list[Truth]:  # noqa: F811
    """Wait until as many truths are ready."""
    until(lambda: len(lines(spool, Truth)) >= number, f"{number} truths")
    return lines(spool, Truth)


def test_truth_is_in_the_spool(start: Start, spool: Path) -> None:  # noqa: F811
    service = start()
    first, second = (service.predict(body).json()["prediction_id"] for body in (PENGUIN, [PENGUIN] * 2))
    before = datetime.now(UTC)
    answers = [
        tell(service, {"prediction_id": first, "class": "Gentoo", "who": "Ada"}),
        tell(service, [{"prediction_id": f"{second}/{row}", "class": "Adelie"} for row in (0, 1)]),
        tell(service, f"prediction_id,class,at\n{first},Chinstrap,2026-03-01T12:00:00Z\n"),
        tell(service, {"prediction_id": first, "class": "Gentoo"}, "/models/penguins_rf/feedback"),
    ]
    assert [answer.status_code for answer in answers] == [202] * 4, [answer.text for answer in answers]
    assert [answer.json() for answer in answers] == [{"accepted": 1}, {"accepted": 2}, {"accepted": 1}, {"accepted": 1}]
    found = ready(spool, 5)
    assert [(str(each.prediction_id), each.row_index, each.label, each.who) for each in found] == [
        (first, 0, "Gentoo", "Ada"),
        (second, 0, "Adelie", ""),
        (second, 1, "Adelie", ""),
        (first, 0, "Chinstrap", ""),
        (first, 0, "Gentoo", ""),
    ]
    assert {each.model for each in found} == {"penguins_rf"}
    assert found[3].at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert all(before <= each.received_at <= datetime.now(UTC) for each in found)
    assert found[0].at == found[0].received_at


def test_a_stop_and_a_kill_keep_what_was_accepted(start: Start, spool: Path) -> None:  # noqa: F811
    service = start()
    assert tell(service, table(10)).status_code == 202
    service.process.kill()
    service.process.wait()
    again = start()
    assert len(ready(spool, 10)) == 10
    assert tell(again, table(5)).status_code == 202
    again.process.terminate()
    again.process.wait()
    assert len(lines(spool, Truth)) == 15


def test_a_million_rows_with_one_broken_one_are_refused(start: Start, spool: Path) -> None:  # noqa: F811
    service = start()
    content = table(1_000_000, "0192d1f0-5a3c-7000-9f0e-00000000000g,Gentoo")
    answer = tell(service, content)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", 1_000_000, "prediction_id"]
    assert answer.json()["detail"][0]["msg"].startswith('[1000000]: prediction_id is "0192d1f0-')
    assert sum(psutil.Process(service.process.pid).cpu_times()[:4]) < 30  # with its children that have ended
    assert list((spool / "open").glob("*.part")) == []
    assert lines(spool, Truth) == []


def test_a_large_table_is_taken_while_others_are_answered(start: Start, spool: Path) -> None:  # noqa: F811
    service = start()
    before = service.peak_bytes()
    answer = tell(service, table(300_000))
    assert (answer.status_code, answer.json()) == (202, {"accepted": 300_000})
    found = lines(spool, Truth)
    assert [str(each.prediction_id) for each in found] == list(ids(300_000))
    assert service.peak_bytes() < before + 60 * 2**20
    again = table(300_000, f"{next(ids(1))},Adelie")
    refused = tell(service, again)
    assert refused.status_code == 422
    assert '[300000]: class is "Adelie", and row 0 says' in refused.json()["detail"][0]["msg"]
    assert count_lines(spool, Truth) == 300_000


def test_what_can_not_be_taken_is_refused(start: Start, spool: Path) -> None:  # noqa: F811
    service = start()
    for body, status, text in (
        ({"prediction_id": "x", "class": "Gentoo"}, 422, "the id of an answer is needed"),
        ([], 422, "the list is empty"),
        (table(1, "y,Gentoo"), 422, "[1]: prediction_id"),
    ):
        answer = tell(service, body)
        assert answer.status_code == status
        assert text in answer.text
    assert service.http.post("/feedback", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    assert tell(service, {}, "/models/unknown/feedback").status_code == 404
    assert lines(spool, Truth) == []


def test_without_a_log_or_room_nothing_is_accepted(start: Start, spool: Path) -> None:  # noqa: F811
    answer = tell(start(SERVING_LOG_DIR=""), table(1))
    assert (answer.status_code, answer.json()["detail"][:32]) == (404, "there is no prediction log here:")
    full = start(*with_largest_file(40_000))
    for number in (1_000, 20_000):
        answer = tell(full, table(number))
        assert (answer.status_code, answer.json()["reason"]) == (503, "log"), answer.text
        assert "nothing was accepted" in answer.json()["detail"]
    assert tell(full, table(5)).status_code == 202
    assert len(ready(spool, 5)) == 5
    assert list((spool / "open").glob("*.part")) == []


@pytest.mark.parametrize(("moment", "kept"), [("create", 0), ("sync", 10_000)])
def test_a_client_that_leaves_leaves_nothing_half_done(
    start: Start,  # noqa: F811
    spool: Path,  # noqa: F811
    tmp_path: Path,
    moment: Moment,
    kept: int,
) -> None:
    service = start(*slow_disk(tmp_path))
    before = service.open_files()
    leave(service, tmp_path, moment, "/feedback", table(10_000))
    until(lambda: not list((spool / "open").glob("*.part")) and service.open_files() <= before, "its end", 60)
    time.sleep(1.5)
    assert len(lines(spool, Truth)) == kept
    assert list((spool / "open").glob("*.part")) == []
    assert service.open_files() <= before
    assert "request.failed" not in service.log


def test_it_leaves_room_for_predictions(start: Start, spool: Path) -> None:  # noqa: F811
    service = start(SERVING_LOG_MAX_BYTES=100_000)
    small, large = table(100), table(10_000)
    while (answer := tell(service, small)).is_success:
        assert len(lines(spool, Truth)) < 1000
    for refused in (answer, tell(service, large)):
        assert (refused.status_code, refused.json()["reason"]) == (503, "log")
    assert "50% of SERVING_LOG_MAX_BYTES" in answer.text
    assert service.predict().is_success
    until(lambda: list(spool.glob("ready/predictions-*")), "the prediction to be logged")


def test_slow_feedback_keeps_no_prediction_waiting(start: Start) -> None:  # noqa: F811
    service = start(SERVING_MAX_REQUESTS=1)
    (one,) = ids(1)
    head = "POST /feedback HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n["
    with ExitStack() as slow:

        def is_held() -> bool:
            """Send one more slow request: one that came during the quick one was refused."""
            client = slow.enter_context(socket.create_connection(("127.0.0.1", service.http.base_url.port or 80)))
            client.sendall(head.encode())
            return tell(service, {"prediction_id": one, "class": "Gentoo"}).status_code == 503

        until(is_held, "a slow request to be read", 20)
        assert service.predict().is_success


def test_classes_of_versions_before_are_known(tmp_path: Path, start: Start, spool: Path) -> None:  # noqa: F811
    """Their predictions are in the log, and the truth about them comes late."""
    target = {"name": "kind", "type": "integer", "role": "target", "categories": [7, 8, 9]}
    store(tmp_path / "both", version="1")
    service = start(**store(tmp_path / "both", version="2", target=target))
    (one,) = ids(1)
    for name in ("Gentoo", 8):
        assert tell(service, {"prediction_id": one, "class": name}).is_success
    assert tell(service, {"prediction_id": one, "class": "Emu"}).status_code == 422
    assert {each.label for each in ready(spool, 2)} == {"Gentoo", "8"}


def test_keys_protect_it(start: Start) -> None:  # noqa: F811
    service = start(SERVING_API_KEYS="secret")
    for path in ("/feedback", "/models/penguins_rf/feedback"):
        assert tell(service, table(1), path).status_code == 401
        headers = CSV | {"X-API-Key": "secret"}
        assert service.http.post(path, content=table(1), headers=headers).status_code == 202


def test_classes_are_those_of_the_contract(tmp_path: Path, start: Start, spool: Path) -> None:  # noqa: F811
    target = {"name": "kind", "type": "integer", "role": "target", "categories": [7, 8, 9]}
    service = start(**store(tmp_path / "numbers", target=target))
    (one,) = ids(1)
    assert tell(service, [{"prediction_id": one, "class": 8}, {"prediction_id": f"{one}/1", "class": "9"}]).is_success
    assert [each.label for each in ready(spool, 2)] == ["8", "9"]
    assert "isn't a class of the model: 7, 8 and 9" in tell(service, table(1)).text


def test_an_endless_upload_is_bounded(start: Start) -> None:  # noqa: F811
    service = start(SERVING_MAX_TABLE_BYTES=1000, SERVING_MAX_BODY_BYTES=1000)
    assert tell(service, table(100)).status_code == 413
    assert tell(service, [{"prediction_id": each, "class": "Gentoo"} for each in ids(100)]).status_code == 413
    assert tell(service, table(1)).status_code == 202
