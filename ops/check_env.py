"""Checks of .env: present, complete, private and without example values."""

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ops import dotenv, ed25519, env
from ops.finding import Finding

_NOT_SECRET = {"LAB_UID", "LAB_GID", "MINIO_ROOT_USER", env.TRUSTED_KEYS}
_MIN_LENGTH = 12
_JWT_LENGTH = 64  # HMAC-SHA-512 wants as many bytes as its digest has
_EXAMPLES = re.compile(r"change.?(me|this|it)|example|minioadmin|password|secret|<.*>|x{4,}", re.IGNORECASE)
_SAFE = re.compile(r"[\w\-=]*", re.ASCII)


def check(path: Path) -> Iterator[Finding]:
    """Yield every problem of the file, or one finding that the file is complete."""
    if not path.exists():
        yield Finding(f"{path.name} is missing", "make env")
        return
    variables = dotenv.parse(path.read_text())
    found = [*_incomplete(path, variables), *_private(path), *_weak(variables), *_overridden(variables)]
    yield from found or [Finding(f"{path.name} is complete, and only you can read it")]


def _incomplete(path: Path, variables: Mapping[str, str]) -> Iterator[Finding]:
    empty = [name for name in env.required() if not variables.get(name)]
    if empty:
        yield Finding(f"{path.name} has no value for {', '.join(empty)}", "make env")


def _private(path: Path) -> Iterator[Finding]:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        yield Finding(
            f"{path.name} holds secrets and others can read it (mode {mode:o})", f"chmod 600 {path.name}", False
        )


def _weak(variables: Mapping[str, str]) -> Iterator[Finding]:
    for name in env.required():
        value = variables.get(name, "")
        if not value or name in _NOT_SECRET:
            continue
        fix = f"choose another value, or delete the line and run: make env (a database keeps its old {name})"
        if _EXAMPLES.search(value) or len(value) < _MIN_LENGTH:
            yield Finding(f"{name} is an example value or shorter than {_MIN_LENGTH} characters", fix)
        elif not _SAFE.fullmatch(value):
            yield Finding(f"{name} has characters other than letters, digits, - and _, which break addresses", fix)
        elif name == "AIRFLOW_JWT_SECRET" and len(value) < _JWT_LENGTH:
            text = f"{name} is shorter than {_JWT_LENGTH} characters, and every log of Airflow has a warning of it"
            yield Finding(text, "delete the line and run: make compose-up", fatal=False)
        elif name == "AIRFLOW_FERNET_KEY" and not _is_fernet_key(value):
            yield Finding(f"{name} is not 32 bytes in URL-safe base64", fix)
        elif name == "PENGUINS_SIGNING_KEY" and ed25519.public_key(value) is None:
            yield Finding(f"{name} is not {ed25519.PRIVATE_PREFIX} and 64 hexadecimal digits", fix)


def _is_fernet_key(value: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(value)) == 32
    except binascii.Error:
        return False


def _overridden(variables: Mapping[str, str]) -> Iterator[Finding]:
    for name, value in variables.items():
        if os.environ.get(name, value) != value:
            yield Finding(f"your shell sets {name}, which wins over .env", f"unset {name}", fatal=False)
