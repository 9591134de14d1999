"""`make contract`: what is guessed from a table, what is refused, and that the draft takes the table as it is."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_wine

from contract.example import example_row
from contract.odcs import read_text
from contract.schema import Column, DataContract, Reading
from local.settings import REPO
from penguins.contracts.__main__ import main
from penguins.contracts.draft import draft, name_of
from penguins.contracts.draft.profile import Profile
from penguins.data.parsing import parse, raw_types
from penguins.data.rules import rules
from penguins.data.sources import open_source
from penguins.errors import UserError
from tests.penguins.calling import call

ROWS = 24
CLASSES = ["a", "b"] * (ROWS // 2)


def drafted(path: Path, target: str = "kind") -> DataContract:
    found = draft(str(path), target, "fruit")
    return read_text(found.text.encode(), "fruit.yaml", "fruit")


def unread(path: Path, contract: DataContract) -> list[object]:
    """Return the rows that the contract rejects, and those that lack what it requires."""
    found: list[object] = []
    with open_source(str(path), contract) as source:
        for batch in source.batches:
            typed, rejected = parse(batch, np.arange(1, len(batch) + 1), contract, raw_types(contract))
            found += rejected
            for rule in rules(contract):
                values = typed.column(rule.column.name)
                values = values.dictionary_decode() if hasattr(values, "dictionary_decode") else values
                if pc.any(rule.broken(values)).as_py():
                    found.append((rule.column.name, values))
            found += [each.name for each in contract.features if each.required and typed.column(each.name).null_count]
    return [*found, *source.malformed]


def write(folder: Path, columns: dict[str, list[object]], name: str = "fruit.csv", **how: object) -> Path:
    path = folder / name
    pd.DataFrame(columns).to_csv(path, index=False, **how)  # type: ignore[call-overload]
    return path


def column(contract: DataContract, name: str) -> Column:
    return next(each for each in contract.columns if each.name == name)


def test_each_kind_of_column_is_guessed(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "passenger": [f"Person {number}" for number in range(ROWS)],
        "row": list(range(1, ROWS + 1)),
        "customer_id": [(number * 7919) % 1000 for number in range(ROWS)],
        "length (cm)": [number * 1.25 - 3 for number in range(ROWS)],
        "rooms": [number % 7 for number in range(ROWS)],
        "weight_kg": [None, *range(1, ROWS)],
        'colour "%" 🍷': ["red", "dark, blue", None] * (ROWS // 3),
        "ripe": [True, False, True] * (ROWS // 3),
        "bought": ["2026-01-31", "2025-12-01", None] * (ROWS // 3),
        "seen": ["2026-01-31T12:00:00", "2025-12-01 10:00", None] * (ROWS // 3),
        "planet": ["Earth"] * ROWS,
        "nothing": [None] * ROWS,
        "copy": [1 if each == "a" else 0 for each in CLASSES],
        "kind": [*CLASSES],
    }
    path = write(tmp_path, columns)
    found = drafted(path)
    assert {each.name: (each.type, each.role, each.required) for each in found.columns} == {
        "passenger": ("string", "id", False),
        "row": ("integer", "id", False),
        "customer_id": ("integer", "id", False),
        "length (cm)": ("number", "feature", True),
        "rooms": ("integer", "feature", True),
        "weight_kg": ("number", "feature", False),
        'colour "%" 🍷': ("string", "feature", False),
        "ripe": ("boolean", "feature", True),
        "bought": ("date", "time", False),
        "seen": ("timestamp", "time", False),
        "planet": ("string", "ignored", False),
        "nothing": ("string", "ignored", False),
        "copy": ("integer", "ignored", False),
        "kind": ("string", "target", True),
    }
    assert column(found, 'colour "%" 🍷').categories == ("dark, blue", "red")
    length = column(found, "length (cm)")
    assert (length.unit, length.decimals) == ("cm", 2)
    assert (length.plausible.minimum, length.plausible.maximum) == (-32, 55)
    assert column(found, "rooms").plausible.minimum == 0  # none is below, and the room goes no further
    assert (found.training.min_accuracy, found.training.folds) == (0.55, 5)
    assert found.training.source == str(path)
    assert unread(path, found) == []


def test_the_example_is_a_row_that_the_model_knows(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "size": [0.5, *[7.25] * 12, *[1000.0] * 11],  # the middle of its range lies far from all
        "rooms": [None, *[3] * 20, 90, 90, 90],
        "colour": ["dark, blue", "red", "red"] * 8,
        "ripe": [True, False, True] * 8,
        "kind": [*CLASSES],
    }
    found = drafted(write(tmp_path, columns))
    assert example_row(found) == {"size": 7.25, "rooms": 3, "colour": "red", "ripe": True}
    assert column(found, "kind").examples == ()


def test_the_example_of_a_large_table_is_one_of_its_values(tmp_path: Path) -> None:
    rows = 200_000  # in several batches
    sizes = np.arange(rows) / 8
    path = write(tmp_path, {"size": [*sizes], "kind": ["a", "b"] * (rows // 2)})
    value = example_row(drafted(path))["size"]
    assert isinstance(value, float)
    assert value in sizes
    assert abs(value - rows / 16) < rows / 160


def test_each_guess_has_a_comment_that_says_why(tmp_path: Path) -> None:
    path = write(tmp_path, {"size": [None, 2.5, *range(1, ROWS - 1)], "same": ["x"] * ROWS, "kind": [*CLASSES]})
    text = draft(str(path), "kind").text
    for line in (
        "- name: size # from 1 to 22; 1 of 24 rows lack it",
        "- name: same # every row has 'x'",
        "- value: a # 12 rows",
        "# 50.0% of the rows are a: a model that says nothing else is as often right. This floor is",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("fruit.csv.gz", {}),
        ("fruit.tsv", {"sep": "\t"}),
        ("fruit.csv", {"sep": ";", "decimal": ","}),
        ("fruit.csv", {"sep": "|"}),
        ("fruit.csv", {"encoding": "utf-8-sig", "lineterminator": "\r\n"}),
    ],
)
def test_the_form_of_a_file_of_text_is_guessed(tmp_path: Path, name: str, how: dict[str, object]) -> None:
    path = write(tmp_path, {"size": [each / 4 for each in range(ROWS)], "kind": [*CLASSES]}, name, **how)
    found = drafted(path)
    assert column(found, "size").type == "number"
    assert found.reading.separator == (how.get("sep") if name == "fruit.csv" else None)
    assert unread(path, found) == []


def test_parquet_and_json_lines_are_read(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "size": np.linspace(0, 1, ROWS, dtype="float32"),
            "colour": pd.Categorical(["red", None] * (ROWS // 2)),
            "ripe": [True, None] * (ROWS // 2),
            "parts": [[1, 2]] * ROWS,
            "kind": CLASSES,
        }
    )
    table.to_parquet(tmp_path / "fruit.parquet")
    table.drop(columns="parts").to_json(tmp_path / "fruit.jsonl", orient="records", lines=True)
    for name in ("fruit.parquet", "fruit.jsonl"):
        found = drafted(tmp_path / name)
        assert [(each.name, each.type) for each in found.columns] == [
            ("size", "number"),
            ("colour", "string"),
            ("ripe", "boolean"),
            ("kind", "string"),
        ]
        assert unread(tmp_path / name, found) == []
    assert "parts: holds list" in draft(str(tmp_path / "fruit.parquet"), "kind").text


def test_the_indices_of_pandas_are_left_out(tmp_path: Path) -> None:
    table = pd.DataFrame({"size": np.arange(ROWS) / 3, "kind": CLASSES})
    table.to_csv(tmp_path / "fruit.csv")
    table.query("size >= 0").set_index(table.index[::-1]).to_parquet(tmp_path / "fruit.parquet")
    for name in ("fruit.csv", "fruit.parquet"):
        found = drafted(tmp_path / name)
        assert [each.name for each in found.columns] == ["size", "kind"]
        assert unread(tmp_path / name, found) == []


def test_texts_for_missing_values_are_found(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"size": ["?", "-", "N/A", *range(ROWS - 3)], "colour": ["red", "-", "blue"] * 8, "kind": [*CLASSES]},
    )
    found = drafted(path)
    assert column(found, "size").type == "integer"
    assert column(found, "colour").categories == ("blue", "red")
    assert "-" in found.reading.null_values
    assert "# seen: '-', '?', 'N/A'" in draft(str(path), "kind").text
    assert unread(path, found) == []


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        ([3, -1], "integer", ("-1", "3")),
        (["1.0", "0.0"], "integer", ("0", "1")),
        ([True, False], "boolean", ("false", "true")),
        (["yes", "no"], "string", ("no", "yes")),
        (["NO", "true"], "string", ("NO", "true")),
        (['say "hi", 🐧', "#x: y"], "string", ("#x: y", 'say "hi", 🐧')),
    ],
)
def test_targets_are_text_integers_or_booleans(
    tmp_path: Path, values: list[object], kind: str, classes: tuple[str, ...]
) -> None:
    path = write(tmp_path, {"size": list(range(0, 2 * ROWS, 2)), "kind": values * (ROWS // 2)})
    found = drafted(path)
    assert (found.target.type, found.classes) == (kind, classes)
    assert unread(path, found) == []


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"kind": [each / 7 for each in range(ROWS)]}, "has 24 different numbers: to predict a number is regression"),
        ({"kind": list(range(200))}, "has 200 different numbers: to predict a number is regression, which isn't there"),
        ({"kind": ["a"] * ROWS}, "has one class only, 'a'"),
        ({"kind": [None] * ROWS}, "no row has a value"),
        ({"kind": ["rare", *CLASSES]}, "the class 'rare' has 1 row, and 3 are needed"),
        ({"kind": ["rare", "rare", "few", *CLASSES]}, "the class 'few', 'rare' has 1 row, and 3 are needed"),
        ({"kind": [f"class {each}" for each in range(1001)] * 3}, "has more than 1,000 classes"),
        ({"sort": [*CLASSES], "size": list(range(ROWS))}, "there is no column 'kind'. TARGET is one of 'sort', 'size'"),
        (
            {"kind": [*CLASSES], "same": [1] * ROWS},
            "no column beside the target is of use to a model. 'same': every row",
        ),
        ({"kind": [*CLASSES]}, "no column beside the target is of use to a model. There is none"),
        ({"kind": []}, "no row has a value"),
    ],
)
def test_a_table_that_no_model_can_be_trained_on_is_refused(
    tmp_path: Path, columns: dict[str, list[object]], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        draft(str(write(tmp_path, columns)), "kind")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is no column 'kind'"),
        (b"size,kind\n", "no row has a value"),
        (b"size,size,kind\n1,2,a\n", "the header has 'size' more than once"),
        ("size,kind\n1,\xe9t\xe9\n".encode("latin-1"), "isn't UTF-8"),
        (b"\x1f\x8b\x08\x00damaged", "isn't UTF-8"),
        ("size,kind\n1,a\n".encode("utf-16"), "isn't UTF-8"),
        (b"sep=;\nsize;kind\n1;a\n", "delete its first line, 'sep=;': only Excel reads it"),
        (b"xmin,kind\n1,a\n" + b"1,b\n1,a\n" * 3, "of use to a model. 'xmin': 'xmin' is a column that each table has"),
        (("kind" + ",c" * 2000 + "\n").encode(), "the header has 'c' more than once"),
        (
            f"kind,{','.join(f'c{at}' for at in range(10_000))}\n".encode(),
            "10,001 columns, and a contract has at most 1,500. Write those that are of use into a file of their own",
        ),
        (
            "\n".join(
                [
                    f"kind,{','.join(f'c{at}' for at in range(1001))}",
                    *(f"{'ab'[at % 2]}{f',{at}' * 1001}" for at in range(6)),
                ]
            ).encode(),
            "1,001 columns could be features, and a model has at most 1,000",
        ),
        (b'size,kind\n1,"open\n2,b\n', "row 1: kind holds a line break: is a quote not closed?"),
        (b"size,kind\n1,a\x00b\n", "a value has a NUL character"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "fruit.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        draft(str(path), "kind")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("fruit.csv.gz", b"size,kind\n1,a\n", "damaged or not what its name says: Not a gzipped file"),
        (
            "fruit.csv.gz",
            gzip.compress(b"size,kind\n1,a\n", mtime=0)[:-12],
            "damaged or not what its name says: Compressed file ended",
        ),
        ("fruit.parquet", b"PAR1 and no more", "damaged or not what its name says: "),
        ("fruit.xlsx", b"PK", "unknown format '.xlsx'. Give a .csv, "),
        ("fruit.jsonl", b'[{"size": 1, "kind": "a"}]', "there is no column 'kind': no line is a JSON object with keys"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        draft(str(path), "kind")
    assert message in str(caught.value)


def test_empty_lines_before_the_header_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "fruit.csv"
    path.write_text("\n\nsize;kind\n" + "".join(f"{at},5;{'ab'[at % 2]}\n" for at in range(ROWS)))
    found = drafted(path)
    assert (found.feature_names, found.reading.separator, unread(path, found)) == (("size",), ";", [])


def test_columns_that_no_table_can_have_are_left_out(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "xmin": [1, 2] * 12,
        "x" * 64: [1, 2] * 12,
        "a\tb": [1, 2] * 12,
        "size": [*range(23), 50],
        "kind": [*CLASSES],
    }
    path = write(tmp_path, columns)
    found = drafted(path)
    assert [each.name for each in found.columns] == ["size", "kind"]
    assert unread(path, found) == []


def test_long_texts_are_not_kept() -> None:
    profile = Profile("letter")
    tracemalloc.start()
    for batch in range(20):
        profile.take(
            pa.array([f"{number}" + "x" * 50_000 for number in range(batch * 100, batch * 100 + 100)]), Reading()
        )
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 2_000_000
    assert (profile.rows, profile.is_unique, profile.has_all_texts) == (2000, True, False)


def test_a_text_of_several_lines_is_kept_and_no_category(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "note": ["two\nlines", "one", "one"] * 8,
        "size": [*range(23), 50],
        "kind": [*CLASSES],
    }
    path = write(tmp_path, columns)
    found = drafted(path)
    assert (column(found, "note").type, column(found, "note").role) == ("string", "id")
    assert unread(path, found) == []
    with pytest.raises(UserError, match=r"the class 'two\\nlines' has a line break"):
        draft(str(path), "note")


def test_a_small_class_gets_fewer_folds(tmp_path: Path) -> None:
    path = write(tmp_path, {"size": list(range(0, 2 * ROWS, 2)), "kind": ["a"] * 20 + ["b"] * 4})
    assert drafted(path).training.folds == 3


@pytest.mark.parametrize(("source", "name"), [("/a/My Table-2.csv.gz", "my_table_2"), ("s3://b/1st.parquet", "st")])
def test_the_name_is_made_from_that_of_the_file(source: str, name: str) -> None:
    assert name_of(source) == name


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"size": list(range(0, 2 * ROWS, 2)), "kind": [*CLASSES]})
    for name in ("Wine", "../wine", "a b", "x" * 42):
        with pytest.raises(UserError, match="a contract's name has up to 41 small letters"):
            draft(str(path), "kind", name)
    with pytest.raises(UserError, match="NAME=wine"):
        name_of("/data/2024.csv")


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_the_tables_of_scikit_learn_give_a_contract(tmp_path: Path, load: object) -> None:
    loaded = load(as_frame=True)  # type: ignore[operator]
    loaded.frame.to_csv(tmp_path / "fruit.csv")
    found = drafted(tmp_path / "fruit.csv", "target")
    assert len(found.features) == loaded.data.shape[1]
    assert unread(tmp_path / "fruit.csv", found) == []


def make_contract(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `make contract …` without updating this installation."""
    variables = os.environ | {"PENGUINS_CONTRACTS_DIR": str(folder), "COLUMNS": "150"}
    make = ["make", "--no-print-directory", "--old-file=.venv/.installed-run", f"RUN={sys.executable} -m"]
    return subprocess.run([*make, "contract", *arguments], cwd=REPO, env=variables, capture_output=True, text=True)


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return call(main, "draft", *arguments, variables={"PENGUINS_CONTRACTS_DIR": str(folder)} | variables)


