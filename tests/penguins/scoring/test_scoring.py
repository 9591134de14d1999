"""Rows go to a real service, and come back into a real database."""

import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg import Connection

from contract.schema import Column, DataContract
from contract.training import Training
from local.stack import Stack
from penguins.data.contract import PENGUINS
from penguins.errors import ServiceError, UserError
from penguins.outages import describe_outage
from penguins.scoring import answers, rows
from penguins.service_client import ServiceClient
from penguins.settings import settings
from tests.penguins.scoring.conftest import TABLE, Score
from tests.serving import mixed
from tests.serving.cached import NO_SERVER, store
from tests.serving.log.conftest import Start
from tests.serving.log.spool import wait_for
from tests.serving.publisher import Publisher, forest
from tests.serving.service import PENGUIN, Service

pytestmark = pytest.mark.programs

HEADER = ",".join(PENGUIN)
# An Arrow library that can't be imported.
WITHOUT_ARROW = (
    sys.executable,
    "-c",
    "import runpy, sys; sys.modules['pyarrow'] = None; runpy.run_module('serving', run_name='__main__')",
)


def table(connection: Connection[Any], columns: str = "*", name: str = TABLE) -> list[tuple[Any, ...]]:
    """Return the rows of a table in the order of the source."""
    return connection.execute(f"SELECT {columns} FROM {name} ORDER BY source_row").fetchall()  # noqa: S608


def some(path: Path, number: int, header: str = HEADER) -> list[dict[str, float]]:
    """Write a file of measurements, and return them."""
    random = np.random.default_rng(number)
    ranges = zip(PENGUIN, ((32, 60), (13, 22), (172, 231), (2700, 6300)), strict=True)
    values = {name: random.uniform(low, high, number).round(1).tolist() for name, (low, high) in ranges}
    lines = [",".join(map(str, line)) for line in zip(*values.values(), strict=True)]
    path.write_text("\n".join([header, *lines, ""]))
    return [dict(zip(values, line, strict=True)) for line in zip(*values.values(), strict=True)]


