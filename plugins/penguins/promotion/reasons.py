"""Why something was decided, as it can be kept and shown."""

import unicodedata
from typing import Final

from penguins.errors import UserError

LONGEST: Final = 1000  # characters that a person may give


def plain(text: str) -> str:
    """A text in one line, with � for what a database can't keep or what a terminal obeys."""
    line = " ".join(text.split())
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(each) in ("Cc", "Cs") else each for each in line)


def checked(reason: str) -> str:
    """A person's reason in one line.

    Raises:
        UserError: it is empty or too long, or has control characters.
    """
    line = " ".join(reason.split())
    if not 1 <= len(line) <= LONGEST:
        raise UserError(f"The reason must have 1 to {LONGEST} characters, and has {len(line)}.")
    if plain(line) != line:
        raise UserError("The reason has control characters. Leave them out.")
    return line
