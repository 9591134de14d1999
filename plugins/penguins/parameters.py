"""The names of a DAG run's parameters, which Airflow doesn't check."""

from collections.abc import Iterable
from difflib import get_close_matches

from penguins.errors import UserError


def check_names(given: Iterable[str], known: Iterable[str]) -> None:
    """Check that every given parameter is a known one.

    Raises:
        UserError: some aren't. The message names each of them, with the known one that is most like it.
    """
    names = list(known)
    unknown = [_describe(name, names) for name in given if name not in names]
    if unknown:
        raise UserError(f"unknown parameter {', '.join(unknown)}. A run has {', '.join(names)}.")


def _describe(name: str, known: list[str]) -> str:
    shown = name[:50]  # the name is a user's text of any length
    alike = get_close_matches(shown.lower(), known, n=1)
    return f"{shown!r} (did you mean {alike[0]!r}?)" if alike else repr(shown)
