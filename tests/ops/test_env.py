import hashlib
import os
from pathlib import Path

import pytest

from contract.signatures import SigningKey
from ops import dotenv, ed25519, env
from ops.check_env import check


def report(path: Path) -> str:
    return "\n".join(str(finding) for finding in check(path))


def test_a_new_file_has_every_secret_and_is_private(tmp_path: Path) -> None:
    one, other = tmp_path / "one.env", tmp_path / "other.env"
    for path in (one, other):
        env.complete(path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert report(path) == f"  ok    {path.name} is complete, and only you can read it"
    assert len(dotenv.parse(one.read_text())["AIRFLOW_JWT_SECRET"]) >= hashlib.sha512().digest_size
    same = {name for name, value in dotenv.parse(one.read_text()).items() if value in other.read_text()}
    assert same == {"MINIO_ROOT_USER", "LAB_UID", "LAB_GID"}


def test_existing_values_are_kept(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nPOSTGRES_PASSWORD='kept as it is'\nMLFLOW_DB_PASSWORD=\nMLFLOW_PORT=5002\n")
    path.chmod(0o644)
    added = env.complete(path)
    assert "POSTGRES_PASSWORD" not in added
    assert "MLFLOW_DB_PASSWORD" in added
    assert path.read_text().startswith("# mine\nPOSTGRES_PASSWORD='kept as it is'\nMLFLOW_DB_PASSWORD=")
    assert "\nMLFLOW_PORT=5002\n" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    assert env.complete(path) == []
    assert path.read_text() == before


def test_the_public_key_is_the_half_of_the_private_one(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    env.complete(path)
    values = dotenv.parse(path.read_text())
    assert values["PENGUINS_TRUSTED_KEYS"] == SigningKey(values["PENGUINS_SIGNING_KEY"]).public


def test_public_keys_are_those_of_the_cryptography_package() -> None:
    for _ in range(20):
        private = SigningKey.generate()
        assert ed25519.public_key(private) == SigningKey(private).public


@pytest.mark.parametrize(
    "text", ["", "0" * 64, "ed25519-private-", "ed25519-private-" + "g" * 64, "ed25519-public-" + "0" * 64]
)
def test_a_text_that_is_no_private_key_has_no_public_half(text: str) -> None:
    assert ed25519.public_key(text) is None


def test_a_new_signing_key_is_trusted_beside_the_older_ones(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    env.complete(path)
    before = dotenv.parse(path.read_text())
    path.write_text(path.read_text().replace(before["PENGUINS_SIGNING_KEY"], ""))
    assert env.complete(path) == ["PENGUINS_SIGNING_KEY", "PENGUINS_TRUSTED_KEYS"]
    after = dotenv.parse(path.read_text())
    assert after["PENGUINS_TRUSTED_KEYS"] == (
        f"{SigningKey(after['PENGUINS_SIGNING_KEY']).public},{before['PENGUINS_TRUSTED_KEYS']}"
    )
    assert {name for name in after if after[name] != before[name]} == {"PENGUINS_SIGNING_KEY", "PENGUINS_TRUSTED_KEYS"}
    assert env.complete(path) == []


def test_a_complete_file_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    env.complete(path)
    path.chmod(0o644)
    assert "others can read it (mode 644)" in report(path)
    assert env.complete(path) == []
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    assert report(tmp_path / ".env") == "  FAIL  .env is missing\n        → make env"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("MLFLOW_DB_PASSWORD=", "has no value for MLFLOW_DB_PASSWORD"),
        ("MLFLOW_DB_PASSWORD=change-me-please-now", "MLFLOW_DB_PASSWORD is an example value"),
        ("MINIO_ROOT_PASSWORD=minioadmin", "MINIO_ROOT_PASSWORD is an example value"),
        ("JUPYTER_TOKEN=short", "JUPYTER_TOKEN is an example value or shorter than 12 characters"),
        ("REDIS_PASSWORD=with@slash/and-at", "REDIS_PASSWORD has characters other than"),
        (f"AIRFLOW_JWT_SECRET={'0' * 32}", "AIRFLOW_JWT_SECRET is shorter than 64 characters"),
        ("AIRFLOW_FERNET_KEY=0123456789abcdef", "AIRFLOW_FERNET_KEY is not 32 bytes"),
        ("PENGUINS_SIGNING_KEY=0123456789abcdef", "PENGUINS_SIGNING_KEY is not ed25519-private- and 64"),
    ],
)
def test_an_unsuitable_value_is_reported(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / ".env"
    env.complete(path)
    with path.open("a") as file:
        file.write(f"{line}\n")
    assert complaint in report(path)


def test_a_shell_variable_that_overrides_the_file_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    env.complete(path)
    monkeypatch.setitem(os.environ, "POSTGRES_PASSWORD", "another")
    assert "your shell sets POSTGRES_PASSWORD, which wins over .env" in report(path)


@pytest.mark.parametrize(
    ("line", "value"),
    [("A=b", "b"), ("export A=b", "b"), ("A = b # why", "b"), ("A='b # c'", "b # c"), ('A="b"', "b"), ("A=", "")],
)
def test_values_are_read_as_compose_reads_them(line: str, value: str) -> None:
    assert dotenv.parse(f"# A=comment\n\n{line}\n") == {"A": value}
