"""Loading a source into penguins_raw."""

from collections.abc import Callable
from typing import Any

import pytest
from palmerpenguins import load_penguins
from psycopg import Connection

from penguins.data.ingest import load_raw
from penguins.errors import UserError
from tests.penguins.data.conftest import HEADER, ROW, rows


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


BROKEN = {
    "quote not closed": (HEADER + ROW + '"' + ROW + ROW * 3, "a quote isn't closed"),
    "quote closed late": (
        HEADER + ROW + ROW.replace("male", '"male') * 2,
        "row 2: sex holds a line break",
    ),
    "NUL": (HEADER + ROW.replace("male", "ma\0le"), "row 1: sex holds a NUL character: delete it"),
    "nothing usable": (HEADER + ROW.replace("181", "tall"), "1 of 1 rows"),
    "missing column": (
        HEADER.replace("species,", "") + ROW,
        "lacks 'species'.*Required are 'species', ",
    ),
    "renamed column": (HEADER.replace("species", "kind") + ROW, "has unknown 'kind'.*allowed beside them 'island'"),
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