@pytest.mark.parametrize("command", [(), WITHOUT_ARROW], ids=["arrow", "csv"])
def test_each_row_has_the_answer_of_the_service_and_its_id_in_the_log(
    run: Score,
    start: Start,
    spool: Path,
    connection: Connection[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    monkeypatch.setattr(rows, "MAX_ROWS", 40)
    service, path = start(*command), tmp_path / "penguins.csv"
    measured = some(path, 100)
    report = run(service, path)
    assert (report.rows, report.rejected, report.table) == ({"1": 100}, 0, TABLE)
    single = service.predict(measured).json()
    shares = [list(each.values()) for each in single["probabilities"]]
    found = table(connection, f"source_row, {HEADER}, species, probability, probabilities, model_version")
    assert [row[0] for row in found] == list(range(1, 101))
    assert [dict(zip(PENGUIN, row[1:5], strict=True)) for row in found] == measured
    assert [row[5] for row in found] == single["species"]
    assert [row[6] for row in found] == [max(each) for each in shares]
    assert [row[7] for row in found] == [pytest.approx(each, rel=1e-6) for each in shares]
    assert {row[8] for row in found} == {"1"}
    logged = {f"{row.id}/{row.index}": row for row in wait_for(spool, 200)}
    ids = [each for (each,) in table(connection, "prediction_id")]
    assert len({each.partition("/")[0] for each in ids}) == 3
    for each, row in zip(ids, measured, strict=True):
        assert logged[each].features == pytest.approx(list(row.values()), rel=1e-6)


def test_rows_that_cant_be_scored_are_set_aside(
    run: Score, start: Start, connection: Connection[Any], tmp_path: Path
) -> None:
    path = tmp_path / "penguins.csv"
    path.write_text(
        f"{HEADER},species,island,colour\n"
        "39.1,18.7,181,3750,?,Dream,x\n"
        "wide,18.7,181,3750,,Dream,x\n"
        "39.1,,181,NA,,Dream,x\n"
        "39.1\n"
        "-4,18.7,1e39,3750,,Dream,x\n"
        "5,18.7,181,3750,,,x\n"
    )
    report = run(start(), path)
    assert (report.rows, report.rejected) == ({"1": 2}, 4)
    found = table(connection, "source_row, bill_length_mm, island, species, outside_training_range, sex")
    assert found == [(1, 39.1, "Dream", "Adelie", "", None), (6, 5.0, None, found[1][3], "bill_length_mm", None)]
    rejected = table(connection, "source_row, reason, record", f"{TABLE}_rejected")
    assert [row[0] for row in rejected] == [2, 3, 4, 5]
    assert [row[1] for row in rejected[:3]] == [
        "bill_length_mm: 'wide' is not a number",
        "bill_depth_mm is missing; body_mass_g is missing",
        "1 columns instead of 7: '39.1'",
    ]
    for reason in (
        "bill_length_mm: -4 mm is not within 0 (excluded) to",
        "; flipper_length_mm: 1e+39 mm is not within",
    ):
        assert reason in rejected[3][1]
    assert rejected[3][2]["island"] == "Dream"


def test_a_table_of_the_database_is_scored(run: Score, start: Start, connection: Connection[Any]) -> None:
    listed = ", ".join(f"{name} float8" for name in PENGUIN)
    connection.execute(f"DROP TABLE IF EXISTS {TABLE}_source; CREATE TABLE {TABLE}_source ({listed})")
    try:
        for mass in (3750, None, 4000):
            values = [*PENGUIN.values()][:-1]
            connection.execute(f"INSERT INTO {TABLE}_source VALUES (%s, %s, %s, %s)", [*values, mass])  # noqa: S608
        report = run(start(), f"table:{TABLE}_source")
    finally:
        connection.execute(f"DROP TABLE {TABLE}_source")
    assert (report.rows, report.rejected) == ({"1": 2}, 1)
    assert table(connection, "body_mass_g, species, model_version") == [(3750, "Adelie", "1"), (4000, "Adelie", "1")]
    assert table(connection, "reason", f"{TABLE}_rejected") == [("body_mass_g is missing",)]


def test_ten_times_as_many_rows_take_no_more_memory(
    run: Score, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else 180,000 rows more would take 20 MB."""
    monkeypatch.setattr(rows, "MAX_ROWS", 5_000)
    service, path, before, peaks = start(), tmp_path / "penguins.csv", pa.default_memory_pool(), []
    for number in (1_000, 20_000, 200_000):  # the first one for what is made once
        some(path, number)
        pool = pa.proxy_memory_pool(before)
        pa.set_memory_pool(pool)
        tracemalloc.start()
        try:
            assert run(service, path).rows == {"1": number}
            peaks.append(tracemalloc.get_traced_memory()[1] + (pool.max_memory() or 0))
        finally:
            tracemalloc.stop()
            pa.set_memory_pool(before)
    _, few, many = peaks
    assert many < few + 4_000_000


def test_every_kind_of_feature_is_sent_as_the_service_reads_it(
    run: Score, start: Start, tmp_path: Path, connection: Connection[Any]
) -> None:
    own = store(tmp_path / "grapes", "grapes", files=mixed.files())
    known = (mixed.MIXED.target, *mixed.MIXED.features)
    columns = [Column(**{name: getattr(each, name) for name in Column.model_fields}) for each in known]
    day = Column(name="day", type="date", role="time")
    training = Training(registered_model="grapes", experiment="grapes", min_accuracy=0)
    contract = DataContract(name="grapes", columns=(*columns, day), training=training)
    for command in ((), WITHOUT_ARROW):
        service = start(*command, **own)
        path = tmp_path / "grapes.parquet"
        pq.write_table(mixed.table(), path)
        assert run(service, path, contract).rows == {"1": 5}
        single = service.http.post("/predict", json=[mixed.as_json(row) for row in mixed.ROWS]).json()
        names = ", ".join('"' + name.replace('"', '""') + '"' for name in mixed.NAMES)
        assert table(connection, names) == mixed.ROWS
        assert table(connection, '"kind of grape"') == [(each,) for each in single["kind of grape"]]


def test_a_swap_in_the_middle_stands_in_each_row(
    run: Score, stack: Stack, connection: Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MAX_ROWS", 40)
    publisher = Publisher(stack.urls["mlflow"], "scored")
    first, second = publisher.publish(forest(0)), publisher.publish(forest(1))
    publisher.promote(first)
    contract = PENGUINS.model_copy(
        update={"training": PENGUINS.training.model_copy(update={"registered_model": "scored"})}
    )
    some(tmp_path / "penguins.csv", 100)
    own = {"MLFLOW_TRACKING_URI": stack.urls["mlflow"], "SERVING_MODEL_NAME": "scored", "SERVING_CACHE_DIR": tmp_path}
    with Service(tmp_path, **own) as service:
        service.serves(first)
        answer = answers.Scorer.answer

        def swap_after(self: answers.Scorer, chunk: pa.Table) -> Any:
            try:
                return answer(self, chunk)
            finally:
                publisher.promote(second)
                service.serves(second)

        monkeypatch.setattr(answers.Scorer, "answer", swap_after)
        report = run(service, tmp_path / "penguins.csv", contract)
    assert report.rows == {first: 40, second: 60}
    assert [version for (version,) in table(connection, "model_version")] == [first] * 40 + [second] * 60
    assert table(connection, "prediction_id") == [(None,)] * 100  # the service has no log


def test_a_mistake_is_one_sentence_and_changes_nothing(
    run: Score, start: Start, connection: Connection[Any], tmp_path: Path
) -> None:
    service, path = start(), tmp_path / "penguins.csv"
    some(path, 5)
    run(service, path)
    connection.execute(f"COMMENT ON TABLE {TABLE} IS 'mine'")
    connection.execute(f"GRANT SELECT ON {TABLE} TO PUBLIC")
    wrong = tmp_path / "wrong.csv"
    for content, message in (
        (
            f"{HEADER}\n,,,\n,,,\n",
            "not one of its 2 rows can be scored. The first are row 1: bill_length_mm is missing",
        ),
        (f"{HEADER}\n", "the file has a header but no rows"),
        ("bill_length_mm,Body_Mass_g\n1,2\n", r"the header lacks .*\(perhaps 'Body_Mass_g' should be 'body_mass_g'\)"),
    ):
        wrong.write_text(content)
        with pytest.raises(UserError, match=message):
            run(service, wrong)
    for name, message in (
        ("penguins_raw", "There is a table penguins_raw that has no scored rows in it"),
        ("Robert'); --", "can't be the name of a table"),
        ("x" * 60, "can't be the name of a table: write at most 46 small letters"),
    ):
        with pytest.raises(UserError, match=message):
            run(service, path, table=name)
    assert len(table(connection)) == 5
    some(path, 7)
    run(service, path)
    assert len(table(connection)) == 7
    query = "SELECT obj_description(oid, 'pg_class'), relacl::text FROM pg_class WHERE relname = %s"
    comment, rights = connection.execute(query, [TABLE]).fetchone() or ("", "")
    assert (comment, "=r/" in rights) == ("mine", True)


def test_a_service_that_cant_score_is_named(run: Score, start: Start, tmp_path: Path) -> None:
    path = tmp_path / "penguins.csv"
    some(path, 5)
    with pytest.raises(ServiceError) as silent:
        run("http://127.0.0.1:9", path)
    assert (
        describe_outage(silent.value)
        == "The prediction service at http://127.0.0.1:9 doesn't answer (ConnectionError)."
    )
    empty = start(SERVING_CACHE_DIR=tmp_path / "nothing", MLFLOW_TRACKING_URI=NO_SERVER)
    with pytest.raises(UserError, match="The service serves no version of penguins_rf: .* `make promote`"):
        run(empty, path)
    other = PENGUINS.model_copy(update={"training": PENGUINS.training.model_copy(update={"registered_model": "other"})})
    with pytest.raises(UserError, match="The service doesn't have the model other. `make run` of its contract adds it"):
        run(empty, path, other)
    with_key = start(SERVING_API_KEYS="secret")
    with pytest.raises(UserError, match="wants an API key"):
        run(with_key, path)
    assert run(with_key, path, key="secret").rows == {"1": 5}


@pytest.mark.parametrize("command", [(), WITHOUT_ARROW], ids=["arrow", "csv"])
def test_a_version_with_other_columns_ends_the_run(
    start: Start, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PENGUINS_API_URL", str(start(*command).http.base_url))
    settings.cache_clear()
    client = ServiceClient("penguins_rf")
    served, chunk = client.served(), pa.table({name: [float(value)] for name, value in PENGUIN.items()})
    before = {"classes": ("Adelie", "Emperor")}, {"features": served.features[1:]}, {"answer_key": "kind"}
    for changes in before:
        scorer = answers.Scorer(client, served.model_copy(update=changes))
        with pytest.raises(UserError, match="If Production was swapped to a version with other columns or classes"):
            scorer.answer(chunk)
    settings.cache_clear()


def test_rows_that_only_the_service_refuses_are_set_aside(
    run: Score, start: Start, connection: Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "rules_of", lambda _: [])
    path = tmp_path / "penguins.csv"
    path.write_text(f"{HEADER}\n39.1,18.7,181,3750\n39.1,18.7,1e39,3750\n39.1,18.7,181,3750\n39.1,18.7,-1e39,3750\n")
    report = run(start(), path)
    assert (report.rows, report.rejected) == ({"1": 2}, 2)
    assert [row for (row,) in table(connection, "source_row")] == [1, 3]
    rejected = table(connection, "source_row, reason, record", f"{TABLE}_rejected")
    assert [row[0] for row in rejected] == [2, 4]
    assert rejected[0][1].startswith("flipper_length_mm=")
    assert float(rejected[0][2]["flipper_length_mm"]) == 1e39