@pytest.mark.programs
def test_the_command_writes_a_file_and_overwrites_none(tmp_path: Path) -> None:
    path = write(tmp_path, {"size": list(range(0, 2 * ROWS, 2)), "kind": [*CLASSES]})
    arguments = [f"--from={path}", "--target=kind"]
    done = make_contract(tmp_path, f"FROM={path}", "TARGET=kind")
    assert done.returncode == 0, done.stderr
    assert "size    integer  feature  from 0 to 46" in done.stdout
    assert f"Wrote {tmp_path}/fruit.yaml" in done.stdout
    assert "make run CONTRACT=fruit" in done.stdout
    (tmp_path / "fruit.yaml").write_text("mine")
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{tmp_path}/fruit.yaml is there already. FORCE=1 replaces it; NAME=… makes another one.\n"
    assert (tmp_path / "fruit.yaml").read_text() == "mine"
    assert run(tmp_path, *arguments, "--force").returncode == 0
    assert read_text((tmp_path / "fruit.yaml").read_bytes(), "fruit.yaml", "fruit").feature_names == ("size",)


def test_the_command_prints_a_contract_for_another_folder(tmp_path: Path) -> None:
    path = write(tmp_path, {"size": list(range(0, 2 * ROWS, 2)), "kind": [*CLASSES]})
    done = run(tmp_path, f"--from={path}", "--target=kind", "--stdout")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# yaml-language-server: $schema=schema.json\n")
    assert read_text(done.stdout.encode(), "fruit.yaml", "fruit").feature_names == ("size",)
    assert "from 0 to 46" in done.stderr
    assert not (tmp_path / "fruit.yaml").exists()


NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "1",
}


@pytest.mark.parametrize(
    ("source", "variables", "message"),
    [
        ("s3://bucket/fruit.csv", {}, "S3 doesn't answer: Could not connect to the endpoint URL"),
        ("s3://bucket/fruit.csv", {"AWS_ENDPOINT_URL": "nonsense"}, "s3://bucket/fruit.csv: can't be read: Invalid"),
        (
            "s3://bucket/fruit.csv",
            {"AWS_PROFILE": "nobody"},
            "s3://bucket/fruit.csv: can't be read: The config",
        ),
        ("s3://bucket/fruit.csv", {"AWS_DEFAULT_REGION": "a b"}, "s3://bucket/fruit.csv: can't be read: Provided"),
        ("s3://a bucket/fruit.csv", {}, "s3://a bucket/fruit.csv: can't be read: Parameter validation failed"),
        ("s3://[bucket/fruit.csv", {}, "s3://[bucket/fruit.csv: can't be read: Parameter validation failed"),
        ("s3://bucket/fruit/", {}, "s3://bucket/fruit/: is no file. Give the address of one"),
        ("s3:///fruit.csv", {}, "s3:///fruit.csv: is no file. Give the address of one"),
        ("s3://key:secret@bucket/fruit.csv", {}, "source: the s3:// address has credentials. Leave them out"),
    ],
)
def test_an_object_that_cannot_be_had_is_refused_in_one_sentence(
    tmp_path: Path, source: str, variables: dict[str, str], message: str
) -> None:
    done = run(tmp_path, f"--from={source}", "--target=kind", **(NOWHERE | variables))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert done.stderr.startswith(message)
    assert "secret" not in done.stderr


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).map(str.strip).filter(bool)
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\x00\n"), max_size=10)
VALUES = st.one_of(
    st.lists(st.integers(-(10**20), 10**20), min_size=ROWS, max_size=ROWS),
    st.lists(st.integers(0, 3), min_size=ROWS, max_size=ROWS),
    st.lists(st.floats(width=64), min_size=ROWS, max_size=ROWS),
    st.lists(st.decimals(-1000, 1000, places=2), min_size=ROWS, max_size=ROWS),
    st.lists(st.booleans() | st.none(), min_size=ROWS, max_size=ROWS),
    st.lists(TEXTS, min_size=ROWS, max_size=ROWS),
    st.lists(
        st.sampled_from(["red", "dark, blue", "no", "1", "-", "?", "1e5", "", " x ", "🍷", 'a "b"', "#"]),
        min_size=ROWS,
        max_size=ROWS,
    ),
    st.lists(st.dates() | st.none(), min_size=ROWS, max_size=ROWS),
    st.lists(st.datetimes(), min_size=ROWS, max_size=ROWS),
    st.lists(st.sampled_from([1, 2.5, None, "-", "n/a"]), min_size=ROWS, max_size=ROWS),
)


