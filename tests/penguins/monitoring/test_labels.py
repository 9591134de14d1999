"""Truth in files, sent to a real service, as make labels does it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penguins.__main__ as commands
from contract.lines import Truth
from local import environment
from local.stack import Stack
from local.waiting import until
from penguins.errors import ServiceError, UserError
from penguins.monitoring import labels
from penguins.settings import settings
from tests.local.test_init_db import connect_as_superuser
from tests.penguins.calling import call
from tests.penguins.monitoring.conftest import Ship
from tests.serving.cached import store
from tests.serving.log.conftest import Start
from tests.serving.log.spool import lines
from tests.serving.service import Service
from tests.shipper.segments import NOW, header, ids_at, predictions, truth
from tests.shipper.segments import lines as segment_of

pytestmark = pytest.mark.programs

Send = Callable[..., labels.Labelled]
MODEL = "penguins_rf"


@pytest.fixture
def service(start: Start) -> Service:
    return start()


@pytest.fixture
def send(service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Send]:
    """Send a file with some content, or one that is there."""

    def send(content: str = "", path: Path = tmp_path / "truth.csv", **variables: str) -> labels.Labelled:
        if content:
            path.write_text(content)
        for name, value in {"API_URL": str(service.http.base_url), **variables}.items():
            monkeypatch.setenv(f"PENGUINS_{name}", value)
        settings.cache_clear()
        return labels.send(str(path), MODEL, None, lambda _: None)

    yield send
    settings.cache_clear()


def told(spool: Path, number: int) -> list[Truth]:
    """Wait until as many truths are ready for the shipper, and return them."""
    until(lambda: len(lines(spool, Truth)) >= number, f"{number} truths")
    return lines(spool, Truth)


def parts(truths: list[Truth]) -> list[tuple[str, int, str, str]]:
    return [(str(each.prediction_id), each.row_index, each.label, each.who) for each in truths]


def test_sound_rows_are_accepted_and_the_others_reported(send: Send, spool: Path, tmp_path: Path) -> None:
    a, b, c = (str(uuid4()) for _ in range(3))
    rows = [
        f"{a},Gentoo,,Ada,x",
        f"{a.upper()}/3,Adelie,2026-03-01T12:00:00Z,,x",
        f"{b}x,Gentoo,,,x",
        f"{b},Emperor,,,x",
        f"{b},Gentoo,yesterday,,x",
        "short",
        f'{b},Gentoo,,"two\nlines",x',
        f"{b},Chinstrap,,,x",
        f"{c},Gentoo,2026-03-01T12:00:00Z,,x",
        f"{c},Adelie,2026-03-01T12:00:00Z,,x",
    ]
    content = "\n".join(["prediction_id,class,at,who,colour", *rows, ""])
    result = send(content)
    expected = [(a, 0, "Gentoo", "Ada"), (a, 3, "Adelie", ""), (b, 0, "Chinstrap", ""), (c, 0, "Gentoo", "")]
    before = told(spool, 4)
    assert (result.accepted, parts(before)) == (4, expected)
    assert [each.row for each in result.refused] == [3, 4, 5, 6, 7, 10]
    for refused, reason in zip(
        result.refused,
        ("isn't the id of an answer", "a class of the model: Adelie, Chinstrap, Gentoo", "a time with its zone",
         "1 columns instead of 5", "isn't one line", "another row names another class"),
        strict=True,
    ):  # fmt: skip
        assert reason in refused.reason
    assert "[" not in result.refused[2].reason  # no index of a request
    # The same file again is the same truth, also where it has no time.
    send()
    assert [each.at for each in told(spool, 8)] == [each.at for each in before] * 2
    assert before[0].at.timestamp() == pytest.approx((tmp_path / "truth.csv").stat().st_mtime, abs=1e-3)


def test_a_scored_table_in_parquet_is_read_in_several_requests(
    send: Send,
    spool: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(labels, "CHUNK_ROWS", 3)
    request, path = str(uuid4()), tmp_path / "scored.parquet"
    ids = [f"{request}/{row}" for row in range(7)]
    classes = pa.array(["Gentoo"] * 7).dictionary_encode()
    monkeypatch.setattr("penguins.data.formats.BATCH_ROWS", 2)
    pq.write_table(pa.table({"class": classes, "row_index": pa.array(range(7)), "prediction_id": ids}), path)
    seen: list[int] = []
    settings.cache_clear()
    send(path=path)
    result = labels.send(str(path), MODEL, None, lambda so_far: seen.append(so_far.accepted))
    assert seen == [4, 7]
    assert (result.accepted, result.refused) == (7, [])
    assert parts(told(spool, 14))[:7] == [(request, row, "Gentoo", "") for row in range(7)]


def test_the_service_says_which_classes_there_were(
    start: Start, send: Send, spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version before had a class more; of classes that no version had, few are asked about."""
    names = ["Emperor", "Chinstrap", "Gentoo"]
    target = {"name": "species", "type": "string", "role": "target", "categories": names}
    store(tmp_path / "both", version="1", target=target)
    knowing = start(**store(tmp_path / "both", version="2"))
    ids = [str(uuid4()) for _ in range(6)]
    names = ["Emperor", "Gentoo", "Fairy", "", "Little", "Emperor"]
    monkeypatch.setattr(labels, "MAX_ASKED", 2)
    rows = "".join(f"{each},{name}\n" for each, name in zip(ids, names, strict=True))
    result = send("prediction_id,class\n" + rows, API_URL=str(knowing.http.base_url))
    assert result.accepted == 3
    assert [(each.row, each.reason.partition(",")[0]) for each in result.refused] == [
        (3, "class is 'Fairy'"), (4, "class is ''"), (5, "class is 'Little'")
    ]  # fmt: skip
    assert "a class of the model: Adelie, Chinstrap, Gentoo, Emperor" in result.refused[0].reason
    found = {(str(each.prediction_id), each.label) for each in told(spool, 4)}  # one was sent twice, to ask
    assert found == {(ids[0], "Emperor"), (ids[1], "Gentoo"), (ids[5], "Emperor")}


