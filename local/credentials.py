"""Passwords and keys of one embedded stack: generated once and kept in its state directory."""

import base64
import os
import secrets
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, model_validator

from contract.signatures import SigningKey


def _token() -> str:
    # A hexadecimal token needs no quoting in a URL, a shell or a config file, and a double click selects all of it.
    return secrets.token_hex(16)


def _hmac_key() -> str:
    return secrets.token_hex(32)  # 64 bytes: HMAC-SHA-512 wants as many as its digest has


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


class Credentials(BaseModel):
    """Every secret of a stack; a new instance has new random values."""

    postgres_password: str = Field(default_factory=_token)
    airflow_db_password: str = Field(default_factory=_token)
    mlflow_db_password: str = Field(default_factory=_token)
    penguins_db_password: str = Field(default_factory=_token)
    shipper_db_password: str = Field(default_factory=_token)
    s3_access_key: str = "mlflow"
    s3_secret_key: str = Field(default_factory=_token)
    s3_internal_key: str = Field(default_factory=_token)
    s3_console_password: str = Field(default_factory=_token)
    airflow_password: str = Field(default_factory=_token)
    airflow_fernet_key: str = Field(default_factory=_fernet_key)
    airflow_jwt_key: str = Field(default_factory=_hmac_key)
    airflow_secret_key: str = Field(default_factory=_token)
    jupyter_token: str = Field(default_factory=_token)
    signing_key: str = Field(default_factory=SigningKey.generate)
    trusted_keys: str = ""

    @model_validator(mode="after")
    def _trust_the_own_key(self) -> Self:
        public = SigningKey(self.signing_key).public
        others = [key for key in self.trusted_keys.split(",") if key]
        if public not in others:
            self.trusted_keys = ",".join([public, *others])
        return self

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Load the credentials from the file; generate missing ones and write them to it, mode 600.

        `take_added` returns the names of those that an existing file lacked.

        Raises pydantic.ValidationError if the file holds anything else.
        """
        text = path.read_text() if path.exists() else ""
        credentials = cls.model_validate_json(text or "{}")
        complete = credentials.model_dump_json(indent=2)
        if complete != text:
            missing = [name for name in cls.model_fields if name not in credentials.model_fields_set]
            if text and missing:
                with _added(path).open("a") as file:
                    file.writelines(f"{name}\n" for name in missing)
            write_private(path, complete)
        return credentials


def take_added(path: Path) -> list[str]:
    """Return the names of credentials that were added to a file of an older version since the last call."""
    file = _added(path)
    names = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return names


def _added(path: Path) -> Path:
    return path.with_name(f"{path.stem}-added")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read. The file never has a wider mode or partial content."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)
