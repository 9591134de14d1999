"""Contracts for tests."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from psycopg import Connection, sql

from contract.schema import Bounds, Column, DataContract, Reading
from contract.training import Training
from penguins.data.contract import or_penguins


def narrowed(features: int, classes: Sequence[str]) -> DataContract:
    """Return the contract of the penguins with its first features and some of its classes only."""
    whole = or_penguins(None)
    kept = [*whole.others, *whole.features[:features]]
    target = whole.target.model_copy(update={"categories": tuple(classes)})
    return DataContract(name=whole.name, columns=(target, *kept), training=whole.training)


def made(*columns: Column, name: str = "fruit", **reading: Any) -> DataContract:
    """Return a contract of some columns, with a target `kind` of two classes if they have none."""
    target = Column(name="kind", type="string", role="target", categories=("Apple", "Pear"))
    has_target = any(column.role == "target" for column in columns)
    training = Training(registered_model=name, experiment=name, min_accuracy=0.5)
    all_columns = columns if has_target else (target, *columns)
    return DataContract(name=name, columns=all_columns, reading=Reading(**reading), training=training)


COLOURS: Final = ("red", "dark, blue", 'a "quote"', "🐧")

MIXED: Final = made(
    Column(name="number", type="string", role="id"),
    Column(name="mean % radius", type="number", unit="cm", title="Radius", bounds=Bounds(exclusive_minimum=0)),
    Column(name='od280/"od315"', type="number", required=False),
    Column(name="value", type="integer", plausible=Bounds(minimum=0, maximum=10)),
    Column(name="reason", type="boolean", required=False),
    Column(name="raw", type="string", categories=COLOURS, required=False),
    Column(name="judged", type="integer", categories=(1, 3, 5), required=False),
    Column(name="label", type="integer", role="target", categories=(7, 0)),
    Column(name="day", type="date", role="time", required=False),
    Column(name="at", type="timestamp", role="ignored", required=False),
)
"""Every type, and names that occur in the SQL of the pipeline."""

MIXED_HEADER: Final = 'number,mean % radius,"od280/""od315""",value,reason,raw,judged,label,day,at\n'
MIXED_ROWS: Final = (
    "a,1.5,2,3,yes,red,1,7,2026-01-31,2026-01-31T12:00:00+02:00\n"
    'b,0.1,?,4,,"dark, blue",,0,,2026-01-31 12:00\n'
    'c,2,1e-3,10,FALSE,"a ""quote""",5,7,2026-02-01,\n'
    "d,3,-4,0,1,🐧,3,0,,2026-01-31\n"
)


@contextmanager
def tables_of(connection: Connection[Any], contract: DataContract) -> Iterator[None]:
    """Drop all tables of a contract at the end, and forget its runs."""
    try:
        yield
    finally:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE %s", [f"{contract.name[:8]}%"]
        )
        for (name,) in found.fetchall():
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
        connection.execute("DELETE FROM penguins_runs WHERE contract = %s", [contract.name])
        connection.execute("DELETE FROM penguins_published WHERE name LIKE %s", [f"{contract.name}\\_%"])
