"""Everyday files: each is read rightly, or refused in one sentence with column, row and remedy."""

import gzip
import logging
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from contract.schema import Column, DataContract
from penguins.data.ingest import parsed
from penguins.data.parsing import raw_types
from penguins.data.sources import open_source
from penguins.errors import UserError
from tests.penguins.data.contracts import COLOURS, made

SIZE = Column(name="size", type="number")
COUNT = Column(name="count", type="integer")
RIPE = Column(name="ripe", type="boolean")
COLOUR = Column(name="colour", type="string", categories=COLOURS)
NOTE = Column(name="note", type="string", role="ignored", required=False)
DAY = Column(name="day", type="date", role="time")
AT = Column(name="at", type="timestamp", role="time")


def read(source: Path, contract: DataContract) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the typed rows of a file, and the reasons of the others with their numbers."""
    rows, reasons = [], []
    with open_source(str(source), contract) as opened:
        for batch, rejected in parsed(opened, raw_types(contract)):
            rows += batch.to_pylist()
            reasons += [f"row {each.source_row}: {each.reason}" for each in rejected]
        reasons += [f"row {number}: {why}" for number, why in opened.malformed.items()]
    return rows, reasons


def write(folder: Path, text: str | bytes, name: str = "fruit.csv") -> Path:
    path = folder / name
    content = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


READ: Mapping[str, tuple[Column, str, Any]] = {
    "a number": (SIZE, " 1.50 ", 1.5),
    "an infinite number, which the limits exclude": (SIZE, "-Inf", float("-inf")),
    "an exponent": (SIZE, "+1e-3", 0.001),
    "no number": (SIZE, "N/A", None),
    "a question mark": (SIZE, "?", None),
    "a whole number": (COUNT, "007", 7),
    "a whole number with a point": (COUNT, "7.0", 7),
    "a whole number that float64 doesn't have": (COUNT, "9007199254740993", 9007199254740993),
    "yes": (RIPE, "Yes", True),
    "f": (RIPE, "F", False),
    "0.0": (RIPE, "0.0", False),
    "a category": (COLOUR, "red", "red"),
    "a category with a comma": (COLOUR, '"dark, blue"', "dark, blue"),
    "a category with quotes": (COLOUR, '"a ""quote"""', 'a "quote"'),
    "an emoji": (COLOUR, "🐧", "🐧"),
    "a trailing blank": (COLOUR, "red ", "red"),
    "another case, which counts": (COLOUR, "Red", "Red"),
    "a date": (DAY, "2026-01-31", date(2026, 1, 31)),
    "a text like a number": (NOTE, "007", "007"),
}


WRONG: Mapping[str, tuple[Column, str, str]] = {
    "text": (SIZE, "large", "size: 'large' is not a number"),
    "hexadecimal": (SIZE, "0x1F", "size: '0x1F' is not a number"),
    "thousands separators": (
        SIZE,
        '"1,234.5"',
        "size: '1,234.5' is not a number (write it without thousands separators;",
    ),
    "thousands with blanks": (SIZE, "12 345", "is not a number (write it without thousands separators;"),
    "a decimal comma": (
        SIZE,
        '"1,5"',
        "size: '1,5' is not a number (for this decimal mark set decimalMark: \",\" in the",
    ),
    "half": (COUNT, "1.5", "count: '1.5' is not a whole number"),
    "more than int64": (COUNT, "99999999999999999999", "is not a whole number"),
    "maybe": (RIPE, "maybe", "ripe: 'maybe' is not true or false"),
    "a number for a boolean": (RIPE, "2", "ripe: '2' is not true or false"),
    "another order": (DAY, "31.01.2026", "day: '31.01.2026' is not a date such as 2026-01-31"),
    "no such day": (DAY, "2026-02-30", "day: '2026-02-30' is not a date"),
    "a time of no day": (AT, "12:00", "at: '12:00' is not a time such as 2026-01-31T12:00:00Z"),
    "the end of time": (AT, "9999-12-31T23:59:59-10:00", "is not a time"),
    "NUL": (SIZE, "1\0", "is not a number"),
}


