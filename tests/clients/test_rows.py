"""Rows, tables, files and truths through the client."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from contract import lines
from local.ports import free_ports
from local.waiting import until
from penguins_client import Answer, Client, RefusedError, ServiceError, Truth, UnavailableError
from tests.serving import mixed
from tests.serving.log.spool import lines as lines_in
from tests.serving.service import PENGUIN, Service

pytestmark = pytest.mark.programs

HEAVY = PENGUIN | {"body_mass_g": 20_000}
GRAPES = [mixed.as_json(row) for row in mixed.ROWS]


@pytest.fixture(scope="module")
def client(url: str) -> Any:
    with Client(url) as client:
        yield client


@pytest.fixture(scope="module")
def grapes(url: str) -> Any:
    with Client(url, model="grapes") as client:
        yield client


@pytest.mark.parametrize("rows", [PENGUIN, [PENGUIN, HEAVY]])
def test_rows_are_answered_as_the_service_answers_them(client: Client, service: Service, rows: Any) -> None:
    answer, expected = client.predict(rows), service.predict(rows).json()
    assert answer.labels == expected["prediction"]
    assert answer.classes == expected["species"]
    assert answer.probabilities == expected["probabilities"]
    assert answer.model_version == expected["model_version"]
    assert answer.warnings == expected["warnings"]
    assert answer.prediction_id
    assert answer.prediction_id != expected["prediction_id"]


def test_rows_of_numpy_are_rows(client: Client) -> None:
    frame = pd.DataFrame([PENGUIN, HEAVY]).astype("float32")
    rows = frame.to_dict("records")
    assert client.predict(iter(rows)).labels == client.predict([PENGUIN, HEAVY]).labels
    assert client.predict(dict(frame.loc[0])).labels == client.predict(PENGUIN).labels


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_values_that_json_lacks_are_not_sent(client: Client, value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        client.predict(PENGUIN | {"body_mass_g": value})


def tables() -> list[Any]:
    table = mixed.table()
    frame = table.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype(), pa.int64(): pd.Int64Dtype()}.get)
    frame.index = pd.Index(list("edcba"))
    return [table, table.combine_chunks().to_batches()[0], frame, pl.from_arrow(table)]


@pytest.mark.parametrize("table", tables(), ids=["arrow", "batch", "pandas", "polars"])
def test_tables_are_answered_by_tables_of_their_kind(grapes: Client, table: Any) -> None:
    answer, expected = grapes.predict_table(table), grapes.predict(GRAPES)
    assert isinstance(answer.table, pa.Table if isinstance(table, pa.RecordBatch) else type(table))
    assert answer.prediction_id
    assert answer.model_version == expected.model_version
    columns = answer.table.to_pandas() if hasattr(answer.table, "to_pandas") else answer.table
    assert columns["prediction"].tolist() == expected.labels
    assert columns["kind of grape"].tolist() == expected.classes
    for name in mixed.MIXED.classes:
        assert columns[f"probability_{name}"].tolist() == pytest.approx([each[name] for each in expected.probabilities])
    if isinstance(table, pd.DataFrame):
        assert answer.table.index.equals(table.index)


def test_a_large_table_is_sent_in_batches(client: Client) -> None:
    table = pa.table({name: pa.repeat(float(value), 1_000_000) for name, value in PENGUIN.items()})
    answer = client.predict_table(table)
    assert len(answer.table) == 1_000_000
    assert set(answer.table["prediction"].unique().to_pylist()) == set(client.predict(PENGUIN).labels)


def test_what_is_no_table_is_not_sent(client: Client) -> None:
    with pytest.raises(TypeError, match="a list isn't a table: send one of pyarrow"):
        client.predict_table([PENGUIN])


WRITERS = {
    ".csv": pa.csv.write_csv,
    ".parquet": pq.write_table,
    ".arrow": lambda table, path: path.write_bytes(mixed.encoded(table, "application/vnd.apache.arrow.stream")),
}
READERS = {
    ".csv": pa.csv.read_csv,
    ".parquet": pq.read_table,
    ".arrow": lambda path: pa.ipc.open_stream(path.read_bytes()).read_all(),
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_files_are_answered_by_files_of_their_kind(grapes: Client, tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / f"grapes{suffix}", tmp_path / f"answers{suffix}"
    WRITERS[suffix](mixed.table(), source)
    answer = grapes.predict_file(str(source), target)
    assert answer.table == target
    assert answer.prediction_id
    assert READERS[suffix](target)["prediction"].to_pylist() == grapes.predict(GRAPES).labels


def test_a_file_that_is_refused_leaves_the_answers_as_they_were(client: Client, tmp_path: Path) -> None:
    source, target = tmp_path / "rows.csv", tmp_path / "answers.csv"
    header = ",".join(PENGUIN)
    source.write_text(f"{header}\n1,2,3,4\n1,2,3,heavy\n")
    target.write_text("before")
    with pytest.raises(RefusedError) as refused:
        client.predict_file(source, target)
    (problem,) = refused.value.problems
    assert problem.location == (1,)
    assert "heavy" in problem.message
    assert target.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.csv", "rows.csv"]
    with pytest.raises(ValueError, match=r"rows.xls isn't a table: its suffix must be one of .csv, "):
        client.predict_file(tmp_path / "rows.xls", target)
    with pytest.raises(FileNotFoundError):
        client.predict_file(tmp_path / "none.csv", target)


def test_refused_values_are_named(client: Client) -> None:
    with pytest.raises(RefusedError, match=r"/predict answers with 422: .*\(request ") as refused:
        client.predict([PENGUIN, PENGUIN | {"body_mass_g": "heavy"}])
    (problem,) = refused.value.problems
    assert problem.location == (1, "body_mass_g")
    assert refused.value.status == 422
    assert refused.value.request_id in str(refused.value)


def test_truths_are_accepted(grapes: Client, spool: Path, tmp_path: Path) -> None:
    answer = grapes.predict(GRAPES)
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    truths = [Truth(f"{answer.prediction_id}/{row}", name, who="Ada") for row, name in enumerate(answer.classes)]
    assert grapes.feedback(truths) == len(truths)
    assert grapes.feedback(Truth(str(answer.prediction_id), "white", at)) == 1
    (tmp_path / "truths.csv").write_text(f"prediction_id,class\n{answer.prediction_id}/1,white\n")
    assert grapes.feedback_file(tmp_path / "truths.csv") == 1

    def arrived() -> list[lines.Truth]:
        found = [row for row in lines_in(spool, lines.Truth) if str(row.prediction_id) == answer.prediction_id]
        return found if len(found) == len(truths) + 2 else []

    found = until(arrived, "the truths")
    assert [(row.row_index, row.label, row.who) for row in found[: len(truths)]] == [
        (row, name, "Ada") for row, name in enumerate(answer.classes)
    ]
    assert [(row.row_index, row.label, row.who) for row in found[len(truths) :]] == [(0, "white", ""), (1, "white", "")]
    assert found[len(truths)].at == at
    with pytest.raises(ValueError, match="has no zone"):
        grapes.feedback(Truth(str(answer.prediction_id), "white", datetime(2026, 3, 1)))
    with pytest.raises(RefusedError, match="blue"):
        grapes.feedback(Truth(str(answer.prediction_id), "blue"))


def test_the_state_names_what_serves(client: Client, grapes: Client) -> None:
    assert client.state()["model"]["version"] == client.predict(PENGUIN).model_version
    assert [feature["name"] for feature in grapes.state()["model"]["features"]] == list(mixed.NAMES)


def test_another_model_another_key_and_another_server_are_errors(url: str, folder: Path) -> None:
    with Client(url, model="nobody's") as client, pytest.raises(RefusedError, match="404"):
        client.predict(PENGUIN)
    with pytest.raises(ValueError, match="characters that a header can't have"):
        Client(url, api_key="a\nb")
    with Client(f"{url}/health", retry_seconds=0) as client, pytest.raises(ServiceError, match="404"):
        client.predict(PENGUIN)
    (port,) = free_ports(1)
    with Client(f"http://127.0.0.1:{port}", retry_seconds=0) as client, pytest.raises(UnavailableError, match="can't"):
        client.predict(PENGUIN)
    keyed = {"SERVING_CACHE_DIR": folder / "cache", "SERVING_API_KEYS": "secret-key-of-the-test"}
    with Service(folder, **keyed, MLFLOW_TRACKING_URI="http://127.0.0.1:9", SERVING_POLL_SECONDS=60) as locked:
        address = str(locked.http.base_url)
        with Client(address) as client, pytest.raises(RefusedError, match="API key"):
            client.predict(PENGUIN)
        with Client(address, api_key="secret-key-of-the-test") as client:
            assert isinstance(client.predict(PENGUIN), Answer)


def test_rows_need_httpx_only() -> None:
    code = "import json, sys, penguins_client; print(json.dumps(sorted(sys.modules)))"
    environment = {"PYTHONPATH": "clients/python"}
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code], env=environment, text=True))
    assert "httpx" in loaded
    assert not {"numpy", "pandas", "polars", "pyarrow", "pydantic", "contract", "serving"} & set(loaded)
