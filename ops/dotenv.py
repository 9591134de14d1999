"""Read and complete .env files: NAME=value lines, comments and empty lines."""

import os
from pathlib import Path


def parse(text: str) -> dict[str, str]:
    """Parse the variables as Compose does; the last of two lines with one name counts."""
    variables: dict[str, str] = {}
    for line in text.splitlines():
        name, separator, value = line.strip().removeprefix("export ").partition("=")
        if separator and not name.startswith("#"):
            variables[name.strip()] = _unquoted(value.strip())
    return variables


def fill(text: str, values: dict[str, str]) -> str:
    """Return the text with the values filled into empty variables; missing variables go to the end."""
    missing = dict(values)
    lines = []
    for line in text.splitlines():
        name, separator, value = line.partition("=")
        if separator and name.strip() in missing and not _unquoted(value.strip()):
            line = f"{name.strip()}={missing.pop(name.strip())}"
        lines.append(line)
    return "\n".join([*lines, *(f"{name}={value}" for name, value in missing.items())]) + "\n"


def assign(text: str, name: str, value: str) -> str:
    """Return the text with the value in the last line of that variable."""
    lines = text.splitlines()
    index = max(number for number, line in enumerate(lines) if line.partition("=")[0].strip() == name)
    lines[index] = f"{name}={value}"
    return "\n".join(lines) + "\n"


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step. Only its owner can read the new file at any time."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"') and value[0] in value[1:]:
        return value[1 : value.index(value[0], 1)]
    return value.split(" #")[0].strip()
