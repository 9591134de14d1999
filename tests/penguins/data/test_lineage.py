"""The facts about a source that a load keeps for the lineage."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection
from pydantic import ValidationError

from penguins.data.ingest import load_raw
from penguins.data.lineage import SourceFacts, address_of, read_source
from penguins.data.runs import Run
from penguins.errors import UserError
from tests.penguins.data.conftest import HEADER, ROW

RUN = Run("manual__lineage", datetime(2026, 1, 1, tzinfo=UTC))


def test_a_load_keeps_the_facts_about_its_source(connection: Connection[Any], csv: Callable[[str], str]) -> None:
    text = HEADER + ROW * 3 + ROW.replace("181", "tall") + "ragged\n"
    source = csv(text)
    load_raw(connection, source, 0.5, RUN)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert read_source(connection, RUN) == SourceFacts(address=source, bytes=len(text), sha256=digest, rows=5)
    with pytest.raises(UserError):
        load_raw(connection, csv(HEADER), 0, RUN)
    kept = read_source(connection, RUN)
    assert kept is not None
    assert kept.rows == 5


def test_the_packages_own_data_is_named(connection: Connection[Any]) -> None:
    load_raw(connection, "palmerpenguins", 0, RUN)
    facts = read_source(connection, RUN)
    content = (Path(__import__("palmerpenguins").__file__).parent / "data" / "penguins.csv").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert facts == SourceFacts(address="palmerpenguins", bytes=len(content), sha256=digest, rows=344)


def test_a_run_that_did_not_load_has_no_source(connection: Connection[Any]) -> None:
    assert read_source(connection, Run("manual__unknown", RUN.started)) is None


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("palmerpenguins", "palmerpenguins"),
        ("/data/me@home: penguins.csv", "/data/me@home: penguins.csv"),
        ("s3://bucket/a folder/me@home.csv", "s3://bucket/a folder/me@home.csv"),
        ("s3://bucket/penguins.csv?X-Amz-Signature=secret#part", "s3://bucket/penguins.csv"),
        ("a\nb\0c\udcff.csv", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}.csv"),
    ],
)
def test_an_address_has_nothing_secret_and_can_be_stored(source: str, address: str) -> None:
    assert address_of(source) == address
    SourceFacts(address=address, bytes=0, sha256="0" * 64, rows=0)


@pytest.mark.parametrize(
    "source", ["s3://key:secret@bucket/x.csv", "s3://key:sec/ret@bucket/x.csv", "s3://key@bucket/x.csv"]
)
def test_credentials_in_an_address_are_refused_without_repeating_them(source: str) -> None:
    with pytest.raises(UserError, match="the s3:// address has credentials. Leave them out") as raised:
        load_raw(None, source, 0)  # type: ignore[arg-type]
    assert "key" not in str(raised.value)


GOOD = {"address": "a.csv", "bytes": 1, "sha256": "0" * 64, "rows": 1}


@pytest.mark.parametrize(
    "wrong", [{"address": "a\0"}, {"address": ""}, {"rows": -1}, {"bytes": 2**63}, {"sha256": "x"}, {"bytes": 1e308}]
)
def test_facts_that_the_database_cannot_hold_are_invalid(wrong: dict[str, Any]) -> None:
    SourceFacts.model_validate_json(json.dumps(GOOD))
    with pytest.raises(ValidationError):
        SourceFacts.model_validate_json(json.dumps(GOOD | wrong))
