"""The facts about the source of a run's rows, for its lineage."""

import re
from typing import Annotated, Any

from psycopg import Connection
from pydantic import BaseModel, ConfigDict, Field

from contract.schema import DataContract
from penguins.data.contract import or_penguins
from penguins.data.runs import Run
from penguins.errors import UserError

Count = Annotated[int, Field(ge=0, lt=2**63)]


def _is_none(value: object) -> bool:
    return value is None


class SourceFacts(BaseModel):
    """The source of a run's rows.

    Attributes:
        address: without credentials.
        bytes: size of the file as it was read.
        sha256: digest of the file, hex.
        rows: rows in the file, rejected ones included.
        production_rows, production_sha256: rows of the prediction log that joined them, and their digest.
    """

    model_config = ConfigDict(frozen=True)

    address: str = Field(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=4096)
    bytes: Count
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    rows: Count
    production_rows: Count | None = Field(default=None, exclude_if=_is_none)
    production_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$", exclude_if=_is_none)


def address_of(source: str) -> str:
    """Return the address of a source for people to read: printable, and of an object only bucket and name.

    Raises:
        UserError: it has credentials.
    """
    if not source.startswith("s3://"):
        return _printable(source)
    bucket, key = place_of(source)
    return _printable(f"s3://{bucket}/{key}")


def place_of(source: str) -> tuple[str, str]:
    """Return bucket and key of an s3:// address, without what may follow them.

    Raises:
        UserError: it has credentials.
    """
    bucket, _, key = re.split("[?#]", source.removeprefix("s3://"), maxsplit=1)[0].partition("/")
    if {"@", ":"} & set(bucket):
        raise UserError(
            "source: the s3:// address has credentials. Leave them out, and give the task AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY."
        )
    return bucket, key


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def read_source(connection: Connection[Any], run: Run, contract: DataContract | None = None) -> SourceFacts | None:
    """Return the source that a run has loaded, if it is known."""
    query = "SELECT source FROM penguins_runs WHERE contract = %s AND run_id = %s"
    (found,) = connection.execute(query, [or_penguins(contract).name, run.id]).fetchone() or (None,)
    return None if found is None else SourceFacts.model_validate(found)
