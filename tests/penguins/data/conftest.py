"""Small CSV files, and the rows that a load leaves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

HEADER = "species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year\n"


ROW = "Adelie,Torgersen,39.1,18.7,181,3750,male,2007\n"


@pytest.fixture
def csv(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str, encoding: str = "utf-8") -> str:
        path = tmp_path / "penguins.csv"
        path.write_bytes(text.encode(encoding))
        return str(path)

    return write


def rows(connection: Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT * FROM penguins_raw ORDER BY source_row").fetchall()
