"""Bad values and headers for each kind of column, in PostgreSQL: read rightly, or refused while the tables stay."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from psycopg import Connection, sql

from contract.schema import Column, DataContract
from penguins.data.dataset import split
from penguins.data.header import required_columns
from penguins.data.ingest import load_raw
from penguins.data.preprocessing import preprocess
from penguins.data.processed import read_processed
from penguins.errors import UserError
from tests.penguins.data.contracts import COLOURS, MIXED, made, tables_of
from tests.penguins.data.test_bad_input import ALIKE, PARQUET, REFUSED, SIZE, WRONG, write

FRUIT = made(SIZE)
NAMES = [column.name for column in MIXED.columns]
SOUND = dict(zip(NAMES, ("e", "1.5", "2", "3", "yes", "red", "1", "7", "2026-01-31", "2026-01-31"), strict=True))


def labelled(kind: str, *classes: str) -> DataContract:
    """Return the contract of every type with classes of another one."""
    target = Column.model_validate({"name": "label", "type": kind, "role": "target", "categories": classes or None})
    return made(*(target if column.role == "target" else column for column in MIXED.columns))


WORDS, TRUTHS = labelled("string", *COLOURS), labelled("boolean")
CLASSES = {MIXED: ("7", "0"), WORDS: COLOURS, TRUTHS: ("no", "yes")}


@pytest.fixture(autouse=True)
def _own_tables(connection: Connection[Any]) -> Iterator[None]:
    with tables_of(connection, FRUIT):
        yield


def table(folder: Path, contract: DataContract, *changes: dict[str, str], header: list[str] = NAMES) -> str:
    """Write two sound rows of each class, and then a row for each of the changes."""
    label = CLASSES[contract]
    rows = [SOUND | {"label": each} for each in label * 2] + [SOUND | {"label": label[0]} | each for each in changes]
    text = io.StringIO()
    csv.writer(text).writerows([header, *(row.values() for row in rows)])
    return str(write(folder, text.getvalue()))


def content(connection: Connection[Any], *kinds: str) -> list[list[tuple[Any, ...]]]:
    """Return the rows of tables of the contract."""
    read = sql.SQL("SELECT * FROM {} ORDER BY source_row")
    queries = [read.format(sql.Identifier(f"fruit_{kind}")) for kind in kinds]
    return [connection.execute(query, prepare=False).fetchall() for query in queries]  # its types may change


ODD = ("dark, violet", 'say "no"', "🐳 ")
NUMBER, WHOLE, TRUTH = "is not a number", "is not a whole number", "is not true or false"
OF_EACH_KIND = [
    (MIXED, "mean % radius", ODD, NUMBER),
    (MIXED, 'od280/"od315"', ODD, NUMBER),
    (MIXED, "value", ODD, WHOLE),
    (MIXED, "reason", ODD, TRUTH),
    (MIXED, "judged", ODD, WHOLE),
    (MIXED, "label", ODD, WHOLE),
    (TRUTHS, "label", ODD, TRUTH),
    (MIXED, "day", ODD, "is not a date such as 2026-01-31"),
    (MIXED, "at", ODD, "is not a time such as 2026-01-31T12:00:00Z"),
    (MIXED, "value", ("1,5", "1,234", "1 234"), "(write it without thousands separators;"),
    (MIXED, "judged", ("1,5", "1,234", "1.234,5"), '(for this decimal mark set decimalMark: "," in the contract)'),
    (MIXED, "raw", ODD, "known are red, 'dark, blue', a \"quote\", 🐧"),
    (WORDS, "label", ODD, "known are red, 'dark, blue', a \"quote\", 🐧"),
    (MIXED, "judged", ("2", "-1", "4 "), "known are 1, 3, 5"),
    (MIXED, "label", ("8", "-1", "70 "), "known are 7, 0"),
]


@pytest.mark.parametrize(("contract", "name", "texts", "remedy"), OF_EACH_KIND, ids=range(len(OF_EACH_KIND)))
def test_wrong_values_are_refused_with_column_row_and_remedy(
    connection: Connection[Any],
    tmp_path: Path,
    contract: DataContract,
    name: str,
    texts: tuple[str, ...],
    remedy: str,
) -> None:
    load_raw(connection, table(tmp_path, contract), 0, contract=contract)
    preprocess(connection, 0, contract)
    kinds = ["processed", "rejected"] if "known are" in remedy else ["raw", "processed", "rejected"]
    before = content(connection, *kinds)
    source = table(tmp_path, contract, *({name: text} for text in texts))

    def both() -> None:
        load_raw(connection, source, 0, contract=contract)
        preprocess(connection, 0, contract)

    with pytest.raises(UserError) as raised:
        both()
    message, sound = str(raised.value), 2 * len(CLASSES[contract])
    for row, text in enumerate(texts, sound + 1):
        quoted = text.strip() if name in ("judged", "label") and "known are" in remedy and texts is not ODD else None
        said = quoted or repr(text.strip())
        assert re.search(rf"row {row}: [^|]*{re.escape(name)}[^|]* ?{re.escape(said)}", message)
    assert remedy in message
    assert message.endswith("Correct these rows, or change the contract.")
    assert "\n" not in message
    assert content(connection, *kinds) == before


@pytest.mark.parametrize("contract", CLASSES, ids=["integer", "string", "boolean"])
def test_commas_quotes_emojis_and_trailing_blanks_are_read(
    connection: Connection[Any], tmp_path: Path, contract: DataContract
) -> None:
    label = CLASSES[contract]
    odd = [{"raw": f"{each} "} for each in COLOURS] + [{"label": f"{each} "} for each in label]
    odd += [{name: f"{SOUND[name]} "} for name in NAMES if name not in ("raw", "label")]
    load_raw(connection, table(tmp_path, contract, *odd), 0, contract=contract)
    assert preprocess(connection, 0, contract).rejected == 0
    (raw,) = content(connection, "raw")
    places = {name: place for place, name in enumerate(NAMES, 1)}
    first, odd_rows = raw[0], raw[2 * len(label) :]
    assert [row[places["raw"]] for row in odd_rows[: len(COLOURS)]] == list(COLOURS)
    of_classes = odd_rows[len(COLOURS) : len(COLOURS) + len(label)]
    assert [row[places["label"]] for row in of_classes] == [row[places["label"]] for row in raw[: len(label)]]
    assert {row[1:] for row in odd_rows[len(COLOURS) + len(label) :]} == {first[1:]}
    processed = read_processed(connection, contract)
    labels = processed[contract.label_column].tolist()
    assert labels[2 * len(label) + len(COLOURS) :][: len(label)] == list(range(len(label)))


@pytest.mark.parametrize("text", ["", "NA", "N/A", "?"])
def test_each_spelling_of_a_missing_value_is_one(connection: Connection[Any], tmp_path: Path, text: str) -> None:
    load_raw(connection, table(tmp_path, MIXED, *({name: text} for name in NAMES)), 0, contract=MIXED)
    (raw,) = content(connection, "raw")
    assert [[place for place, value in enumerate(row) if value is None] for row in raw[4:]] == [
        [place] for place in range(1, len(NAMES) + 1)
    ]
    report = preprocess(connection, 0, MIXED)
    assert (report.incomplete, report.rejected) == (sum(column.required for column in MIXED.columns), 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_column_that_is_missing_renamed_or_doubled_is_named(
    connection: Connection[Any], tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    load_raw(connection, table(tmp_path, MIXED), 0, contract=MIXED)
    before = content(connection, "raw", "rejected")
    renamed, upper = ([new if each == name else each for each in NAMES] for new in ("another", name.upper()))
    twice = [name if each == ("day" if name == "at" else "at") else each for each in NAMES]
    with pytest.raises(UserError, match=re.escape(f"has {name!r} more than once. Keep one of them.")):
        load_raw(connection, table(tmp_path, MIXED, header=twice), 0, contract=MIXED)
    assert content(connection, "raw", "rejected") == before
    for header, hint in (
        (renamed, "has unknown 'another'. Required are"),
        (upper, f"(perhaps {name.upper()!r} should be {name!r}). Required are"),
    ):
        source = table(tmp_path, MIXED, header=header)
        if name in required_columns(MIXED):
            with pytest.raises(UserError, match=re.escape(f"the header lacks {name!r}")) as raised:
                load_raw(connection, source, 0, contract=MIXED)
            assert hint in str(raised.value)
            assert content(connection, "raw", "rejected") == before
        else:
            load_raw(connection, source, 0, contract=MIXED)
            assert "ignored the columns" in caplog.text


def test_a_file_of_another_form_leaves_the_tables(connection: Connection[Any], tmp_path: Path) -> None:
    load_raw(connection, str(write(tmp_path, "kind,size\nApple,1\nPear,2\n")), 0, contract=FRUIT)
    preprocess(connection, 0, FRUIT)
    before = content(connection, "raw", "processed", "rejected")
    for name, file, message in REFUSED.values():
        with pytest.raises(UserError, match=re.escape(message)):
            load_raw(connection, str(write(tmp_path, file, name)), 0, contract=FRUIT)
    for values in ([[1], []], [{"a": 1}, {"a": 2}], [b"1", b"2"]):
        path = tmp_path / "fruit.parquet"
        pa.parquet.write_table(pa.table({"kind": ["Apple", "Pear"], "size": values}), path)
        with pytest.raises(UserError, match="column 'size' is of type .* Write the values"):
            load_raw(connection, str(path), 0, contract=FRUIT)
    for column, text, reason in WRONG.values():
        if column == SIZE:
            source = write(tmp_path, f"kind,size\nApple,1\nPear,{text}\n")
            with pytest.raises(UserError, match=f"row 2: .*{re.escape(reason)}"):
                load_raw(connection, str(source), 0, contract=FRUIT)
    assert content(connection, "raw", "processed", "rejected") == before


def test_everyday_files_are_stored(connection: Connection[Any], tmp_path: Path) -> None:
    for name, file in ALIKE.values():
        load_raw(connection, str(write(tmp_path, file, name)), 0, contract=FRUIT)
        assert content(connection, "raw") == [[(1, "Apple", 1.0), (2, "Pear", 2.0)]]
    for column, values, expected in PARQUET.values():
        path = tmp_path / "fruit.parquet"
        pa.parquet.write_table(pa.table({"kind": ["Apple", "Pear"], column.name: values}), path)
        load_raw(connection, str(path), 0, contract=made(column))
        assert content(connection, "raw") == [[(1, "Apple", expected[0]), (2, "Pear", expected[1])]]


@pytest.mark.parametrize("pears", [0, 1])
def test_a_class_that_the_data_lacks_or_has_once_is_named(
    connection: Connection[Any], tmp_path: Path, pears: int
) -> None:
    source = write(tmp_path, "kind,size\n" + "Apple,1\nApple,2\n" * 5 + "Pear,3\n" * pears)
    load_raw(connection, str(source), 0, contract=FRUIT)
    preprocess(connection, 0, FRUIT)
    with pytest.raises(UserError, match=rf"too few rows of Pear \({pears}\): at least 2 of each kind are needed"):
        split(read_processed(connection, FRUIT), 0.2, 42, FRUIT)
