"""`make env`: create a .env with random secrets, and keep existing values."""

from pathlib import Path

from ops import dotenv, ed25519
from ops.secret_values import generate

REPO = Path(__file__).resolve().parent.parent
EXAMPLE = REPO / ".env.example"
TRUSTED_KEYS = "PENGUINS_TRUSTED_KEYS"


def required() -> list[str]:
    """Return the variables that need a value: those left empty in the example."""
    return [name for name, value in dotenv.parse(EXAMPLE.read_text()).items() if not value]


def complete(path: Path) -> list[str]:
    """Set every missing or empty variable, keep the others, and return the names of the set ones.

    The public half of the signing key is added to the trusted keys, so that a new signing key counts at once.
    """
    text = path.read_text() if path.exists() else EXAMPLE.read_text()
    present = dotenv.parse(text)
    values = {name: generate(name) for name in required() if not present.get(name) and name != TRUSTED_KEYS}
    values |= _trusted_keys(present | values)
    if values:
        text = dotenv.fill(text, values)
        if present.get(TRUSTED_KEYS) and TRUSTED_KEYS in values:
            text = dotenv.assign(text, TRUSTED_KEYS, values[TRUSTED_KEYS])
        dotenv.write_private(path, text)
    elif path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return list(values)


def _trusted_keys(variables: dict[str, str]) -> dict[str, str]:
    """Return the trusted keys with the public half of the signing key; nothing if they have it, or there is none."""
    trusted = [key for key in variables.get(TRUSTED_KEYS, "").split(",") if key]
    public = ed25519.public_key(variables["PENGUINS_SIGNING_KEY"])
    return {} if public is None or public in trusted else {TRUSTED_KEYS: ",".join([public, *trusted])}
