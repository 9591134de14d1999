"""`make env`: a .env with random secrets, made once and kept."""

from pathlib import Path

from ops import dotenv
from ops.secret_values import generate

REPO = Path(__file__).resolve().parent.parent
EXAMPLE = REPO / ".env.example"


def needed() -> list[str]:
    """The variables that must have a value: those that the example leaves empty."""
    return [name for name, value in dotenv.parse(EXAMPLE.read_text()).items() if not value]


def complete(path: Path) -> list[str]:
    """Give every variable that is missing or empty a value; returns their names. What has a value stays."""
    text = path.read_text() if path.exists() else EXAMPLE.read_text()
    present = dotenv.parse(text)
    values = {name: generate(name) for name in needed() if not present.get(name)}
    if values:
        dotenv.write_private(path, dotenv.fill(text, values))
    elif path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return list(values)
