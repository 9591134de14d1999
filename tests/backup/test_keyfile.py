"""Files with keys, of both ways of running."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from backup import keyfile
from backup.errors import BackupError
from backup.manifest import Keys

KEYS = {"signing_key": "ed25519-private-00ff", "trusted_keys": "ed25519-public-0f,ed25519-public-1f"}
KEYS |= {"airflow_fernet_key": "Zm9v_YmE-cg=="}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_keys_are_read_from_both_kinds_of_file(path: Path) -> None:
    path.write_text(json.dumps(KEYS | {"postgres_password": "x"}))
    assert keyfile.read(path) == KEYS
    lines = [f"{keyfile.VARIABLES[name]}={key}" for name, key in KEYS.items()]
    path.write_text("\n".join(["# secrets", "POSTGRES_PASSWORD=x", "PENGUINS_SIGNING_KEY=", *lines, ""]))
    assert keyfile.read(path) == KEYS
    assert Keys(**keyfile.read(path)).model_dump() == KEYS


def test_the_own_key_is_trusted_in_any_case(path: Path) -> None:
    path.write_text(json.dumps(KEYS | {"trusted_keys": ""}))
    assert keyfile.read(path)["trusted_keys"] == ""


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '{"signing_key": 1', '{"signing_key": "x"}', "PENGUINS_SIGNING_KEY=x", "\0"],
)
def test_a_file_without_keys_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(BackupError, match="keys has no keys"):
        keyfile.read(path)


@pytest.mark.parametrize("value", ["a\nMINIO_IMAGE=mine", "$(id)", "a b", "'a"])
def test_a_key_can_bring_nothing_else_into_env(path: Path, value: str) -> None:
    with pytest.raises(ValidationError):
        Keys(**(KEYS | {"trusted_keys": value}))
    path.write_text(json.dumps(KEYS | {"trusted_keys": value}))
    with pytest.raises(BackupError, match="trusted_keys"):
        keyfile.read(path)
