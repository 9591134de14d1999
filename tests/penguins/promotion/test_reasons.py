"""Reasons as PostgreSQL and a terminal can take them."""

import pytest

from penguins.errors import UserError
from penguins.promotion.reasons import MAX_REASON_LENGTH, to_plain_text, validate_reason


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\nlines,\tand  spaces ", "two lines, and spaces"),
        ("a\0b\ud800\x1b[2J\x9b2J", "a�b��[2J�2J"),
        ("ünï\u200dcode 🐧", "ünï\u200dcode 🐧"),
    ],
)
def test_a_text_becomes_one_plain_line(text: str, line: str) -> None:
    assert to_plain_text(text) == line


def test_a_reason_loses_only_its_line_breaks() -> None:
    assert validate_reason(" two\nlines 🐧 ") == "two lines 🐧"
    assert validate_reason("x" * MAX_REASON_LENGTH) == "x" * MAX_REASON_LENGTH


@pytest.mark.parametrize(
    ("reason", "message"),
    [("x" * (MAX_REASON_LENGTH + 1), "and has 1001"), (" \n", "and has 0"), ("a\x1bb", "control characters")],
)
def test_an_invalid_reason_is_refused(reason: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate_reason(reason)
