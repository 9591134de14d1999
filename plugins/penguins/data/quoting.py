"""Tell texts of several lines from a quote that isn't closed, which would take the rows after it for a text."""

import csv
import gzip
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import pyarrow as pa

from penguins.errors import UserError

_LONGEST: Final = 1 << 24  # characters of a text


@dataclass(frozen=True)
class Quoting:
    """The quotes of a text file, looked at only where a text has several lines: that reads the whole file once more.

    pyarrow takes what follows a closing quote for a part of the text. Here it is a mistake: the quote that seems to
    close a text is the one that opens another.
    """

    name: str
    path: Path
    separator: str

    @cached_property
    def first_mistake(self) -> int:
        """Return the number of the first row, from 1, with a quote that isn't closed; 0 if there is none."""
        before, rows = csv.field_size_limit(_LONGEST), 0
        packed = self.path.suffix.lower() == ".gz"
        try:
            with (
                gzip.open(self.path) if packed else self.path.open("rb") as file,
                io.TextIOWrapper(file, "utf-8-sig", newline="") as text,
            ):
                for row in csv.reader(text, delimiter=self.separator, strict=True):
                    rows += bool(row)
        except csv.Error:
            return rows  # those before it, and the header in place of itself
        finally:
            csv.field_size_limit(before)
        return 0

    def check(self, batch: pa.RecordBatch) -> None:
        """Check a batch of texts.

        Raises:
            UserError: a text has a line break, and a quote isn't closed.
        """
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            content = column.buffers()[2]  # of all texts, one after the other
            if content is None or b"\n" not in content.to_pybytes():
                continue
            if row := self.first_mistake:
                raise UserError(
                    f"{self.name}: row {row}: {name} holds a line break: is a quote not closed? "
                    "Close it, and double quotes within a text."
                )
            return
