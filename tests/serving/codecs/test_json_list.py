"""A JSON list is split one element after the other."""

import json
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.codecs.errors import InvalidError
from serving.codecs.json import MAX_ROW_BYTES, JsonCodec
from serving.codecs.json_list import MalformedError, elements, lists
from tests.serving.publisher import known_contract

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, derandomize=True)
@given(items=st.lists(values, min_size=1, max_size=6), indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_elements_are_those_of_the_list(items: list[Any], indent: int | None, ascii_only: bool) -> None:
    body = json.dumps(items, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    found = [element.decode("utf-8", "surrogatepass") for element in elements(body, 1000)]
    assert [json.loads(element) for element in found] == items
    assert all(element == element.strip(" \n") for element in found)


def test_a_long_element_is_cut_off() -> None:
    long = b"[" + b"1, " * 1000 + b"1]"
    assert [len(element) for element in islice(elements(b"[7, " + long + b"]", 100), 2)] == [1, 101]


@pytest.mark.parametrize("body", ["", "{}", "[", "[]", "[1", "[1,", "[1,]", "[1 2]", "[1]]", "[1],", "[" * 1000])
def test_what_is_not_a_list_is_malformed(body: str) -> None:
    with pytest.raises(MalformedError):
        list(elements(body.encode(), 5000))


def test_digits_without_end_are_read() -> None:
    digits = b"9" * 10_000
    assert list(elements(b"[" + digits + b",1]", MAX_ROW_BYTES)) == [digits, b"1"]


@pytest.mark.parametrize("first", ["0", "{}", "[]", "null", '"text"'])
def test_the_first_wrong_element_is_explained_without_reading_on(first: str) -> None:
    body = f"[{first},".encode() + b"0," * 100_000 + b"no JSON"
    with pytest.raises(InvalidError, match=r"^\[0\]") as refused:
        JsonCodec(known_contract(), "1").read(body)
    assert refused.value.invalid.detail[0].loc[:2] == ["body", 0]


def test_a_penguin_that_is_too_long_is_refused() -> None:
    body = b'[{"x": "' + b"y" * MAX_ROW_BYTES + b'"}]'
    with pytest.raises(InvalidError, match=r"^\[0\]: more than 16384 bytes are too many for one penguin"):
        JsonCodec(known_contract(), "1").read(body)


@pytest.mark.parametrize(("rows", "read"), [(3, 3), (4, 4), (5, 4), (1000, 4)])
def test_of_too_many_lists_only_one_more_is_read(rows: int, read: int) -> None:
    body = json.dumps([[index, "]"] for index in range(rows)]).encode()
    assert lists(body, json.loads, json.loads, 3, 100) == json.loads(body)[:read]


def test_brackets_in_texts_are_no_lists() -> None:
    assert lists(b'[["[[[["], ["["]]', json.loads, json.loads, 2, 100) == [["[[[["], ["["]]
