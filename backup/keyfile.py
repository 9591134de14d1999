"""The files in which a stack keeps its keys: `credentials.json`, or `.env` of the containers.

It needs only the standard library.
"""

import json
import re
from pathlib import Path
from typing import Final

from backup.errors import BackupError

VARIABLES: Final = {
    "signing_key": "PENGUINS_SIGNING_KEY",
    "trusted_keys": "PENGUINS_TRUSTED_KEYS",
    "airflow_fernet_key": "AIRFLOW_FERNET_KEY",
}
"""Names of the keys in an archive, and in `.env`."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_=,-]+")


def read(path: Path) -> dict[str, str]:
    """Return the keys in a file. Raises BackupError if it lacks one, and OSError."""
    try:
        text = path.read_text()
        content = json.loads(text) if text.lstrip().startswith("{") else _variables(text)
    except ValueError as error:
        raise BackupError(f"{path} has no keys: {error}") from error
    found = {name: str(content.get(name, "")) for name in VARIABLES}
    for name, key in found.items():
        if not _PLAIN.fullmatch(key) and not (name == "trusted_keys" and key == ""):  # it has the own one in any case
            raise BackupError(f"{path} has no keys: {name} ({VARIABLES[name]} in .env) is missing, or isn't one")
    return found


def _variables(text: str) -> dict[str, str]:
    lines = [line.strip().partition("=") for line in text.splitlines()]
    values = {name.strip(): value.strip().strip("'\"") for name, separator, value in lines if separator}
    return {name: values.get(variable, "") for name, variable in VARIABLES.items()}
