import gzip
import shutil
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from botocore.exceptions import EndpointConnectionError
from palmerpenguins import load_penguins
from psycopg import Connection

from local.environment import BUCKET
from local.stack import Stack
from penguins.data.ingest import load_raw
from penguins.errors import UserError
from penguins.outages import describe_outage

HEADER = "species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year\n"
ROW = "Adelie,Torgersen,39.1,18.7,181,3750,male,2007\n"


@pytest.fixture
def csv(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str, encoding: str = "utf-8") -> str:
        path = tmp_path / "penguins.csv"
        path.write_bytes(text.encode(encoding))
        return str(path)

    return write


def rows(connection: Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT * FROM penguins_raw ORDER BY source_row").fetchall()


def test_loads_every_penguin_as_the_package_has_them(connection: Connection[Any]) -> None:
    report = load_raw(connection, "palmerpenguins", 0)
    expected = load_penguins().astype(object)
    expected = expected.where(expected.notna(), None).itertuples(index=False, name=None)
    assert (report.rows, report.rejected) == (344, 0)
    assert rows(connection) == [(number, *row) for number, row in enumerate(expected, start=1)]


def test_loading_again_replaces_and_adds_nothing(connection: Connection[Any]) -> None:
    load_raw(connection, "palmerpenguins", 0)
    first = rows(connection)
    load_raw(connection, "palmerpenguins", 0)
    assert rows(connection) == first
    left = "SELECT relname FROM pg_class WHERE relname LIKE '%staging%'"
    assert connection.execute(left).fetchall() == []


def test_comments_and_columns_outlive_a_load(connection: Connection[Any]) -> None:
    described = "SELECT obj_description('penguins_raw'::regclass), col_description('penguins_raw'::regclass, 4)"
    before = connection.execute(described).fetchone()
    load_raw(connection, "palmerpenguins", 0)
    assert connection.execute(described).fetchone() == before
    assert before is not None
    assert None not in before


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_formats_give_the_same_rows(connection: Connection[Any], tmp_path: Path, suffix: str) -> None:
    load_raw(connection, "palmerpenguins", 0)
    expected = rows(connection)
    source = tmp_path / f"data{suffix}"
    original = Path(__import__("palmerpenguins").__file__).parent / "data" / "penguins.csv"
    if suffix == ".parquet":
        options = pyarrow.csv.ConvertOptions(null_values=["NA"], strings_can_be_null=True)
        pyarrow.parquet.write_table(pyarrow.csv.read_csv(original, convert_options=options), source)
    elif suffix == ".csv.gz":
        source.write_bytes(gzip.compress(original.read_bytes()))
    else:
        shutil.copy(original, source)
    connection.execute("TRUNCATE penguins_raw")
    load_raw(connection, str(source), 0)
    assert rows(connection) == expected


def test_loads_from_s3(stack: Stack, connection: Connection[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = stack.config.credentials
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.urls["s3"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.s3_access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.s3_secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3").put_object(Bucket=BUCKET, Key="data/penguins.csv", Body=(HEADER + ROW).encode())
    assert load_raw(connection, f"s3://{BUCKET}/data/penguins.csv", 0).rows == 1
    with pytest.raises(UserError, match=f"s3://{BUCKET}/none.csv: can't be read: .*404"):
        load_raw(connection, f"s3://{BUCKET}/none.csv", 0)


def test_columns_may_stand_in_any_order_and_optional_ones_be_absent(
    connection: Connection[Any], csv: Callable[[str], str]
) -> None:
    source = csv("body_mass_g,species,bill_depth_mm,bill_length_mm,flipper_length_mm\n3750, Adelie ,18.7,39.1,181\n")
    load_raw(connection, source, 0)
    assert rows(connection) == [(1, "Adelie", None, 39.1, 18.7, 181.0, 3750.0, None, None)]


BROKEN = {
    "quote not closed": (HEADER + ROW + '"' + ROW + ROW * 3, "a quote isn't closed"),
    "quote closed late": (
        HEADER + ROW + ROW.replace("male", '"male') + ROW + 'x",2007\n',
        "row 2: sex holds a line break",
    ),
    "NUL": (HEADER + ROW.replace("male", "ma\0le"), "row 1: sex holds a NUL character"),
    "nothing usable": (HEADER + ROW.replace("181", "tall"), "1 of 1 rows"),
    "missing column": (
        HEADER.replace("species,", "") + ROW,
        "lacks 'species'.*Required are 'species', ",
    ),
    "unknown column": (HEADER.replace("sex", "gender") + ROW, "has unknown 'gender'.*allowed beside them 'island'"),
    "duplicate header": (HEADER.replace("sex", "island") + ROW, "the header has 'island' more than once"),
    "empty": ("", "the file is empty"),
    "header only": (HEADER, "a header but no rows"),
    "wrong type": (
        HEADER + ROW + ROW.replace("181", "tall"),
        "1 of 2 rows.*row 2: flipper_length_mm: 'tall' is not a number",
    ),
    "wrong year": (HEADER + ROW.replace("2007", "soon"), "row 1: year: 'soon' is not a whole number"),
    "ragged": (HEADER + ROW + "Adelie,39.1\n" + ROW, "row 2: 2 columns instead of 8: 'Adelie,39.1'"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_refused_in_one_message_and_changes_nothing(
    connection: Connection[Any], csv: Callable[[str], str], text: str, message: str
) -> None:
    load_raw(connection, "palmerpenguins", 0)
    before = rows(connection)
    with pytest.raises(UserError, match=message) as raised:
        load_raw(connection, csv(text), 0)
    assert "penguins.csv" in str(raised.value)
    assert rows(connection) == before
    assert connection.execute("SELECT count(*) FROM penguins_rejected").fetchone() == (0,)


def test_another_encoding_is_refused(connection: Connection[Any], tmp_path: Path) -> None:
    source = tmp_path / "penguins.csv"
    source.write_bytes((HEADER + ROW.replace("Adelie", "Adélie")).encode("latin-1"))
    with pytest.raises(UserError, match="isn't UTF-8.*Save it as UTF-8"):
        load_raw(connection, str(source), 0)


def test_a_truncated_gzip_and_a_damaged_parquet_are_refused(connection: Connection[Any], tmp_path: Path) -> None:
    for name, content in {
        "penguins.csv.gz": gzip.compress((HEADER + ROW * 1000).encode())[:-40],
        "penguins.parquet": b"PAR1" + b"0" * 100 + b"PAR1",
        "utf16.csv": (HEADER + ROW).encode("utf-16"),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=name):
            load_raw(connection, str(tmp_path / name), 0)


def test_what_means_the_same_is_read_the_same_in_every_format(connection: Connection[Any], tmp_path: Path) -> None:
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


@pytest.mark.parametrize("year", [float("inf"), 3e9, 2007.5])
def test_a_year_that_is_none_sets_only_its_row_aside(connection: Connection[Any], tmp_path: Path, year: float) -> None:
    (tmp_path / "a.csv").write_text(HEADER + ROW)
    good = pyarrow.csv.read_csv(tmp_path / "a.csv").to_pylist()[0]
    table = pa.Table.from_pylist([{**good, "year": 2007.0}] * 9 + [{**good, "year": year}])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    report = load_raw(connection, str(tmp_path / "a.parquet"), 0.1)
    assert (report.rows, report.rejected) == (9, 1)


def test_rights_outlive_a_load_and_a_view_is_named(connection: Connection[Any]) -> None:
    connection.execute("GRANT SELECT ON penguins_raw TO PUBLIC")
    load_raw(connection, "palmerpenguins", 0)
    granted = "SELECT relacl::text FROM pg_class WHERE oid = 'penguins_raw'::regclass"
    assert "=r/penguins" in str(connection.execute(granted).fetchone())
    connection.execute("CREATE VIEW heavy AS SELECT * FROM penguins_raw WHERE body_mass_g > 5000")
    with pytest.raises(UserError, match="penguins_raw can't be replaced.*view heavy depends on table penguins_raw"):
        load_raw(connection, "palmerpenguins", 0)
    connection.execute("DROP VIEW heavy")


def test_s3_that_does_not_answer_is_no_mistake_of_the_user(
    connection: Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EndpointConnectionError) as raised:
        load_raw(connection, "s3://bucket/penguins.csv", 0)
    assert describe_outage(raised.value) == f"S3 doesn't answer: {raised.value}"


@pytest.mark.parametrize("source", ["nowhere.csv", "/nowhere/penguins.parquet"])
def test_a_missing_file_is_refused(connection: Connection[Any], source: str) -> None:
    with pytest.raises(UserError, match=f"{source}: no such file on the machine that runs the task"):
        load_raw(connection, source, 0)


def test_an_unknown_format_is_refused(connection: Connection[Any], tmp_path: Path) -> None:
    source = tmp_path / "penguins.xlsx"
    source.touch()
    with pytest.raises(UserError, match=r"unknown format '.xlsx'. Give a .csv, .csv.gz or .parquet"):
        load_raw(connection, str(source), 0)


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


def test_too_many_broken_rows_refuse_the_file(connection: Connection[Any], csv: Callable[[str], str]) -> None:
    text = HEADER + ROW * 7 + ROW.replace("3750", "heavy") * 3
    with pytest.raises(UserError, match=r"3 of 10 rows \(30.0%\).*PENGUINS_MAX_REJECTED_SHARE.*row 8: body_mass_g"):
        load_raw(connection, csv(text), 0.05)


def test_a_reader_never_sees_a_half_loaded_table(stack: Stack, connection: Connection[Any]) -> None:
    load_raw(connection, "palmerpenguins", 0)
    finished, counts = threading.Event(), set()

    def read() -> None:
        with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as reader:
            while not finished.is_set():
                counts.add(reader.execute("SELECT count(*) FROM penguins_raw").fetchone())

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(10):
        load_raw(connection, "palmerpenguins", 0)
    finished.set()
    for reader in readers:
        reader.join()
    assert counts == {(344,)}
