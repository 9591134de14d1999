"""Tables, rows and data sets of contracts other than that of the penguins."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from psycopg import Connection, sql

from contract.schema import MAX_NAME_BYTES, Column, DataContract
from penguins.data.dataset import split
from penguins.data.ingest import load_raw
from penguins.data.lineage import read_source
from penguins.data.preprocessing import preprocess
from penguins.data.processed import read_processed
from penguins.data.runs import KEPT, Run, drop_old, staging_of
from penguins.errors import UserError
from tests.penguins.data.contracts import COLOURS, MIXED, MIXED_HEADER, MIXED_ROWS, made, tables_of

START = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = Column(name="size", type="number", unit="cm", description="Across")
FRUIT = made(SIZE)


@pytest.fixture(autouse=True)
def _own_tables(connection: Connection[Any]) -> Iterator[None]:
    with tables_of(connection, FRUIT):
        yield


@pytest.fixture
def mixed(tmp_path: Path) -> str:
    path = tmp_path / "mixed.csv"
    path.write_text(MIXED_HEADER + MIXED_ROWS)
    return str(path)


@pytest.fixture
def fruit(tmp_path: Path) -> str:
    path = tmp_path / "fruit.csv"
    path.write_text("kind,size\n" + "".join(f"{'Apple' if row % 2 else 'Pear'},{row}\n" for row in range(20)))
    return str(path)


def columns(connection: Connection[Any], table: str) -> dict[str, tuple[str, bool]]:
    found = connection.execute(
        """SELECT attname, format_type(atttypid, NULL), attnotnull FROM pg_attribute
           WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
        [table],
    )
    return {name: (kind, required) for name, kind, required in found.fetchall()}


def comments(connection: Connection[Any], table: str) -> tuple[str | None, ...]:
    found = connection.execute(
        "SELECT obj_description(%(t)s::regclass), col_description(%(t)s::regclass, 3)", {"t": table}
    ).fetchone()
    return found or ()


def test_every_type_is_read_stored_and_encoded(connection: Connection[Any], mixed: str) -> None:
    load_raw(connection, mixed, 0, contract=MIXED)
    raw = connection.execute("SELECT * FROM fruit_raw ORDER BY source_row").fetchall()
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert raw == [
        (1, "a", 1.5, 2.0, 3, True, COLOURS[0], 1, 7, date(2026, 1, 31), noon - timedelta(hours=2)),
        (2, "b", 0.1, None, 4, None, COLOURS[1], None, 0, None, noon),
        (3, "c", 2.0, 0.001, 10, False, COLOURS[2], 5, 7, date(2026, 2, 1), None),
        (4, "d", 3.0, -4.0, 0, True, COLOURS[3], 3, 0, None, noon - timedelta(hours=12)),
    ]
    report = preprocess(connection, 0, MIXED)
    assert (report.rows, report.incomplete, report.rejected) == (4, 0, 0)
    rows = read_processed(connection, MIXED)
    assert rows.pop("label_").tolist() == [0, 1, 0, 1]
    assert tuple(rows) == MIXED.feature_names
    assert set(rows.dtypes) == {np.dtype("float64")}
    np.testing.assert_array_equal(
        rows.to_numpy(),
        [[1.5, 2, 3, 1, 0, 0], [0.1, np.nan, 4, 2, 1, 3], [2, 0.001, 10, 0, 2, 2], [3, -4, 0, 1, 3, 1]],
    )


def test_the_tables_have_types_and_comments_of_the_contract(connection: Connection[Any], fruit: str) -> None:
    load_raw(connection, fruit, 0, contract=FRUIT)
    preprocess(connection, 0, FRUIT)
    number = ("double precision", False)
    assert columns(connection, "fruit_raw") == {"source_row": ("bigint", True), "kind": ("text", False), "size": number}
    assert columns(connection, "fruit_processed") == {
        "source_row": ("bigint", True),
        "kind": ("text", True),
        "label": ("smallint", True),
        "size": ("double precision", True),
    }
    about = "fruit: the source as the run that started last has loaded it; replaced as a whole"
    assert comments(connection, "fruit_raw") == (about, "Across (cm)")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("mean % radius", "0", "mean % radius: 0 cm is not within 0 (excluded) to 3.40282e+38"),
        ("mean % radius", "inf", "mean % radius: Infinity cm is not within 0 (excluded) to 3.40282e+38"),
        ('od280/"od315"', "-1e39", 'od280/"od315": -1e+39 is not within -3.40282e+38 to 3.40282e+38'),
        ("value", "11", "value: 11 is not within 0 to 10"),
        ("raw", "pink 100%'s", "unknown raw 'pink 100%''s', known are red, 'dark, blue', a \"quote\", 🐧"),
        ("raw", "RED", "unknown raw 'RED', known are red, 'dark, blue', a \"quote\", 🐧"),
        ("judged", "2", "unknown judged 2, known are 1, 3, 5"),
        ("label", "8", "unknown label 8, known are 7, 0"),
    ],
)
def test_a_value_that_the_contract_excludes_sets_its_row_aside(
    connection: Connection[Any], mixed: str, name: str, value: str, reason: str
) -> None:
    places = [column.name for column in MIXED.columns]
    fields = ["e", "1.5", "2", "3", "yes", "red", "1", "7", "", ""]
    fields[places.index(name)] = value
    Path(mixed).write_text(MIXED_HEADER + MIXED_ROWS + ",".join(fields) + "\n")
    load_raw(connection, mixed, 0, contract=MIXED)
    assert preprocess(connection, 0.2, MIXED).rejected == 1
    rejected = connection.execute("SELECT source_row, reason, record FROM fruit_rejected").fetchone()
    assert rejected is not None
    assert rejected[:2] == (5, reason)
    assert set(rejected[2]) == set(places)  # what the query adds is no part of the row


