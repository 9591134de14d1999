"""`POST /predict` answers tables of any length in constant memory, and explains errors in tables."""

import csv
import gzip
import io
import json
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import RandomForestClassifier

from local.waiting import until
from serving.codecs.base import table_columns
from serving.codecs.media_types import ARROW, CSV, PARQUET
from tests.serving.penguins import FEATURES, SPECIES
from tests.serving.publisher import Publisher, forest, penguins
from tests.serving.service import PENGUIN, Service, with_largest_file
from tests.serving.tables.processes import children, is_spare

Start = Callable[..., Service]

MEGABYTE = 1024 * 1024
LOOK_SECONDS = 0.02
HEAD = f"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: {CSV}\r\n".encode()
ROWS = penguins(2)[0].astype(np.float64)


@pytest.fixture(scope="module")
def one_table(mlflow_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that takes one small table at a time, for tests that only send requests."""
    publisher, folder = Publisher(mlflow_url, "one_table"), tmp_path_factory.mktemp("one_table")
    publisher.promote(version := publisher.publish(forest(n_estimators=2)))
    own = {"MLFLOW_TRACKING_URI": mlflow_url, "SERVING_MODEL_NAME": "one_table", "SERVING_CACHE_DIR": folder}
    with Service(folder, **own, SERVING_MAX_TABLES=1, SERVING_MAX_TABLE_BYTES=10_000) as service:
        service.serves(version)
        yield service


def table(rows: np.ndarray = ROWS, names: list[str] | None = None) -> pa.Table:
    """Return rows [n, 4] in columns."""
    return pa.table(dict(zip(names or list(FEATURES), rows.T, strict=True)))


def encoded(content: pa.Table, media_type: str) -> bytes:
    """Return a table as a file."""
    sink = io.BytesIO()
    if media_type == CSV:
        pyarrow.csv.write_csv(content, sink)
    elif media_type == PARQUET:
        pq.write_table(content, sink, row_group_size=100_000)
    else:
        with pa.ipc.new_stream(sink, content.schema) as writer:
            writer.write_table(content, max_chunksize=100)
    return sink.getvalue()


def decoded(content: bytes, media_type: str) -> dict[str, list[Any]]:
    """Return the columns of an answer."""
    if media_type == CSV:
        names, *rows = csv.reader(io.StringIO(content.decode()))
        columns: dict[str, list[Any]] = {name: list(column) for name, *column in zip(names, *rows, strict=True)}
        for name in names:
            if name == "prediction" or name.startswith("probability"):
                columns[name] = [float(value) for value in columns[name]]
        return columns
    read = pq.read_table(io.BytesIO(content)) if media_type == PARQUET else pa.ipc.open_stream(content).read_all()
    return dict(read.to_pydict())


def post(service: Service, content: Any, media_type: str) -> httpx.Response:
    """Post a table."""
    return service.http.post("/predict", content=content, headers={"content-type": media_type})


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
def test_table_is_answered_with_a_table(service: Service, model: RandomForestClassifier, media_type: str) -> None:
    rows = np.vstack([ROWS, [[39.1, 18.7, 181, 9000], [1, 18.7, 181, 9000]]])
    shuffled = table(rows[:, ::-1], list(FEATURES)[::-1])
    response = post(service, encoded(shuffled, media_type), f"{media_type}; header=present")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].partition(";")[0] == media_type
    assert response.headers["x-model-version"] == "1"
    answer = decoded(response.content, media_type)
    assert list(answer) == table_columns("species", SPECIES)
    labels = model.predict(rows.astype(np.float32))
    assert answer["prediction"] == labels.tolist()
    assert answer["species"] == [SPECIES[label] for label in labels]
    probabilities = np.array([answer[f"probability_{name}"] for name in SPECIES]).T
    np.testing.assert_allclose(probabilities, model.predict_proba(rows.astype(np.float32)), atol=2e-6)
    assert answer["outside_training_range"][-2:] == ["body_mass_g", "bill_length_mm body_mass_g"]
    assert set(answer["model_version"]) == {"1"}


def header(*lines: str) -> bytes:
    """Return CSV with these rows."""
    return "\n".join([",".join(FEATURES), *lines]).encode()


WRONG_CSV = {
    b"": 'the header is "": the columns must be bill_length_mm, bill_depth_mm, flipper_length_mm and body_mass_g',
    b"1,2,3,4\n": 'the header is "1,2,3,4": the columns must be',
    header(): "the table has no rows",
    header("39,18,181,3750", "39,18,181"): "[1]: it has 3 values, the header 4",
    header(*["39,18,181,3750,39,18,181,3750"] * 2): "[0]: it has 8 values, the header 4",
    header("39,18", "181,3750"): "[0]: it has 2 values, the header 4",
    header("3_9,18,181,3750"): '[0]: "3_9" isn\'t a number',
    header(*['"a', '",18,181,3750'] * 2): "the body isn't CSV: a quoted value goes on in the next line",
    header("39,18,181,3750,1"): "[0]: it has 5 values, the header 4",
    header("39,18,181,NA"): '[0]: "NA" isn\'t a number',
    header("39,18,181,"): '[0]: "" isn\'t a number',
    header("39,18,181,nan"): "[0]: body_mass_g=NaN isn't finite",
    header("39,18,181,3750", "39,-1,181,1e39"): "[1]: bill_depth_mm=-1.0 is too small",
    header("39,18,181,1e39"): "[0]: body_mass_g=1e+39 is too large for float32",
    header("1" * 100_000): "the body isn't CSV: a line has more than 65536 characters",
    header('"39,18,181,3750'): "the body isn't CSV: a quoted value goes on in the next line",
    b"\xff\xfe": "the body isn't CSV: 'utf-8' codec can't decode",
    header("39\0,18,181,3750"): "",
}


@pytest.mark.parametrize(("body", "text"), WRONG_CSV.items())
def test_wrong_csv_is_refused(service: Service, body: bytes, text: str) -> None:
    response = post(service, body, CSV)
    assert response.status_code == 422
    assert response.json()["detail"][0]["msg"].startswith(text)


def test_csv_of_spreadsheets_is_accepted(service: Service) -> None:
    body = '\ufeff"bill_length_mm","bill_depth_mm","flipper_length_mm","body_mass_g"\r\n"39.1","18.7",181,3750\r\n\r\n'
    assert post(service, body.encode(), CSV).text.splitlines()[1].startswith("0,Adelie,")


def wrong_tables() -> Iterator[tuple[bytes, str, str]]:
    """Yield body, media type, and the start of the error message."""
    for media_type, name in {ARROW: "an Arrow stream", PARQUET: "Parquet"}.items():
        sound = encoded(table(), media_type)
        yield b"", media_type, f"the body isn't {name}"
        yield b"no table at all", media_type, f"the body isn't {name}"
        yield sound[: len(sound) // 2], media_type, f"the body isn't {name}"
        yield sound[: len(sound) // 2] + b"\xff" * 20 + sound[len(sound) // 2 + 20 :], media_type, ""
        yield encoded(table().drop_columns(["body_mass_g"]), media_type), media_type, "the columns are"
        yield encoded(table().slice(0, 0), media_type), media_type, "the table has no rows"
        text = table().set_column(0, "bill_length_mm", pa.array(["a"] * len(ROWS)))
        yield encoded(text, media_type), media_type, "bill_length_mm is string: numbers are required"
        empty = table().set_column(0, "bill_length_mm", pa.array([None] * len(ROWS), pa.float64()))
        yield encoded(empty, media_type), media_type, "[0]: bill_length_mm=NaN isn't finite"


@pytest.mark.parametrize(("body", "media_type", "text"), list(wrong_tables()))
def test_wrong_table_is_refused(service: Service, body: bytes, media_type: str, text: str) -> None:
    response = post(service, body, media_type)
    assert response.status_code in ((422,) if text else (200, 422))
    if response.status_code == 422:
        assert response.json()["detail"][0]["msg"].startswith(text)


def test_batch_with_a_false_length_is_refused(service: Service) -> None:
    sound = encoded(table(), ARROW)
    huge = sound.replace(len(ROWS[:100]).to_bytes(8, "little"), (2**40).to_bytes(8, "little"))
    assert huge != sound
    response = post(service, huge, ARROW)
    assert response.status_code == 422


def workers(service: Service) -> list[psutil.Process]:
    """Return the processes that answer tables, with the one that starts them."""
    launchers = children(service.process.pid)
    return [each for launcher in launchers for each in (launcher, *children(launcher.pid))]


def peak_of_workers(service: Service, answer: Callable[[], object]) -> int:
    """Return the most memory that a worker had while a table was answered."""
    peak = 0
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(answer)
        while not wait([answering], LOOK_SECONDS).done:  # a worker lets other processes go first, this one as well
            with suppress(psutil.NoSuchProcess):  # it ends with its table
                used = [found.memory_info() for found in workers(service)]
                peak = max(peak, *(each.rss - each.shared for each in used), 0)
        answering.result()
    return peak


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
def test_memory_is_constant_in_the_number_of_rows(publisher: Publisher, start: Start, media_type: str) -> None:
    publisher.promote(version := publisher.publish(forest(n_estimators=2)))
    service = start(SERVING_POLL_SECONDS=5)
    service.serves(version)
    few, many = 400, 1600
    small, large = (encoded(table(np.tile(ROWS, (times, 1))), media_type) for times in (few, many))
    before = peak_of_workers(service, lambda: post(service, small, media_type).raise_for_status())
    own = service.peak_bytes()
    received = 0

    def receive() -> None:
        nonlocal received
        kind = {"content-type": media_type}
        # A worker lets all other processes go first.
        with service.http.stream("POST", "/predict", content=large, headers=kind, timeout=300) as response:
            for piece in response.iter_bytes():
                received += len(piece)

    after = peak_of_workers(service, receive)
    more_rows = (many - few) * len(ROWS)
    assert received > len(ROWS)
    assert after - before < 8 * more_rows  # a quarter of the 32 bytes of a row
    assert service.peak_bytes() - own < 8 * more_rows


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
def test_highly_compressed_table_is_refused(service: Service, media_type: str) -> None:
    assert post(service, encoded(table(), media_type), media_type).status_code == 200
    sink = io.BytesIO()
    zeros = pa.table(dict.fromkeys(FEATURES, np.zeros(4_000_000)))
    if media_type == ARROW:
        with pa.ipc.new_stream(sink, zeros.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(zeros)
    else:
        options: dict[str, Any] = {"use_dictionary": False, "compression": "zstd"}
        pq.write_table(zeros, sink, row_group_size=len(zeros), **options)
    response = post(service, sink.getvalue(), media_type)
    assert response.status_code == 422
    assert any(text in response.text for text in ("batches are compressed", "a row group has more than"))


def test_table_above_the_limit_of_rows_is_refused(publisher: Publisher, start: Start) -> None:
    publisher.promote(version := publisher.publish(forest(n_estimators=2)))
    service = start(SERVING_MAX_TABLE_BYTES=16_000)
    service.serves(version)
    body = encoded(table(np.tile(ROWS[:1], (1001, 1))), PARQUET)
    assert len(body) < 16_000
    response = post(service, body, PARQUET)
    assert (response.status_code, response.json()["detail"]) == (413, "the table has more than 1000 rows: send several")


def test_request_of_a_client_that_does_not_read_is_given_up(publisher: Publisher, start: Start) -> None:
    publisher.promote(version := publisher.publish(forest(n_estimators=2)))
    service = start(SERVING_MAX_TABLES=1, SERVING_BODY_SECONDS=0.5, SERVING_POLL_SECONDS=5)
    service.serves(version)
    body = encoded(table(np.tile(ROWS, (1000, 1))), CSV)
    with socket.create_connection(("127.0.0.1", service.http.base_url.port or 0)) as client:
        client.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        until(lambda: "request.given_up" in service.log, "the service to give up the request")
        assert post(service, header("39,18,181,3750"), CSV).status_code == 200
    assert "Traceback" not in service.log


@pytest.mark.parametrize(("declared", "status"), [("Text/CSV; x=json", 503), ("Application/JSON", 200), ("a/b", 415)])
def test_limit_of_tables_applies_to_tables_only(one_table: Service, declared: str, status: int) -> None:
    service = one_table
    until(lambda: post(service, header("39,18,181,3750"), CSV).status_code == 200, "the place to be free")
    with socket.create_connection(("127.0.0.1", service.http.base_url.port or 0)) as client:
        client.sendall(HEAD + b"content-length: 100\r\n\r\n")
        assert all(service.is_live() for _ in range(5))  # The request has reached the service after these answers.
        assert post(service, json.dumps(PENGUIN).encode(), declared).status_code == status


def test_compressed_body_is_refused(service: Service) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    response = service.http.post("/predict", content=gzip.compress(json.dumps(PENGUIN).encode()), headers=headers)
    assert (response.status_code, response.json()["detail"]) == (415, "the body is compressed: send it as it is")


def test_pyarrow_is_loaded_by_workers_only(service: Service) -> None:
    assert post(service, encoded(table(), ARROW), ARROW).status_code == 200
    maps = [Path("/proc", str(pid), "maps").read_text() for pid in (service.process.pid, workers(service)[0].pid)]
    assert ["pyarrow" in each for each in maps] == [False, True]


def test_end_of_a_worker_is_told_to_its_client_only(service: Service) -> None:
    assert post(service, encoded(table(), CSV), CSV).status_code == 200
    until(lambda: [is_spare(each) for each in workers(service)[1:]] == [True], "the worker of the table to end")
    spare = workers(service)[1]
    with ThreadPoolExecutor(1) as pool:
        large = encoded(table(np.tile(ROWS, (4000, 1))), CSV)
        killed = pool.submit(post, service, large, CSV)
        until(lambda: len(workers(service)) == 3, "a worker to get the table")
        spare.send_signal(signal.SIGSEGV)
        assert post(service, encoded(table(), CSV), CSV).status_code == 200
        assert killed.result().status_code == 422
    assert killed.result().json()["detail"][0]["type"] == "table_crashed"
    assert 'penguins_tables_ended_total{reason="crashed"}' in service.http.get("/metrics").text
    assert service.predict(PENGUIN).is_success


def test_too_large_or_too_many_tables_are_refused(one_table: Service) -> None:
    service = one_table
    until(lambda: post(service, header("39,18,181,3750"), CSV).status_code == 200, "the place to be free")
    response = post(service, encoded(table(np.tile(ROWS, (10, 1))), CSV), CSV)
    assert (response.status_code, response.json()["detail"]) == (413, "the body is larger than 10000 bytes")
    body = header("39,18,181,3750")
    with socket.create_connection(("127.0.0.1", service.http.base_url.port or 0)) as client:
        client.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(body) - 1, body[:-1]))
        assert all(service.is_live() for _ in range(5))  # The request has reached the service after these answers.
        refused = post(service, body, CSV)
        assert (refused.status_code, refused.json()["reason"]) == (503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert service.predict(PENGUIN).is_success
        client.sendall(b"1\r\n%s\r\n0\r\n\r\n" % body[-1:])
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
    until(lambda: post(service, body, CSV).status_code == 200, "the place to be free again")


def test_files_of_a_table_lie_in_the_folder_for_them(publisher: Publisher, start: Start, tmp_path: Path) -> None:
    publisher.promote(version := publisher.publish(forest(n_estimators=2)))
    (folder := tmp_path / "tables").mkdir()
    service = start(TMPDIR=folder)
    service.serves(version)
    found: set[tuple[bool, Path]] = set()  # whether a worker has it open, and its folder

    def seen() -> bool:
        for process in [(own := psutil.Process(service.process.pid)), *own.children(recursive=True)]:
            with suppress(OSError):
                for link in Path("/proc", str(process.pid), "fd").iterdir():
                    if (name := link.readlink()).name.endswith("(deleted)") and "memfd:" not in str(name):
                        found.add((process != own, name.parent))
        return len(found) > 1

    large = encoded(table(np.tile(ROWS, (2000, 1))), CSV)
    with ThreadPoolExecutor(1) as pool:
        answered = pool.submit(post, service, large, CSV)
        until(seen, "the files of the table", poll=0.01)
        assert answered.result().status_code == 200
    assert found == {(False, folder), (True, folder)}


def test_table_is_refused_when_the_disk_is_full(publisher: Publisher, start: Start) -> None:
    publisher.promote(version := publisher.publish(forest()))
    service = start(*with_largest_file(2 * MEGABYTE))
    service.serves(version)
    response = post(service, encoded(table(np.tile(ROWS, (400, 1))), CSV), CSV)
    assert (response.status_code, response.json()["reason"]) == (503, "disk")
    assert response.headers["retry-after"] == "60"
    assert service.predict(PENGUIN).is_success
