"""Times of a command's arguments."""

from datetime import UTC, datetime

from penguins.errors import UserError


def parse_time(name: str, text: str) -> datetime | None:
    """Return a time in ISO 8601, of UTC without a zone; None for an empty text.

    Raises:
        UserError: it is none. The message names the argument.
    """
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UserError(f"{name}={text} isn't a time: write it as 2026-03-01 or 2026-03-01T12:30+01:00.") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
