"""The findings of a check of a source, and the results of load_raw and preprocess for the same one."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from contract.schema import Column
from penguins.data.checking import check_source
from penguins.data.ingest import load_raw
from penguins.data.preprocessing import preprocess
from tests.penguins.data.contracts import MIXED, MIXED_HEADER, MIXED_ROWS, made, tables_of

FRUIT = made(Column(name="size", type="number"))

ODD_ROWS = (
    "e,0,2,3,yes,red,1,7,,\n"
    "f,inf,2,3,yes,red,1,7,,\n"
    "g,1e39,-1e39,3,yes,red,1,7,,\n"
    "h,1,2,-1,yes,it's 100%,1,7,,\n"
    "i,1,2,3,yes,red,2,8,,\n"
    "j,,2,11,yes,red,2,7,,\n"
    "k,large,2,3,perhaps,red,1,7,,\n"
    "l,1,2,3.5,yes,red,1,7,,\n"
    "m,1,2\n"
)


@pytest.fixture
def tables(connection: Connection[Any]) -> Iterator[None]:
    with tables_of(connection, MIXED):
        yield


@pytest.mark.usefixtures("tables")
def test_a_check_counts_what_the_tasks_reject(connection: Connection[Any], tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text(MIXED_HEADER + MIXED_ROWS + ODD_ROWS)
    check = check_source(str(path), MIXED)
    assert connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'fruit%'").fetchall() == []
    loaded, kept = load_raw(connection, str(path), 1, contract=MIXED), preprocess(connection, 1, MIXED)
    assert (check.rows, check.unreadable) == (loaded.rows + loaded.rejected, loaded.rejected)
    assert (check.used, check.incomplete, check.impossible) == (kept.rows, kept.incomplete, kept.rejected)
    rejected = connection.execute(
        "SELECT task, format('row %s: %s', source_row, reason) FROM fruit_rejected"
    ).fetchall()
    for (task, _), problem in check.problems.items():
        row, _, reason = problem.first.partition(": ")
        assert any(each == task and text.startswith(row + ": ") and reason in text for each, text in rejected)
    assert {key: problem.rows for key, problem in check.problems.items()} == {
        ("load_raw", ""): 1,
        ("load_raw", "mean % radius"): 1,
        ("load_raw", "reason"): 1,
        ("load_raw", "value"): 1,
        ("preprocess", "mean % radius"): 3,
        ("preprocess", 'od280/"od315"'): 1,
        ("preprocess", "value"): 1,
        ("preprocess", "raw"): 1,
        ("preprocess", "judged"): 1,
        ("preprocess", "label"): 1,
    }


def test_a_check_describes_the_values_of_the_usable_rows(tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text(MIXED_HEADER + MIXED_ROWS + ODD_ROWS)
    check = check_source(str(path), MIXED)
    radius, share, judged = (check.values[name] for name in ("mean % radius", 'od280/"od315"', "judged"))
    assert (radius.low, radius.high, radius.missing) == (0.1, 3, 0)
    assert (share.low, share.high, share.missing) == (-4, 2, 1)
    assert (dict(judged.counts), judged.missing) == ({1: 1, 5: 1, 3: 1}, 1)
    assert dict(check.values["reason"].counts) == {True: 2, False: 1}
    assert check.class_rows == {"7": 2, "0": 2}
    assert "load_raw would refuse it: 3 of 13 rows (23.1%)" in check.refusal()


REFUSED = {
    "nothing": ("", "a header but no rows"),
    "too few": ("Apple,1\nApple,2\nPear,3\n", r"it has too few rows of Pear \(1\): at least 2 of each kind are needed"),
    "unreadable": (
        "Apple,large\nApple,2\nPear,3\n",
        r"load_raw would refuse it: 1 of 3 rows \(33.3%\).*maxRejectedShare",
    ),
    "unknown": ("Plum,1\nApple,2\nPear,3\n", r"preprocess would refuse it: 1 of 3 rows"),
    "incomplete": ("Apple,\nPear,\n", "not one of its 2 rows can be used"),
}


@pytest.mark.parametrize(("rows", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_source_that_would_fail_is_named(tmp_path: Path, rows: str, reason: str) -> None:
    path = tmp_path / "fruit.csv"
    path.write_text("kind,size\n" + rows)
    found = check_source(str(path), FRUIT).refusal()
    assert re.search(reason, found)


def test_a_good_source_is_not_refused(tmp_path: Path) -> None:
    path = tmp_path / "fruit.csv"
    path.write_text("kind,size\n" + "Apple,1\nPear,2\n" * 50 + "Plum,3\n")
    check = check_source(str(path), FRUIT)
    assert (check.refusal(), check.used, check.impossible) == ("", 100, 1)
