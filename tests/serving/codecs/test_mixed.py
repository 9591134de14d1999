"""Every codec reads numbers, integers, booleans, categories and missing values, whatever their names are."""

import csv
import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from serving.codecs.base import Predictions
from serving.codecs.errors import InvalidError
from serving.codecs.example import encoded as numbers
from serving.codecs.example import example, example_csv
from serving.codecs.explain import explain_values
from serving.codecs.fields import Fields
from serving.codecs.json import JsonCodec
from serving.codecs.media_types import ARROW, CSV, JSON, PARQUET, TABLES, table_codec
from tests.serving.mixed import CITIES as CITY_NAMES
from tests.serving.mixed import ENCODED, MIXED, NAMES, ROWS, as_json, encoded, table

ALL = (JSON, *TABLES)


def read(body: bytes, media_type: str) -> np.ndarray:
    """Return the encoded rows of a body, after the checks of the service."""
    if media_type == JSON:
        return np.atleast_2d(JsonCodec(MIXED, "7").read(body))
    codec = table_codec(media_type, MIXED, "7")
    rows = np.vstack(list(codec.decode(io.BytesIO(body))))
    if not codec.fields.usable(rows).all():
        raise InvalidError(explain_values(rows, 0, codec.fields))
    return rows


def refusal(body: Any, media_type: str = JSON) -> str:
    """Return the message of the refusal of a body."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidError) as refused:
        read(content, media_type)
    return str(refused.value)


@pytest.mark.parametrize("media_type", ALL)
def test_rows_are_read(media_type: str) -> None:
    np.testing.assert_array_equal(read(encoded(table(), media_type), media_type), ENCODED)


@pytest.mark.parametrize("index", range(len(ROWS)))
def test_a_single_row_is_read(index: int) -> None:
    np.testing.assert_array_equal(read(json.dumps(as_json(ROWS[index])).encode(), JSON), ENCODED[[index]])


def test_the_fast_reader_reads_names_that_it_can_look_for() -> None:
    plain = {name: name.replace('"', "").replace("\\", "") for name in NAMES}
    contract = MIXED.model_copy(
        update={"features": [f.model_copy(update={"name": plain[f.name]}) for f in MIXED.features]}
    )
    made = JsonCodec(contract, "7")
    rows = [{plain[name]: value for name, value in as_json(row).items()} for row in ROWS]
    made._one = made._many = None  # type: ignore[assignment]
    np.testing.assert_array_equal(made.read(json.dumps(rows).encode()), ENCODED)
    for row, expected in zip(rows, ENCODED, strict=True):
        np.testing.assert_array_equal(made.read(json.dumps(row).encode()), expected)


@pytest.mark.parametrize("media_type", ALL)
def test_an_absent_optional_value_is_missing(media_type: str) -> None:
    content = table().drop_columns([NAMES[1], NAMES[3], NAMES[5]])
    expected = ENCODED.copy()
    expected[:, [1, 3, 5]] = np.nan, 2, 3
    np.testing.assert_array_equal(read(encoded(content, media_type), media_type), expected)


ROW = as_json(ROWS[0])
CITIES = '"Oslo, N", "the \\"Hague\\"", "\\ud83d\\udc27", "Rome ", "a\'b%s"'
LENGTH = "allowed is a JSON number of at least 0 and less than 10, in mm"
PERCENT = "allowed is a whole JSON number of at least -5 and less than 3.4e38"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("mean radius", None, f"mean radius=null isn't a number: {LENGTH}"),
        ("mean radius", -0.5, f"mean radius=-0.5 is too small: {LENGTH}"),
        ("mean radius", 10, f"mean radius=10 is too large: {LENGTH}"),
        ("mean radius", True, f"mean radius=true isn't a number: {LENGTH}"),
        (NAMES[1], "x", f'{NAMES[1]}="x" isn\'t a number: allowed is a JSON number greater than -3.4e38 and less than'
                        " 3.4e38, or null if it is missing"),
        (NAMES[1], -1e39, f"{NAMES[1]}=-1e+39 is too small: allowed is"),
        ("100%", 1.5, f"100%=1.5 isn't a whole number: {PERCENT}"),
        ("is_red", 1, "is_red=1 isn't a known value: allowed is true or false, or null if it is missing"),
        ("is_red", "true", 'is_red="true" isn\'t a known value: allowed is true or false'),
        ("city\\", "Oslo", f'city\\="Oslo" isn\'t a known value, "Oslo, N" is: allowed is one of {CITIES}'),
        ("city\\", "rome", f'city\\="rome" isn\'t a known value, "Rome " is: allowed is one of {CITIES}'),
        ("city\\", "Paris", f'city\\="Paris" isn\'t a known value: allowed is one of {CITIES}'),
        ("city\\", None, f"city\\=null isn't a known value: allowed is one of {CITIES}"),
        ("city\\", 3, f"city\\=3 isn't a known value: allowed is one of {CITIES}"),
        ("city\\", ["🐧"], 'city\\=["\\ud83d\\udc27"] isn\'t a known value: allowed is one of'),
        ("grade", 4, "grade=4 isn't a known value: allowed is one of 7, 3, 5, or null if it is missing"),
        ("grade", "7", 'grade="7" isn\'t a known value: allowed is one of 7, 3, 5'),
        ("grade", True, "grade=true isn't a known value: allowed is one of 7, 3, 5"),
        ("Grade", 7, '"Grade" isn\'t a known field: allowed are mean radius, od280/"od315", 100%, is_red, city\\ and'),
        ("f0", 1, '"f0" isn\'t a known field'),
    ],
)  # fmt: skip
def test_a_wrong_value_is_explained(name: str, value: Any, text: str) -> None:
    assert refusal(ROW | {name: value}).startswith(text)
    assert refusal([ROW, ROW | {name: value}]).startswith(f"[1]: {text}")


def test_a_missing_required_field_is_explained() -> None:
    body = {name: value for name, value in ROW.items() if name != "100%"}
    assert refusal(body) == f"100% is missing: {PERCENT}"
    assert refusal([]) == (
        'the list is empty: send one JSON object with mean radius, od280/"od315", 100%, is_red, city\\ and grade, or a'
        " list of such objects"
    )


def line(**changes: str) -> bytes:
    """Return CSV with two rows, the second with other texts in some columns."""
    sound = dict(zip(NAMES, ("1.5", "", "3", "TRUE", "🐧", "7.0"), strict=True))
    text = io.StringIO()
    csv.writer(text).writerows([NAMES, sound.values(), (sound | changes).values()])
    return text.getvalue().encode()


def test_texts_in_csv_mean_values() -> None:
    expected = (1.5, np.nan, 3, 1, 2, 0)
    np.testing.assert_array_equal(read(line(), CSV), [expected, expected])
    (other,) = read(line(is_red="0", grade=""), CSV)[1:]
    np.testing.assert_array_equal(other, (1.5, np.nan, 3, 0, 2, 3))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("mean radius", "", f'[1]: mean radius="" isn\'t a number: {LENGTH}'),
        ("mean radius", "12", "[1]: mean radius=12.0 is too large: allowed"),
        (NAMES[1], "1_0", f'[1]: {NAMES[1]}="1_0" isn\'t a number: allowed'),
        (NAMES[1], "-inf", f"[1]: {NAMES[1]}=-Infinity isn't finite: allowed"),
        ("100%", "2.5", "[1]: 100%=2.5 isn't a whole number: allowed"),
        ("is_red", "yes", '[1]: is_red="yes" isn\'t a known value: allowed is true or false'),
        ("city\\", "🐧 ", '[1]: city\\="\\ud83d\\udc27 " isn\'t a known value, "\\ud83d\\udc27" is'),
        ("city\\", "", '[1]: city\\="" isn\'t a known value: allowed is one of'),
        ("grade", "8", '[1]: grade="8" isn\'t a known value: allowed is one of 7, 3, 5'),
        ("grade", "", None),
    ],
)
def test_a_wrong_text_in_csv_is_explained(name: str, text: str, message: str | None) -> None:
    body = line(**{name: text})
    if message is None:
        assert read(body, CSV)[1, -1] == 3
        return
    assert refusal(body, CSV).startswith(message)


def test_a_wrong_text_among_numbers_only_is_explained() -> None:
    numbers = MIXED.model_copy(update={"features": [MIXED.features[0], MIXED.features[2]]})
    with pytest.raises(InvalidError) as refused:
        list(table_codec(CSV, numbers, "7").decode(io.BytesIO(b"100%,mean radius\n3,1\nN/A,2\n")))
    (found,) = refused.value.invalid.detail
    assert (found.loc, found.msg) == (["body", 1, "100%"], f'[1]: 100%="N/A" isn\'t a number: {PERCENT}')


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
def test_dictionaries_of_texts_are_read(media_type: str) -> None:
    content = table()
    place = content.schema.get_field_index("city\\")
    for column in (
        content["city\\"].dictionary_encode(),
        content["city\\"].cast(pa.large_string()),
        pa.DictionaryArray.from_arrays(pa.array([5, 1, 2, 3, 4], pa.int8()), ["x", *CITY_NAMES[1:], "Oslo, N"]),
    ):
        changed = content.set_column(place, "city\\", column)
        np.testing.assert_array_equal(read(encoded(changed, media_type), media_type), ENCODED)


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
@pytest.mark.parametrize(
    ("name", "column", "text"),
    [
        ("city\\", ["🐧", "x"], '[1]: city\\="x" isn\'t a known value: allowed is one of'),
        ("city\\", pa.array(["🐧", "x"]).dictionary_encode(), '[1]: city\\="x" isn\'t a known value: allowed is one'),
        ("city\\", ["🐧", None], "[1]: city\\=null isn't a known value: allowed is one of"),
        ("city\\", [1, 2], "city\\ is int64: texts are required"),
        ("is_red", [0, 1], "is_red is int64: booleans are required"),
        ("grade", ["7", "3"], "grade is string: whole numbers are required"),
        ("grade", [7.5, 3], "[0]: grade=7.5 isn't a known value: allowed is one of 7, 3, 5"),
        ("grade", pa.array([7, 3], pa.timestamp("s")), "grade is timestamp["),
        ("mean radius", pa.array(["7", "3"]).dictionary_encode(), "mean radius is dictionary<values=string"),
    ],
)
def test_a_wrong_column_is_explained(media_type: str, name: str, column: Any, text: str) -> None:
    content = table(ROWS[:2])
    changed = content.set_column(content.schema.get_field_index(name), name, pa.array(column))
    assert refusal(encoded(changed, media_type), media_type).startswith(text)


@pytest.mark.parametrize(
    ("name", "column"),
    [("city\\", pa.array([b"x", b"y"]).dictionary_encode()), ("grade", pa.array([7, 3]).dictionary_encode())],
)
def test_dictionaries_of_others_than_texts_are_refused(name: str, column: Any) -> None:
    content = table(ROWS[:2])
    changed = content.set_column(content.schema.get_field_index(name), name, column)
    assert refusal(encoded(changed, ARROW), ARROW).startswith(f"{name} is dictionary<values=")


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
def test_numbers_of_pandas_for_missing_integers_are_read(media_type: str) -> None:
    content = table()
    grades = pa.array([7.0, 3.0, float("nan"), 5.0, 7.0])
    changed = content.set_column(content.schema.get_field_index("grade"), "grade", grades)
    changed = changed.set_column(changed.schema.get_field_index("is_red"), "is_red", pa.nulls(5))
    expected = ENCODED.copy()
    expected[:, 3] = 2
    np.testing.assert_array_equal(read(encoded(changed, media_type), media_type), expected)


def predictions() -> Predictions:
    """Return an answer for two rows."""
    outside = np.zeros((2, 6), dtype=np.bool_)
    outside[1, [0, 1]] = True
    return Predictions(ENCODED[:2], np.array([0, 2]), np.array([[1.0, 0, 0], [0, 0.25, 0.75]]), outside)


def test_the_answer_in_json_has_the_names_of_the_contract() -> None:
    answer = json.loads(JsonCodec(MIXED, "7").write(predictions()))
    assert list(answer) == ["prediction", "kind of grape", "probabilities", "model_version", "warnings"]
    assert answer["kind of grape"] == ['red, "dry"', "🍇"]
    assert answer["probabilities"][1] == {'red, "dry"': 0, "white": 0.25, "🍇": 0.75}
    assert answer["warnings"][0] == "[1]: mean radius=0 mm is outside the range seen in training (0.5 to 2 mm)"


@pytest.mark.parametrize("media_type", TABLES)
def test_the_answer_in_a_table_has_the_names_of_the_contract(media_type: str) -> None:
    content = b"".join(table_codec(media_type, MIXED, "7").encode([predictions()]))
    if media_type == CSV:
        rows = list(csv.DictReader(io.StringIO(content.decode())))
    elif media_type == PARQUET:
        rows = pq.read_table(io.BytesIO(content)).to_pylist()
    else:
        rows = pa.ipc.open_stream(content).read_all().to_pylist()
    assert list(rows[0]) == [
        "prediction", "kind of grape", 'probability_red, "dry"', "probability_white", "probability_🍇",
        "outside_training_range", "model_version",
    ]  # fmt: skip
    assert (rows[0]["kind of grape"], rows[1]["kind of grape"]) == ('red, "dry"', "🍇")
    assert rows[1]["outside_training_range"] == 'mean radius; od280/"od315"'


def test_the_example_is_accepted() -> None:
    fields = Fields(MIXED)
    values = example(fields)
    expected = numbers(fields, values)
    np.testing.assert_array_equal(read(json.dumps(values).encode(), JSON), [expected])
    np.testing.assert_array_equal(read(example_csv(fields).encode(), CSV), [expected])
