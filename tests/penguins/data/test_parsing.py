"""Values of every type, and rows that are set aside."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from psycopg import Connection

from penguins.data.ingest import load_raw
from tests.penguins.data.conftest import HEADER, ROW, rows


def test_every_format_reads_equal_values_equally(connection: Connection[Any], tmp_path: Path) -> None:
    text = HEADER + 'Adelie, NA ,"", NaN ,181.0,3.75e3, male,2007.0\n'
    (tmp_path / "a.csv").write_text(text)
    table = pa.table(
        {
            "species": pa.array(["Adelie"]).dictionary_encode(),
            "island": ["NA"],
            "bill_length_mm": pa.array([None], pa.float64()),
            "bill_depth_mm": [float("nan")],
            "flipper_length_mm": pa.array([181], pa.int64()),
            "body_mass_g": pa.array([Decimal("3750.00")]),
            "sex": [" male"],
            "year": [2007.0],
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    expected = [(1, "Adelie", None, None, None, 181.0, 3750.0, "male", 2007)]
    for name in ("a.csv", "a.parquet"):
        load_raw(connection, str(tmp_path / name), 0)
        assert rows(connection) == expected


@pytest.mark.parametrize("year", [float("inf"), 3e19, 2007.5])
def test_an_invalid_year_sets_only_its_row_aside(connection: Connection[Any], tmp_path: Path, year: float) -> None:
    (tmp_path / "a.csv").write_text(HEADER + ROW)
    good = pyarrow.csv.read_csv(tmp_path / "a.csv").to_pylist()[0]
    table = pa.Table.from_pylist([{**good, "year": 2007.0}] * 9 + [{**good, "year": year}])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    report = load_raw(connection, str(tmp_path / "a.parquet"), 0.1)
    assert (report.rows, report.rejected) == (9, 1)


def test_few_broken_rows_are_set_aside_with_number_reason_and_content(
    connection: Connection[Any], csv: Callable[[str], str]
) -> None:
    text = HEADER + ROW * 8 + ROW.replace("39.1", "long") + ROW + "Adelie,1\n" + ROW * 9
    report = load_raw(connection, csv(text), 0.1)
    assert (report.rows, report.rejected) == (18, 2)
    assert [row[0] for row in rows(connection)] == [*range(1, 9), 10, *range(12, 21)]
    rejected = connection.execute("SELECT * FROM penguins_rejected ORDER BY source_row").fetchall()
    assert [(row[0], row[1], row[2]) for row in rejected] == [
        (9, "load_raw", "bill_length_mm: 'long' is not a number"),
        (11, "load_raw", "2 columns instead of 8: 'Adelie,1'"),
    ]
    assert rejected[0][3]["bill_length_mm"] == "long"
