"""Mistakes in feedback are named with their row, and nothing of it is accepted."""

import json
import tracemalloc
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest

from contract.lines import Truth, decode_lines
from serving.codecs.errors import InvalidError
from serving.feedback.csv_body import read_csv
from serving.feedback.json_body import read_json
from serving.feedback.truths import Truths

NOW = datetime(2026, 3, 1, 12, 30, 15, 250, tzinfo=UTC)
CLASSES = ("Adelie", 'a "quoted", class', "1", "true")
ID = "0192d1f0-5a3c-7000-9f0e-0242ac120002"
OTHER = ID.replace("02", "03")


def truths() -> Truths:
    return Truths("penguins_rf", CLASSES, NOW)


def from_json(body: Any) -> list[Truth]:
    """Return the truths in a body."""
    found = truths()
    read_json(body if isinstance(body, bytes) else json.dumps(body).encode(), found)
    return list(decode_lines(Truth, b"".join(found.take())))


def from_csv(text: str) -> list[Truth]:
    """Return the truths in a table."""
    return list(decode_lines(Truth, b"".join(read_csv(BytesIO(text.encode()), truths()))))


def said(**changes: Any) -> dict[str, Any]:
    return {"prediction_id": ID, "class": "Adelie"} | changes


def expected(**changes: Any) -> Truth:
    facts = {"prediction_id": ID, "row_index": 0, "class": "Adelie", "at": NOW, "who": "", "received_at": NOW}
    return Truth.model_validate(facts | {"model": "penguins_rf"} | changes)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, {}),
        ({"prediction_id": ID.upper()}, {}),
        ({"prediction_id": f"{ID}/12"}, {"row_index": 12}),
        ({"prediction_id": f"{ID}/12", "row_index": 12}, {"row_index": 12}),
        ({"row_index": 3}, {"row_index": 3}),
        ({"class": CLASSES[1]}, {"class": CLASSES[1]}),
        ({"class": 1}, {"class": "1"}),
        ({"class": True}, {"class": "true"}),
        ({"at": "2026-01-02T03:04:05+02:00"}, {"at": datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)}),
        ({"at": "2026-03-02T10:00:00Z"}, {"at": datetime(2026, 3, 2, 10, tzinfo=UTC)}),
        ({"at": "2026-01-02T03:04:05Z"}, {"at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}),
        ({"at": None, "who": None, "row_index": None}, {}),
        ({"who": 'Zoë ✓ \\ "'}, {"who": 'Zoë ✓ \\ "'}),
    ],
)
def test_what_is_sound_is_taken(given: dict[str, Any], found: dict[str, Any]) -> None:
    assert from_json(said(**given)) == [expected(**found)]
    assert from_json([said(), said(prediction_id=OTHER)])[1] == expected(prediction_id=OTHER)


def test_tables_say_the_same() -> None:
    text = f'who,class,prediction_id,at\n,Adelie,{ID},\n\nme,"a ""quoted"", class",{OTHER}/7,2026-01-02T03:04:05Z\n'
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    second = expected(**{"prediction_id": OTHER, "row_index": 7, "class": CLASSES[1], "who": "me", "at": at})
    assert from_csv(text) == [expected(), second]
    assert from_csv(f"prediction_id,class,row_index\n{ID},1,2\n{ID},true,\n") == [
        expected(**{"class": "1", "row_index": 2}),
        expected(**{"class": "true"}),
    ]


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"prediction_id": "x"}, "prediction_id", 'prediction_id is "x"'),
        ({"prediction_id": ID[:-1]}, "prediction_id", "the id of an answer is needed"),
        ({"prediction_id": f"{ID}/-1"}, "prediction_id", "the id of an answer is needed"),
        ({"prediction_id": f"{ID}/1", "row_index": 2}, "row_index", "the prediction_id ends with 1"),
        ({"prediction_id": f"{ID}/9999999999"}, "row_index", "is 9999999999"),
        ({"prediction_id": None}, "missing", "prediction_id is missing"),
        ({"row_index": -1}, "row_index", "row_index is -1"),
        ({"row_index": 1.5}, "row_index", "a whole number is needed"),
        ({"row_index": True}, "row_index", "a whole number is needed"),
        ({"class": "Gentoo"}, "class", 'class is "Gentoo", which isn\'t a class of the model: Adelie'),
        ({"class": None}, "missing", "class is missing"),
        ({"class": 1.0}, "class", "class is 1.0"),
        ({"class": ["Adelie"]}, "class", "isn't a class of the model"),
        ({"at": "2026-01-02T03:04:05"}, "at", "a time with its zone is needed, such as 2026-03-01T12:30:15+00:00"),
        ({"at": "yesterday"}, "at", "a time with its zone"),
        ({"at": 5}, "at", "a time with its zone"),
        ({"at": "2026-03-03T00:00:00Z"}, "at", "which is in the future"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at", "a time with its zone"),
        ({"at": "9999-12-31T23:59:59-14:00"}, "at", "a time with its zone"),
        ({"who": "x" * 201}, "who", "at most 200 characters"),
        ({"who": "a\0b"}, "who", "in one line"),
        ({"who": 5}, "who", "who is 5"),
        ({"when": "now"}, "extra_forbidden", "when isn't a known field: allowed are prediction_id, class"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], kind: str, message: str) -> None:
    with pytest.raises(InvalidError, match="^(?!\\[)") as alone:
        from_json(said(**given))
    assert alone.value.invalid.detail[0].type == kind
    assert message in alone.value.invalid.detail[0].msg
    with pytest.raises(InvalidError, match=r"^\[2\]: ") as listed:
        from_json([said(), said(), said(**given)])
    assert listed.value.invalid.detail[0].loc[:2] == ["body", 2]
    assert message in listed.value.invalid.detail[0].msg


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body isn't JSON"),
        (b"{", "the body isn't JSON"),
        (b'"\xff"', "the body isn't JSON"),
        (b"[" * 100_000, "the body isn't JSON"),
        (b"[]", "the list is empty"),
        (b"5", "the body is 5: an object with prediction_id, class"),
        (b"[5]", r"\[0\] is 5: an object with prediction_id, class"),
        (b"{}", "prediction_id is missing"),
        (b" [ ] ", "the list is empty"),
        (b"[{}", "prediction_id is missing"),
        (json.dumps([said()])[:-1].encode(), "the body isn't JSON"),
        (json.dumps([said()]).encode() + b"]", "the body isn't JSON"),
        (b'[{"class":' + b"1" * 5001 + b"}]", r"\[0\] isn't JSON: Integer value out of range"),
        (b'{"who":"\\ud800"}', "the body isn't JSON"),
        (b'{"who":' + b"[]," * 10_000 + b"[]}", "the body has more than 16384 bytes"),
        (json.dumps([said(), said(who="x" * 20_000)]).encode(), r"\[1\] has more than 16384 bytes"),
    ],
)
def test_another_body_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        from_json(body)


