"""Sources of every format and place, and files that can't be read."""

import gzip
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pyarrow.csv
import pyarrow.parquet
import pytest
from botocore.exceptions import EndpointConnectionError
from psycopg import Connection

from contract.odcs import read_text
from local.environment import BUCKET
from local.stack import Stack
from penguins.contracts.draft import draft
from penguins.data.ingest import load_raw
from penguins.errors import UserError
from penguins.outages import describe_outage
from tests.penguins.data.conftest import HEADER, ROW, rows


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


def use_s3(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variables of boto3 to the stack's S3."""
    credentials = stack.config.credentials
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.urls["s3"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.s3_access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.s3_secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def test_loads_from_s3(stack: Stack, connection: Connection[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    use_s3(stack, monkeypatch)
    boto3.Session().client("s3").put_object(Bucket=BUCKET, Key="data/penguins.csv", Body=(HEADER + ROW).encode())
    assert load_raw(connection, f"s3://{BUCKET}/data/penguins.csv", 0).rows == 1
    with pytest.raises(UserError, match=f"s3://{BUCKET}/none.csv: can't be read: .*404"):
        load_raw(connection, f"s3://{BUCKET}/none.csv", 0)


def test_a_contract_is_drafted_from_s3(stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_s3(stack, monkeypatch)
    (tmp_path / "fruit.csv").write_text("size,kind\n" + "".join(f"{row % 7},{'ab'[row % 2]}\n" for row in range(40)))
    boto3.Session().client("s3").upload_file(tmp_path / "fruit.csv", BUCKET, "data/fruit.csv")
    source = f"s3://{BUCKET}/data/fruit.csv"
    drafted = draft(source, "kind").text
    assert drafted == draft(str(tmp_path / "fruit.csv"), "kind").text.replace(str(tmp_path / "fruit.csv"), source)
    assert read_text(drafted.encode(), "fruit.yaml", "fruit").training.source == source


def test_columns_may_stand_in_any_order_and_optional_ones_be_absent(
    connection: Connection[Any], csv: Callable[[str], str]
) -> None:
    source = csv("body_mass_g,species,bill_depth_mm,bill_length_mm,flipper_length_mm\n3750, Adelie ,18.7,39.1,181\n")
    load_raw(connection, source, 0)
    assert rows(connection) == [(1, "Adelie", None, 39.1, 18.7, 181.0, 3750.0, None, None)]


def test_another_encoding_is_refused(connection: Connection[Any], tmp_path: Path) -> None:
    source = tmp_path / "penguins.csv"
    source.write_bytes((HEADER + ROW.replace("Adelie", "Adélie")).encode("latin-1"))
    with pytest.raises(UserError, match="isn't UTF-8.*Save it as UTF-8"):
        load_raw(connection, str(source), 0)


BINARY = {
    "an image": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)),
    "a program": b"\x7fELF" + bytes(range(256)) * 4,
    "after the header": HEADER.encode() + b"\xff," * 7 + b"\xff\n",
    "a malformed row": HEADER.encode() + ROW.encode() + b"\xfe\xff\n",
    "a malformed row at the end": HEADER.encode() + ROW.encode() * 30_000 + b"\xfe\xff\n",
}


@pytest.mark.parametrize("content", BINARY.values(), ids=BINARY)
def test_a_binary_file_is_refused_in_one_sentence(
    connection: Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    printed: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)  # it prints what a callback of pyarrow's couldn't raise
    source = tmp_path / "penguins.csv"
    source.write_bytes(content)
    with pytest.raises(UserError, match=r"penguins.csv: the file isn't UTF-8 \(.*\): it is binary, or text in another"):
        load_raw(connection, str(source), 0)
    assert printed == []


def test_a_byte_order_mark_is_no_part_of_the_header(connection: Connection[Any], csv: Callable[..., str]) -> None:
    assert load_raw(connection, csv(HEADER + ROW, encoding="utf-8-sig"), 0).rows == 1


def test_a_header_of_many_long_names_is_shortened(connection: Connection[Any], csv: Callable[[str], str]) -> None:
    header = HEADER.rstrip().replace("species", "kind") + "".join(f",{number}{'x' * 60}" for number in range(1000))
    with pytest.raises(UserError, match=f"has unknown 'kind', '0{'x' * 49}', .*, and 991 more. Required are") as raised:
        load_raw(connection, csv(header + "\n"), 0)
    assert len(str(raised.value)) < 1500


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv"])
def test_a_header_that_is_too_long_is_not_called_empty(
    connection: Connection[Any], tmp_path: Path, suffix: str
) -> None:
    source = tmp_path / f"penguins{suffix}"
    content = b"x" * 400_000 + b",y\n1,2\n"
    source.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    with pytest.raises(UserError, match="the header has more than 393216 bytes. The first line must have the names"):
        load_raw(connection, str(source), 0)
    source.write_bytes(gzip.compress(b"\n") if suffix.endswith(".gz") else b"\n")
    with pytest.raises(UserError, match="the file is empty. It needs a header and rows"):
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


def test_an_outage_of_s3_is_no_user_error(connection: Connection[Any], monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_folder_is_refused(connection: Connection[Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path}: is a folder. Give the path of one CSV or Parquet file in it."):
        load_raw(connection, str(tmp_path), 0)


def test_an_unknown_format_is_refused(connection: Connection[Any], tmp_path: Path) -> None:
    source = tmp_path / "penguins.xlsx"
    source.touch()
    with pytest.raises(UserError, match=r"unknown format '.xlsx'. Give a .csv, .tsv or .jsonl file"):
        load_raw(connection, str(source), 0)
