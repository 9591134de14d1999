"""JSON as Python writes it: missing numbers are `NaN`, which isn't JSON."""

import re

# A string without an end goes on to that of the body: looking for more of them would take quadratic time.
_WORDS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|-?Infinity|NaN', re.DOTALL)


def without_nan(body: bytes) -> bytes:
    """Return a body with `null` for `NaN`, and numbers that no reader takes for infinite ones."""
    return _WORDS.sub(_replaced, body)


def _replaced(found: re.Match[bytes]) -> bytes:
    text = found[0]
    return text if text[:1] == b'"' else b"null" if text == b"NaN" else b"1e999"