@pytest.mark.parametrize(("column", "text", "value"), READ.values(), ids=READ)
def test_a_value_is_read(tmp_path: Path, column: Column, text: str, value: Any) -> None:
    rows, reasons = read(write(tmp_path, f"kind,{column.name}\nApple,{text}\n"), made(column))
    assert ([row[column.name] for row in rows], reasons) == ([value], [])


@pytest.mark.parametrize(("column", "text", "reason"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_sets_its_row_aside_with_a_remedy(tmp_path: Path, column: Column, text: str, reason: str) -> None:
    good = {"size": "1", "count": "1", "ripe": "no", "day": "2026-01-31", "at": "2026-01-31"}[column.name]
    rows, reasons = read(write(tmp_path, f"kind,{column.name}\nApple,{good}\nPear,{text}\nPear,{good}\n"), made(column))
    assert len(rows) == 2
    assert len(reasons) == 1
    assert reasons[0].startswith("row 2: ")
    assert reason in reasons[0]


def test_a_wrong_text_doesnt_change_how_others_are_read(tmp_path: Path) -> None:
    rows, reasons = read(write(tmp_path, "kind,size\nApple,inf\nApple,-1.5E3\nPear,large\n"), made(SIZE))
    assert [row["size"] for row in rows] == [float("inf"), -1500.0]
    assert reasons == ["row 3: size: 'large' is not a number"]


def test_the_contract_says_how_a_file_is_read(tmp_path: Path) -> None:
    reading: dict[str, Any] = {
        "separator": ";",
        "decimal_mark": ",",
        "null_values": ("", "none"),
        "case_sensitive": False,
    }
    contract = made(SIZE, COLOUR, **reading)
    text = 'Size;kind;size;colour\n;APPLE;1,5;RED\n;pear;none;DARK, Blue\n;Plum;2;A "QUOTE"\n;Pear;1.234,5;?\n'
    rows, reasons = read(write(tmp_path, text), contract)
    assert [tuple(row.values())[1:] for row in rows] == [
        ("Apple", 1.5, "red"),
        ("Pear", None, "dark, blue"),
        ("Plum", 2.0, 'a "quote"'),
    ]
    assert reasons == [
        "row 4: size: '1.234,5' is not a number (write it without thousands separators; "
        "a decimal mark is set by decimalMark in the contract)"
    ]


ALIKE: Mapping[str, tuple[str, bytes]] = {
    "pandas' index": ("fruit.csv", b",kind,size\n0,Apple,1\n1,Pear,2\n"),
    "two columns without a name": ("fruit.csv", b",kind,size,\nx,Apple,1,\ny,Pear,2,\n"),
    "an extra column of another type at the end": ("fruit.csv", b"kind,size,more\nApple,1,1\nPear,2,x\n"),
    "Windows": ("fruit.csv", b"kind,size\r\nApple,1\r\nPear,2\r\n"),
    "a byte order mark": ("fruit.csv", b"\xef\xbb\xbfkind,size\nApple,1\nPear,2\n"),
    "quotes": ("fruit.csv", b'"kind","size"\n"Apple","1"\n"Pear","2"\n'),
    "TSV": ("fruit.tsv", b"kind\tsize\nApple\t1\nPear\t2\n"),
    "TSV, packed": ("fruit.tsv.gz", b"kind\tsize\nApple\t1\nPear\t2\n"),
    "JSON": (
        "fruit.jsonl",
        b'\xef\xbb\xbf{"kind": "Apple", "size": 1, "more": "x"}\n\n{"size": 2.0, "kind": "Pear"}\n',
    ),
    "JSON of another name, packed": (
        "fruit.NDJSON.gz",
        b'{"kind": "Apple", "size": "1"}\r\n{"kind": "Pear", "size": 2}',
    ),
}


@pytest.mark.parametrize(("name", "content"), ALIKE.values(), ids=ALIKE)
def test_everyday_files_have_the_same_rows(tmp_path: Path, name: str, content: bytes) -> None:
    rows, reasons = read(write(tmp_path, content, name), made(SIZE))
    assert [tuple(row.values()) for row in rows] == [(1, "Apple", 1.0), (2, "Pear", 2.0)]
    assert reasons == []


REFUSED: Mapping[str, tuple[str, bytes, str]] = {
    "missing": ("fruit.csv", b"kind,width\nApple,1\n", "the header lacks 'size' and has unknown 'width'. Required are"),
    "another case": ("fruit.csv", b"kind,Size\nApple,1\n", "(perhaps 'Size' should be 'size')"),
    "a blank": ("fruit.csv", b"kind, size\nApple,1\n", "(perhaps ' size' should be 'size')"),
    "a slip": ("fruit.csv", b"kind,sze\nApple,1\n", "(perhaps 'sze' should be 'size')"),
    "doubled": ("fruit.csv", b"kind,size,size\nApple,1,1\n", "has 'size' more than once. Keep one of them."),
    "semicolons": ("fruit.csv", b"kind;size\nApple;1\n", 'looks like `;`: set separator: ";" in the contract.'),
    "semicolons and commas": (
        "fruit.csv",
        b"kind;size\nApple;1,5\n",
        'looks like `;` with decimal commas: set separator: ";" and decimalMark: "," in the contract.',
    ),
    "tabs": ("fruit.csv.gz", b"kind\tsize\nApple\t1\n", 'looks like `\\t`: set separator: "\\t" in the contract.'),
    "no tabs": ("fruit.tsv", b"kind,size\nApple,1\n", 'looks like `,`: set separator: "," in the contract.'),
    "Latin-1": ("fruit.csv", "kind,size\nÄpfel,1\n".encode("latin-1"), "isn't UTF-8"),
    "JSON in Latin-1": ("fruit.jsonl", '{"kind": "Äpfel", "size": 1}'.encode("latin-1"), "isn't UTF-8"),
    "JSON, empty": ("fruit.jsonl", b"\n", "the file is empty. It needs a JSON object in each line."),
    "JSON without the column": ("fruit.jsonl", b'{"kind": "Apple"}', "the header lacks 'size'"),
    "JSON in one line": (
        "fruit.jsonl",
        b'[{"kind": "Apple"}' + b" " * (1 << 20),
        "row 1 is longer than 1,048,576 bytes",
    ),
    "JSON, empty and packed": ("fruit.jsonl.gz", b"", "the file is empty"),
}


@pytest.mark.parametrize(("name", "content", "message"), REFUSED.values(), ids=REFUSED)
def test_a_file_of_another_form_is_refused_with_a_remedy(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(UserError) as raised:
        read(write(tmp_path, content, name), made(SIZE))
    assert message in str(raised.value)
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)


def test_texts_of_several_lines_are_read(tmp_path: Path) -> None:
    text = 'kind,note,size,more\nApple,"two\nlines, ""quoted""",1,"x\n"\n,"\r\n\n",2,\nPear,"a\nb",3\nPear,5" pipe,4,\n'
    for name, content in {"fruit.csv": text, "fruit.csv.gz": text, "fruit.tsv": text.replace(",", "\t")}.items():
        rows, reasons = read(write(tmp_path, content, name), made(NOTE, SIZE))
        lines = 'two\nlines, "quoted"'.replace(",", "\t" if name == "fruit.tsv" else ",")
        assert [tuple(row.values()) for row in rows] == [
            (1, "Apple", lines, 1.0),
            (2, None, None, 2.0),
            (4, "Pear", '5" pipe', 4.0),
        ]
        (reason,) = reasons
        assert reason.startswith("row 3: 3 columns instead of 4: 'Pear")
    many = write(tmp_path, "kind,note,size\n" + ('Apple,"' + "x\n" * 50 + '",1\n') * 20_000)  # in several blocks
    assert len(read(many, made(NOTE, SIZE))[0]) == 20_000


SWALLOWED: Mapping[str, tuple[str, int]] = {
    "by the next quote": ('Apple,"5 pipe,1,\nPear,"6 pipe,2,\nPear,b,3,\n', 1),
    "by a quote far below": (
        "Apple,a,1,\n" * 3 + 'Apple,"5 pipe,1,\n' + "Pear,b,2,\n" * 9 + 'Pear,"b,3,\nPear,c,4,\n',
        4,
    ),
    "by the end": ('Apple,a,1,\nPear,b,2,"x\nPear,c,3,\n', 2),
    "in a column that isn't in the contract": ('Apple,a,1,"x\nPear,b,2,"y\n', 1),
    "in a column of numbers": ('Apple,a,"1,\nPear,b,"2,\n', 1),
}


@pytest.mark.parametrize(("lines", "row"), SWALLOWED.values(), ids=SWALLOWED)
def test_rows_that_an_open_quote_swallows_are_not_lost(tmp_path: Path, lines: str, row: int) -> None:
    with pytest.raises(
        UserError, match=rf"fruit\.csv: row {row}: \w+ holds a line break: is a quote not closed\? Close it"
    ):
        read(write(tmp_path, "kind,note,size,more\n" + lines), made(NOTE, SIZE))


def test_an_open_quote_of_a_large_file_is_named_without_reading_all_of_it(tmp_path: Path) -> None:
    path = write(tmp_path, 'kind,size\nApple,"1\n' + "Pear,2\n" * 500_000)
    with pytest.raises(UserError, match="a quote isn't closed, or the rows aren't CSV") as raised:
        read(path, made(SIZE))
    assert "\n" not in str(raised.value)


def test_ignored_columns_are_named_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read(write(tmp_path, ",kind,size,Note\n0,Apple,1,x\n"), made(SIZE, NOTE))
    assert (
        "ignored the columns '', 'Note', which aren't in the contract (perhaps 'Note' should be 'note')" in caplog.text
    )
    with pytest.raises(UserError, match="the header has unknown ''. Required are 'kind', 'size'."):
        read(write(tmp_path, ",kind,size\n0,Apple,1\n"), made(SIZE, extra_columns="refuse"))


def test_half_of_a_surrogate_pair_is_no_text(tmp_path: Path) -> None:
    lines = [r'{"kind": "Apple", "size": 1}', r'{"kind": "\ud83d", "size": 2}', r'{"kind": "Pear", "size": 3}']
    rows, reasons = read(write(tmp_path, "\n".join(lines), "fruit.jsonl"), made(SIZE))
    assert [row["kind"] for row in rows] == ["Apple", "Pear"]
    assert [reason.partition(" of ")[0] for reason in reasons] == ["row 2: not a JSON object"]


def test_long_lines_of_json_come_in_small_batches(tmp_path: Path) -> None:
    line = f'{{"kind": "Apple", "size": 1, "note": "{"x" * 1_000_000}"}}\n'
    path = write(tmp_path, line * 30, "fruit.jsonl")
    with open_source(str(path), made(SIZE)) as source:
        assert [batch.num_rows for batch in source.batches] == [9, 9, 9, 3]


def test_large_rows_of_parquet_come_in_small_batches(tmp_path: Path) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array(["x" * 1_000_000]))
    table = pa.table({"kind": ["Apple"] * 1000, "size": [1.0] * 1000, "note": texts})
    path = tmp_path / "fruit.parquet"  # of some kilobytes
    pa.parquet.write_table(table, path, store_schema=False)
    contract = made(SIZE, Column(name="note", type="string", role="ignored", required=False))
    with open_source(str(path), contract) as source:
        sizes = [batch.nbytes for batch in source.batches]
    assert max(sizes) < 40_000_000
    assert sum(sizes) > 1_000_000_000


def test_broken_lines_of_json_are_set_aside(tmp_path: Path) -> None:
    lines = [
        '{"kind": "Apple", "size": 1}',
        "{",
        '{"kind": "Apple", "size": [1]}',
        "[" * 100_000,
        '{"kind": "Pear"}',
        "7",
        '{"kind": "Apple", "size": 1, "size": 2}',
        '{"kind": "Apple", "more": 1, "more": 2}',
    ]
    rows, reasons = read(write(tmp_path, "\n".join(lines), "fruit.jsonl"), made(SIZE))
    assert [tuple(row.values()) for row in rows] == [(1, "Apple", 1.0), (5, "Pear", None)]
    assert [reason.split(":")[0] for reason in reasons] == ["row 2", "row 3", "row 4", "row 6", "row 7", "row 8"]
    assert reasons[4] == 'row 7: the key \'size\' is there twice: \'{"kind": "Apple", "size": 1, "size": 2}\''
    assert 'row 3: not a JSON object of texts, numbers and booleans: \'{"kind"' in reasons[1]


PARQUET: Mapping[str, tuple[Column, pa.Array, list[Any]]] = {
    "decimals": (SIZE, pa.array([Decimal("1.50"), None]), [1.5, None]),
    "float16": (SIZE, pa.array(np.array([1.5, np.nan], np.float16)), [1.5, None]),
    "a dictionary": (COLOUR, pa.array(["red", None]).dictionary_encode(), ["red", None]),
    "a dictionary of numbers": (SIZE, pa.array([1, 2]).dictionary_encode(), [1.0, 2.0]),
    "large text": (COLOUR, pa.array(["red", " ? "], pa.large_string()), ["red", None]),
    "booleans": (RIPE, pa.array([True, None]), [True, None]),
    "numbers for booleans": (RIPE, pa.array([1.0, float("nan")]), [True, None]),
    "unsigned numbers": (COUNT, pa.array([1, 2], pa.uint64()), [1, 2]),
    "numbers for text": (NOTE, pa.array([12345678901234567, 2]), ["12345678901234567", "2"]),
    "days": (DAY, pa.array([date(2026, 1, 31), None]), [date(2026, 1, 31), None]),
    "midnights": (DAY, pa.array([datetime(2026, 1, 31), None], pa.timestamp("ns")), [date(2026, 1, 31), None]),
    "nothing": (SIZE, pa.nulls(2), [None, None]),
}


@pytest.mark.parametrize(("column", "values", "expected"), PARQUET.values(), ids=PARQUET)
def test_types_of_parquet_are_read(tmp_path: Path, column: Column, values: pa.Array, expected: list[Any]) -> None:
    table = pa.table({"__index_level_0__": [0, 1], "kind": ["Apple", "Pear"], column.name: values, "x": [[1], []]})
    pyarrow.parquet.write_table(table, tmp_path / "fruit.parquet")
    rows, reasons = read(tmp_path / "fruit.parquet", made(column))
    assert ([row[column.name] for row in rows], reasons) == (expected, [])


@pytest.mark.parametrize("values", [[[1], []], [{"a": 1}, {"a": 2}], [b"1", b"2"]], ids=["lists", "structs", "bytes"])
def test_nested_columns_of_parquet_are_refused(tmp_path: Path, values: list[Any]) -> None:
    pyarrow.parquet.write_table(pa.table({"kind": ["Apple", "Pear"], "size": values}), tmp_path / "fruit.parquet")
    with pytest.raises(UserError, match=r"column 'size' is of type .*: it must hold numbers or text. Write the values"):
        read(tmp_path / "fruit.parquet", made(SIZE))
