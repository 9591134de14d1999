"""Content of an archive: what its first and its last member say of the others."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

FORMAT: Final = 1
"""Version of the archive's format: a stack reads its own and older ones."""

HEADER: Final = "backup.json"
MANIFEST: Final = "manifest.json"
KEYS: Final = "keys.json"
MODELS: Final = "models.txt"

_MEGABYTE: Final = 1024 * 1024
_ANY: Final = 1 << 62
_LAYOUT: Final[Mapping[str, int]] = {
    re.escape(HEADER): _MEGABYTE,
    r"databases/(airflow|mlflow|penguins)\.dump": _ANY,
    r"tables/[a-z]{1,63}\.[a-z_]{1,63}": _ANY,
    r"objects/[0-9]{8}": _ANY,
    r"spool/[0-9]{8}": _ANY,
    r"contracts/[A-Za-z0-9_-]{1,100}\.yaml": 16 * _MEGABYTE,
    re.escape(MODELS): _MEGABYTE,
    re.escape(KEYS): _MEGABYTE,
    re.escape(MANIFEST): 256 * _MEGABYTE,
}
"""Names that a member may have, with the bytes that it may have at most. None leads out of a folder."""


def largest(name: str) -> int | None:
    """Return the bytes that a member of this name may have, or None if there can be none."""
    return next((size for pattern, size in _LAYOUT.items() if re.fullmatch(pattern, name)), None)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Format(BaseModel):
    """The part of the first member that no later format changes."""

    format: int


class Header(_Part):
    """The first member of an archive.

    Attributes:
        at: time of the backup: what happened before is in it.
        commit: the code of the stack.
        postgresql: version of the server, such as 180001.
        programs: versions of the programs whose databases are in it.
    """

    format: int = FORMAT
    at: datetime
    commit: str
    postgresql: int
    programs: Mapping[str, str]


class Member(_Part):
    """One member; `of` is the key of an object, or the place of a segment in the spool."""

    name: str
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    of: str = ""


class Table(_Part):
    """A table that is kept as rows, in the member `tables/<schema>.<name>`."""

    schema_name: str
    name: str
    columns: tuple[str, ...]
    rows: int

    @property
    def member(self) -> str:
        """Return the name of its member."""
        return f"tables/{self.schema_name}.{self.name}"


class Manifest(_Part):
    """The last member of an archive.

    Attributes:
        days: days of UTC that have a partition of predictions, such as 20261128.
    """

    members: tuple[Member, ...]
    tables: tuple[Table, ...]
    days: tuple[Annotated[str, Field(pattern=r"^[0-9]{8}$")], ...]

    def below(self, folder: str) -> list[Member]:
        """Return the members in a folder."""
        return [member for member in self.members if member.name.startswith(f"{folder}/")]


_Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_=,-]*$")]


class Keys(_Part):
    """The keys without which what was signed or encrypted can't be used: nothing that means more in a `.env`."""

    signing_key: _Key
    trusted_keys: _Key
    airflow_fernet_key: _Key