@pytest.mark.parametrize("missing", [1, 3, 0, 7])
def test_rows_without_a_required_value_are_left_out(connection: Connection[Any], mixed: str, missing: int) -> None:
    fields = ["e", "1.5", "2", "3", "yes", "red", "1", "7", "", ""]
    fields[missing] = "N/A"
    Path(mixed).write_text(MIXED_HEADER + MIXED_ROWS + ",".join(fields) + "\n")
    load_raw(connection, mixed, 0, contract=MIXED)
    report = preprocess(connection, 0, MIXED)
    assert (report.rows, report.incomplete, report.rejected) == (4, 1, 0)


def test_a_changed_contract_changes_the_tables_and_keeps_rights_and_comments(
    connection: Connection[Any], fruit: str, caplog: pytest.LogCaptureFixture
) -> None:
    load_raw(connection, fruit, 0, contract=FRUIT)
    connection.execute("GRANT SELECT ON fruit_raw TO PUBLIC; COMMENT ON TABLE fruit_raw IS 'mine'")
    changed = made(
        SIZE.model_copy(update={"type": "integer", "description": "Around"}),
        Column(name="peel", type="boolean", required=False, role="ignored"),
    )
    caplog.clear()
    load_raw(connection, fruit, 0, contract=changed)
    said = "changed the columns of fruit_raw: 'size' is bigint and was double precision, 'peel' is new"
    assert said in caplog.text
    assert columns(connection, "fruit_raw")["size"] == ("bigint", False)
    assert comments(connection, "fruit_raw") == ("mine", "Around (cm)")
    granted = connection.execute("SELECT relacl::text FROM pg_class WHERE relname = 'fruit_raw'").fetchone()
    assert "=r/penguins" in str(granted)
    caplog.clear()
    load_raw(connection, fruit, 0, contract=changed)
    assert "changed the columns" not in caplog.text


def test_tasks_of_a_contract_that_changed_meanwhile_are_refused(connection: Connection[Any], fruit: str) -> None:
    changed = made(SIZE.model_copy(update={"type": "integer"}), Column(name="peel", type="boolean", required=False))
    with pytest.raises(UserError, match="there is no table fruit_raw yet. Run load_raw first."):
        preprocess(connection, 0, FRUIT)
    load_raw(connection, fruit, 0, contract=FRUIT)
    with pytest.raises(UserError, match="changed since fruit_raw was loaded .*'peel' is new.*clear load_raw too"):
        preprocess(connection, 0, changed)
    preprocess(connection, 0, FRUIT)
    with pytest.raises(UserError, match="changed since fruit_processed was loaded.* clear preprocess too"):
        read_processed(connection, changed)


def test_the_labels_follow_the_contract_that_they_are_read_by(connection: Connection[Any], fruit: str) -> None:
    load_raw(connection, fruit, 0, contract=FRUIT)
    preprocess(connection, 0, FRUIT)
    before = read_processed(connection, FRUIT)["label"]

    def by_classes(*names: str) -> DataContract:
        return made(FRUIT.target.model_copy(update={"categories": names}), SIZE)

    turned = read_processed(connection, by_classes("Pear", "Apple"))["label"]
    assert (before.tolist(), turned.tolist()) == ([1, 0] * 10, [0, 1] * 10)
    with pytest.raises(UserError, match="kind has 'Apple', which the contract doesn't know any more.* preprocess"):
        read_processed(connection, by_classes("Pear", "Plum"))


def test_rows_that_no_table_can_have_are_refused(connection: Connection[Any], tmp_path: Path) -> None:
    wide = made(*(Column(name=f"c{number}", type="number") for number in range(1100)))
    path = tmp_path / "wide.csv"
    path.write_text("kind," + ",".join(wide.feature_names) + "\n" + f"Apple{',1.5' * 1100}\n")
    with pytest.raises(UserError, match=r"too many columns for a row of PostgreSQL \(row is too big: .*\). Leave some"):
        load_raw(connection, str(path), 0, contract=wide)