def test_too_many_wrong_rows_end_it(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MAX_WRONG", 5)
    with pytest.raises(UserError, match=r"more than 5 rows are wrong, such as row 1: prediction_id is 'x'"):
        send("prediction_id,class\n" + "x,Gentoo\n" * 6)
    monkeypatch.setattr("penguins.service_client.MAX_REFUSED", 2)
    with pytest.raises(UserError, match="refuses more than 2 of .* rows, the last one because of at is"):
        send("prediction_id,class,at\n" + f"{uuid4()},Gentoo,never\n" * 3)


def test_what_the_service_cant_take_is_one_sentence(send: Send, start: Start) -> None:
    with pytest.raises(UserError, match=r"the header lacks 'prediction_id' .*\(perhaps 'predicton_id' should be"):
        send("predicton_id,class\nx,Gentoo\n")
    sound = f"prediction_id,class\n{uuid4()},Gentoo\n"
    with pytest.raises(ServiceError, match=r"The prediction service at http://127\.0\.0\.1:9 doesn't answer"):
        send(sound, API_URL="http://127.0.0.1:9")
    without_log = start(SERVING_LOG_DIR="")
    with pytest.raises(UserError, match="there is no prediction log here"):
        send(sound, API_URL=str(without_log.http.base_url))
    with_key = start(SERVING_API_KEYS="secret")
    address = str(with_key.http.base_url)
    with pytest.raises(UserError, match="wants an API key. Set PENGUINS_API_KEY"):
        send(sound, API_URL=address)
    assert send(sound, API_URL=address, API_KEY="secret").accepted == 1


@pytest.mark.usefixtures("log")
def test_the_command_names_predictions_that_the_log_does_not_have(
    stack: Stack, folder: Path, ship: Ship, service: Service, tmp_path: Path
) -> None:
    head = header(model=MODEL)
    name, ids = predictions(folder, 20, head)
    ship(name)
    (unknown,) = ids_at(head.created_at, 1)
    path = tmp_path / "truth.csv"
    path.write_text(
        "prediction_id,class\n"
        + "".join(f"{each}/{index},Gentoo\n" for index, each in enumerate(ids))
        + f"{unknown}/2,Gentoo\n{ids[3]}/4,Gentoo\nx,Gentoo\n"
    )
    variables = environment.inherited(stack.config) | environment.airflow(stack.config)
    variables |= {"PENGUINS_API_URL": str(service.http.base_url), "COLUMNS": "200"}
    done = call(commands.main, "labels", "--contract=", "--model=", "--", str(path), variables=variables)
    assert done.returncode == 1
    accepted, missing, wrong = done.stdout.splitlines()
    assert accepted == f"22 truths of {path} were accepted."
    assert missing.startswith("2 of their predictions aren't in the log, such as ")
    assert f"{unknown}/2" in missing
    assert f"{ids[3]}/4" in missing
    assert wrong.startswith("row 23: prediction_id is 'x', which isn't the id of an answer")
    assert "1 rows were refused. Mend them, and send the file again" in done.stderr
    assert "22 truths sent, 1 rows refused" in done.stderr
    done = call(commands.main, "labels", "--", "", variables=variables)
    assert (done.returncode, done.stderr) == (1, "Say from what: make labels FROM=file.csv\n")


@pytest.mark.usefixtures("log")
def test_truth_whose_prediction_never_came_is_listed(stack: Stack, folder: Path, ship: Ship) -> None:
    variables = environment.inherited(stack.config) | environment.airflow(stack.config) | {"COLUMNS": "200"}

    def missing() -> list[str]:
        done = call(commands.main, "labels", "--model=wine", "--missing", "--", "", variables=variables)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    name, ids = predictions(folder, 2)
    ship(name)
    unknown, late, other = ids_at(header().created_at, 3)
    long_ago = NOW - timedelta(hours=2)
    said = [
        truth(prediction_id=ids[0], received_at=long_ago),
        truth(prediction_id=ids[1], row_index=0, received_at=long_ago),  # of a row that the request didn't have
        truth(prediction_id=unknown, row_index=7, received_at=long_ago, who="", **{"class": "ü"}),
        truth(prediction_id=late),
        truth(prediction_id=other, received_at=long_ago, model="other"),
    ]
    ship(segment_of(folder, "feedback", said))
    first, *listed = missing()
    assert first.startswith("2 truths about wine from before ")
    assert {line.partition(", received ")[0] for line in listed} == {f"{ids[1]}/0 a", f"{unknown}/7 ü"}
    assert sum(line.endswith(" UTC from ada") for line in listed) == 1
    with connect_as_superuser(stack, "penguins") as superuser:
        superuser.execute("DELETE FROM log.feedback WHERE received_at = %s", [long_ago])
    assert len(only := missing()) == 1
    assert only[0].startswith("Each truth about wine from before ")
