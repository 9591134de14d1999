"""`make env`: create a .env with random secrets, and keep existing values."""

from pathlib import Path

from ops import dotenv
from ops.secret_values import generate

REPO = Path(__file__).resolve().parent.parent
EXAMPLE = REPO / ".env.example"


def required() -> list[str]:
    """Return the variables that need a value: those left empty in the example."""
    return [name for name, value in dotenv.parse(EXAMPLE.read_text()).items() if not value]


def complete(path: Path) -> list[str]:
    """Set every missing or empty variable, keep the others, and return the names of the set ones."""
    text = path.read_text() if path.exists() else EXAMPLE.read_text()
    present = dotenv.parse(text)
    values = {name: generate(name) for name in required() if not present.get(name)}
    if values:
        dotenv.write_private(path, dotenv.fill(text, values))
    elif path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return list(values)