def test_a_table_of_somebody_else_is_never_replaced(connection: Connection[Any], fruit: str) -> None:
    for name in ("fruit_rejected", "fruit_raw"):
        connection.execute(sql.SQL("CREATE TABLE {} (x int)").format(sql.Identifier(name)))
        with pytest.raises(UserError, match=f"needs the name {name} for a table of its own"):
            load_raw(connection, fruit, 0, contract=FRUIT)
        assert list(columns(connection, name)) == ["x"]
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))


def test_a_failed_first_load_leaves_no_table(connection: Connection[Any], fruit: str) -> None:
    Path(fruit).write_text("kind,size\nApple,large\n")
    with pytest.raises(UserError, match="maxRejectedShare in the contract allows"):
        load_raw(connection, fruit, 0, Run("manual__1", START), FRUIT)
    left = connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'fruit%'").fetchall()
    assert left == [("fruit_rejected",)]


def test_runs_of_two_contracts_with_the_same_id_dont_meet(connection: Connection[Any], fruit: str) -> None:
    other = made(SIZE, name="fruitless")
    runs = [Run(f"manual__{number}", START + timedelta(minutes=number)) for number in range(KEPT + 2)]
    with tables_of(connection, other):
        load_raw(connection, fruit, 0, runs[0], other)
        for run in runs:
            load_raw(connection, fruit, 0, run, FRUIT)
        Path(fruit).write_text("kind,size\nApple,1\nPear,2\n")
        load_raw(connection, fruit, 0, runs[1], other)
        drop_old(connection, lambda _: False, FRUIT)
        drop_old(connection, lambda _: False, other)
        with pytest.raises(UserError, match="the rows of manual__0 are gone from fruit_raw"):
            preprocess(connection, 0, FRUIT, runs[0])
        assert preprocess(connection, 0, other, runs[0]).rows == 20
        assert preprocess(connection, 0, other, runs[1]).rows == 2
        assert preprocess(connection, 0, FRUIT, runs[2]).rows == 20
        facts = [read_source(connection, runs[1], contract) for contract in (FRUIT, other)]
        assert [each and each.rows for each in facts] == [None, 2]


def test_a_contract_with_a_long_name_has_tables_of_different_names(connection: Connection[Any], fruit: str) -> None:
    long = made(SIZE, name="fruit" + "y" * 36)
    runs = [Run(f"manual__{number}", START + timedelta(minutes=number)) for number in range(2)]
    names = {staging_of(run.table(long.table(kind))) for run in runs for kind in ("raw", "processed")}
    assert len({name[:MAX_NAME_BYTES] for name in names}) == 4
    assert max(map(len, names)) <= MAX_NAME_BYTES
    with tables_of(connection, long):
        for run in reversed(runs):
            load_raw(connection, fruit, 0, run, long)
        assert [preprocess(connection, 0, long, run).rows for run in runs] == [20, 20]


def test_two_hundred_columns_are_judged(connection: Connection[Any], tmp_path: Path) -> None:
    wide = made(*(Column(name=f"x {number}", type="number") for number in range(200)))
    path = tmp_path / "wide.csv"
    header = ",".join(["kind", *(f"x {number}" for number in range(200))])
    rows = [",".join(["Apple", *["1"] * 199, last]) for last in ("1", "inf")]
    path.write_text("\n".join([header, *rows, ""]))
    load_raw(connection, str(path), 0, contract=wide)
    report = preprocess(connection, 0.5, wide)
    assert (report.rows, report.rejected) == (1, 1)


def test_copies_of_a_row_stay_together(
    connection: Connection[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "fruit.csv"
    kinds = ("Apple", "Pear")
    rows = [f"{kinds[row % 2]},{row // 4}\n" for row in range(400)]  # each value twice of each kind
    path.write_text("kind,size\n" + "".join(rows))
    load_raw(connection, str(path), 0, contract=FRUIT)
    preprocess(connection, 0, FRUIT)
    data = split(read_processed(connection, FRUIT), 0.2, 42, FRUIT)
    assert "200 of the 400 rows of fruit_processed (50%) are copies of others" in caplog.text
    values = data.features["size"].to_numpy() * 2 + data.labels
    assert not set(values[data.train]) & set(values[data.holdout])
    assert len(data.holdout) == 80
    folds = data.folds(5)
    assert sorted(np.concatenate([judge for _, judge in folds])) == sorted(data.train)
    for fit, judge in folds:
        assert not set(values[fit]) & set(values[judge])
        assert len(judge) == 64
    caplog.clear()
    assert len(data.folds(90)) == 90
    assert "a kind has fewer different rows than there are folds" in caplog.text


def test_a_class_of_copies_only_is_split_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    rows = pd.DataFrame({"size": [1.0] * 10 + list(range(10)), "label": [0] * 10 + [1] * 10})
    data = split(rows, 0.2, 42, FRUIT)
    assert len(data.holdout) == 4
    assert "all rows of Apple are copies of one" in caplog.text
