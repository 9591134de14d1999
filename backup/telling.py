"""The end of a restore: contract files, and what there is to tell. It needs only the standard library."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

NEW_KEYS = "new"
"""Instead of a file with keys, if they are lost."""


def told(at: datetime, keys: str) -> list[str]:
    """Return what a restored stack lacks."""
    lost = "What happened later is lost: predictions, truth, decisions and runs."
    lines = [f"Restored as of {at:%Y-%m-%d %H:%M:%S} UTC. {lost}"]
    if keys == NEW_KEYS:
        lines.append(
            "The keys are new: versions are refused until they are signed again, with make sign VERSION=… "
            "(in containers make compose-sign)."
        )
    return lines


def without_keys(archive: str, file: str) -> str:
    """Return the message about an archive without keys, of a stack that has them in a file of this name."""
    return (
        f"{archive} was made without keys, and without them no service and no task opens its models. Give the file "
        f"{file} of the stack that it comes from: KEYS=path; or, if that is lost, KEYS=new: then sign the versions "
        "again that you know (docs/how-to/signatures.md)"
    )


def put_contracts(files: Mapping[str, bytes], folder: Path) -> list[str]:
    """Write the contract files that aren't in a folder, and return what there is to tell.

    One that differs is written beside, with the suffix `.restored`.
    """
    try:
        new, beside = _put(files, folder)
    except OSError as error:
        return [f"Its contract files can't be written, and are in the archive: {error}"]
    lines = [f"Contract files that are here again: {', '.join(new)}."] if new else []
    if beside:
        lines.append(f"Contract files that differ from those here, and were written beside them: {', '.join(beside)}.")
    return lines


def _put(files: Mapping[str, bytes], folder: Path) -> tuple[list[str], list[str]]:
    new, beside = [], []
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        if not path.exists():
            path.write_bytes(content)
            new.append(path.name)
        elif path.read_bytes() != content:
            path = path.with_name(f"{path.name}.restored")
            path.write_bytes(content)
            beside.append(path.name)
    return new, beside
