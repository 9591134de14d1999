from typing import Any

import pytest
from psycopg import Connection

from penguins.data.contract import SPECIES
from penguins.data.ingest import load_raw
from penguins.data.preprocessing import preprocess
from penguins.errors import UserError
from tests.penguins.data.contracts import narrowed

GOOD = ("Gentoo", "Biscoe", 46.1, 13.2, 211.0, 4500.0, "female", 2007)


def insert(connection: Connection[Any], *rows: tuple[Any, ...]) -> None:
    numbered = [(number, *row) for number, row in enumerate(rows, start=1)]
    connection.cursor().executemany(f"INSERT INTO penguins_raw VALUES ({', '.join(['%s'] * 9)})", numbered)  # noqa: S608


def change(**values: Any) -> tuple[Any, ...]:
    names = ("species", "island", "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "sex", "year")
    return tuple(values.get(name, good) for name, good in zip(names, GOOD, strict=True))


def test_the_real_penguins_are_cleaned_and_labelled(connection: Connection[Any]) -> None:
    load_raw(connection, "palmerpenguins", 0)
    report = preprocess(connection, 0)
    assert (report.rows, report.incomplete, report.rejected) == (342, 2, 0)
    counted = "SELECT label, species, count(*) FROM penguins_processed GROUP BY 1, 2 ORDER BY 1"
    assert connection.execute(counted).fetchall() == [(0, "Adelie", 151), (1, "Chinstrap", 68), (2, "Gentoo", 123)]
    assert tuple(sorted(SPECIES)) == SPECIES


def test_running_again_changes_nothing(connection: Connection[Any]) -> None:
    load_raw(connection, "palmerpenguins", 0)
    first = preprocess(connection, 0)
    rows = "SELECT * FROM penguins_processed ORDER BY source_row"
    before = connection.execute(rows).fetchall()
    assert preprocess(connection, 0) == first
    assert connection.execute(rows).fetchall() == before


@pytest.mark.parametrize("column", ["species", "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"])
def test_rows_without_a_value_the_model_needs_are_dropped(connection: Connection[Any], column: str) -> None:
    insert(connection, GOOD, change(**{column: None}))
    report = preprocess(connection, 0)
    assert (report.rows, report.incomplete, report.rejected) == (1, 1, 0)


def test_rows_without_island_sex_or_year_are_kept(connection: Connection[Any]) -> None:
    insert(connection, change(island=None, sex=None, year=None))
    assert preprocess(connection, 0).rows == 1


IMPOSSIBLE = [
    ({"species": "Emu"}, "unknown species 'Emu', known are Adelie, Chinstrap, Gentoo"),
    ({"species": "adelie"}, "unknown species 'adelie', known are Adelie, Chinstrap, Gentoo"),
    ({"bill_length_mm": 1.0}, "bill_length_mm: 1 mm is not within 10 to 150"),
    ({"bill_depth_mm": -13.2}, "bill_depth_mm: -13.2 mm is not within 3 to 60"),
    ({"flipper_length_mm": float("inf")}, "flipper_length_mm: Infinity mm is not within 50 to 500"),
    ({"body_mass_g": float("nan")}, "body_mass_g: NaN g is not within 300 to 60000"),
    (
        {"species": "Emu", "body_mass_g": 4.5},
        "unknown species 'Emu', known are Adelie, Chinstrap, Gentoo; body_mass_g: 4.5 g is not within 300 to 60000",
    ),
]


@pytest.mark.parametrize(("values", "reason"), IMPOSSIBLE)
def test_impossible_rows_are_set_aside_with_the_reason(
    connection: Connection[Any], values: dict[str, Any], reason: str
) -> None:
    insert(connection, *[GOOD] * 19, change(**values))
    report = preprocess(connection, 0.05)
    assert (report.rows, report.rejected) == (19, 1)
    rejected = connection.execute("SELECT source_row, task, reason, record FROM penguins_rejected").fetchone()
    assert rejected is not None
    assert rejected[:3] == (20, "preprocess", reason)
    assert set(rejected[3]) >= {"species", "island", "body_mass_g", "year"}


def test_too_many_impossible_rows_change_nothing(connection: Connection[Any]) -> None:
    load_raw(connection, "palmerpenguins", 0)
    preprocess(connection, 0)
    connection.execute("UPDATE penguins_raw SET species = 'Emu' WHERE source_row % 3 = 0")
    said = (
        r"penguins_raw: 114 of 342 rows \(33.3%\) break.* preprocess has changed nothing.*row 3: unknown species 'Emu'"
    )
    with pytest.raises(UserError, match=said):
        preprocess(connection, 0.05)
    assert connection.execute("SELECT count(*) FROM penguins_processed").fetchone() == (342,)
    assert connection.execute("SELECT count(*) FROM penguins_rejected").fetchone() == (0,)


def test_an_empty_raw_table_is_refused(connection: Connection[Any]) -> None:
    with pytest.raises(UserError, match="penguins_raw is empty. Run load_raw first"):
        preprocess(connection, 0)


def test_the_given_contract_decides_which_species_are_known(connection: Connection[Any]) -> None:
    insert(connection, GOOD, change(species="Adelie"))
    report = preprocess(connection, 0.5, narrowed(4, ["Gentoo"]))
    assert (report.rows, report.rejected) == (1, 1)
    assert connection.execute("SELECT species, label FROM penguins_processed").fetchall() == [("Gentoo", 0)]