@pytest.mark.parametrize("brackets", ["[]", "{}"])
@pytest.mark.parametrize("field", ["", "prediction_id", "class", "row_index", "at", "who", "x"])
def test_brackets_within_brackets_are_refused_at_any_depth(field: str, brackets: str) -> None:
    """Also where they can just be read, and not be shown any more."""
    begin, end = ('{"a":', "}") if brackets == "{}" else ("[", "]")
    for depth in range(900, 1000):
        deep = begin * depth + "1" + end * depth
        body = json.dumps(said(**{field: 0})).replace("0}", deep + "}") if field else deep
        for each in (body, f"[{body}]"):
            with pytest.raises(InvalidError):
                from_json(each.encode())


def test_a_wrong_body_takes_little_memory() -> None:
    tracemalloc.start()
    with pytest.raises(InvalidError, match=r"^\[0\] is \[\]"):
        from_json(b"[" + b"[]," * 1_000_000 + b"[]]")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10 * 2**20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the header is"),
        ("prediction_id\n", "the columns must be prediction_id and class, and may be row_index, at and who"),
        ("prediction_id,class,class\n", "the header is"),
        ("prediction_id,class,when\n", "the header is"),
        ("prediction_id,class\n", "the table has no rows"),
        (f"prediction_id,class\n{ID},Adelie\n{ID}\n", r"\[1\]: it has 1 values, the header 2"),
        (f"prediction_id,class\n{ID},Adelie\n{ID},Gentoo\n", r"\[1\]: class is .Gentoo."),
        (f"prediction_id,class,row_index\n{ID},Adelie,x\n", r"\[0\]: row_index is .x."),
        (f"prediction_id,class\n{ID},Ade\n" + "x" * 70_000, "isn't CSV|Ade"),
        ('prediction_id,class\n"', "isn't CSV"),
    ],
)
def test_another_table_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        from_csv(text)


def test_contradictions_are_named() -> None:
    later = "2026-01-02T03:04:05Z"
    rows = [said(), said(prediction_id=OTHER), said(row_index=1), said(at=later), said(), said(row_index=1)]
    assert len(from_json(rows)) == 6, "the same truth twice, and a correction, contradict nothing"
    with pytest.raises(InvalidError) as wrong:
        from_json([*rows, said(**{"class": "1", "row_index": 2}), said(**{"class": "1", "row_index": 1})])
    (found,) = wrong.value.invalid.detail
    assert (found.type, found.loc) == ("contradiction", ["body", 7, "class"])
    assert '[7]: class is "1", and row 5 says "Adelie" of the same prediction' in found.msg
    with pytest.raises(InvalidError, match=r'\[4\]: class is "1", and row 3 says "Adelie"'):
        from_csv("prediction_id,class,at\n" + f"{OTHER},1,\n" * 3 + f"{ID},Adelie,{later}\n{ID},1,{later}\n")