@settings(max_examples=40, deadline=None)
@given(
    columns=st.dictionaries(NAMES.filter(lambda name: name not in ("kind", "size")), VALUES, max_size=4),
    classes=st.sampled_from([("a", "b"), (1, 0), (True, False), ("x, y", "🐧 "), ("no", "1.5"), ("n", "-1")]),
    separator=st.sampled_from([",", ";", "\t"]),
)
@example(columns={"a": ["inf"] * ROWS, "b": [1e308, -1e308] * 12}, classes=("a", "b"), separator=",")
@example(columns={"a": ["1,5", "2"] * 12, "b": ["1.5", "1,5"] * 12}, classes=("a", "b"), separator=";")
def test_a_draft_takes_the_table_as_it_is(
    columns: dict[str, list[object]], classes: tuple[object, object], separator: str
) -> None:
    table: dict[str, list[object]] = {"size": [2 * each for each in range(ROWS)], **columns}
    table["kind"] = [*classes] * (ROWS // 2)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator)
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("fruit.tsv.gz" if separator == "\t" else "fruit.csv")
        content = text.getvalue().encode()
        path.write_bytes(gzip.compress(content) if separator == "\t" else content)
        found = drafted(path)
        assert "size" in found.feature_names
        assert unread(path, found) == []
        assert json.dumps(found.model_dump(mode="json"))
