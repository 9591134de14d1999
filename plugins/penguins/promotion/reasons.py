"""Reasons of decisions, as text that can be stored and shown."""

import unicodedata
from typing import Final

from penguins.errors import UserError

MAX_REASON_LENGTH: Final = 1000  # characters, for a reason given by a person


def to_plain_text(text: str) -> str:
    """Put a text on one line, with � for control characters and surrogates.

    PostgreSQL can't store some of them, and terminals execute others.
    """
    line = " ".join(text.split())
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(each) in ("Cc", "Cs") else each for each in line)


def validate_reason(reason: str) -> str:
    """Return a person's reason on one line.

    Raises:
        UserError: the reason is empty or too long, or has control characters.
    """
    line = " ".join(reason.split())
    if not 1 <= len(line) <= MAX_REASON_LENGTH:
        raise UserError(f"The reason must have 1 to {MAX_REASON_LENGTH} characters, and has {len(line)}.")
    if to_plain_text(line) != line:
        raise UserError("The reason has control characters. Leave them out.")
    return line
