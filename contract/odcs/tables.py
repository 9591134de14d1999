"""The rules of a contract file that concern more than one column, and its translation."""

from collections.abc import Iterator
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from contract.manifest import MAX_FEATURES
from contract.monitoring import Monitoring
from contract.odcs import columns
from contract.odcs.document import Document, Property
from contract.odcs.shape import Finding, shown
from contract.odcs.text import Path
from contract.part import Part
from contract.schema import DataContract, Reading
from contract.training import Training

MAX_COLUMNS: Final = 1500
"""PostgreSQL takes 1,600, and the tables have a few columns of their own."""

_PROPERTIES: Final[Path] = ("schema", 0, "properties")

PartT = TypeVar("PartT", bound=Part)


def translate(document: Document) -> DataContract:
    """Return the contract that a file without mistakes describes."""
    (table,) = document.tables
    parts = {each.property: each.value for each in document.custom_properties}
    return DataContract(
        name=document.name,
        title=table.business_name,
        description=table.description or document.description.purpose,
        columns=tuple(map(columns.translate, table.properties)),
        reading=parts.get("reading", Reading()),  # type: ignore[arg-type]
        training=parts["training"],  # type: ignore[arg-type]
        monitoring=parts.get("monitoring", Monitoring()),  # type: ignore[arg-type]
    )


def findings(data: Any) -> Iterator[Finding]:
    """Yield the mistakes in a file's data beyond its keys and types, also where other parts of it are wrong."""
    given = _given(data)
    valid = {at: each for at, each in enumerate(map(_as_property, given or ())) if each is not None}
    for at, each in valid.items():
        for path, sentence in columns.findings(each):
            yield (*_PROPERTIES, at, *path), sentence
    yield from _check_columns(valid, given is not None and len(valid) == len(given))
    yield from _check_parts(data, [*valid.items()])
    yield from _check_table(data)


def _given(data: Any) -> tuple[Any, ...] | None:
    """Return the columns as the file has them; None if it has no list of them."""
    for key in _PROPERTIES:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data if isinstance(data, tuple) else None


def _as_property(given: Any) -> Property | None:
    return _validated(Property, given)


def _validated(kind: type[PartT], given: Any) -> PartT | None:
    try:
        return kind.model_validate(given, by_alias=True, by_name=False)
    except ValidationError:
        return None


def _check_columns(valid: dict[int, Property], all_valid: bool) -> Iterator[Finding]:
    if len(valid) > MAX_COLUMNS:
        yield _PROPERTIES, f"{len(valid):,} columns, and at most {MAX_COLUMNS:,} are possible"
    first: dict[str, int] = {}
    for at, column in valid.items():
        if first.setdefault(column.name, at) != at:
            yield (*_PROPERTIES, at, "name"), _twice(valid[first[column.name]], column)
    features = [column for column in valid.values() if columns.role_of(column) == "feature"]
    if len(features) > MAX_FEATURES:
        text = f"{len(features):,} features, and a model has at most {MAX_FEATURES:,}: give the others the role ignored"
        yield _PROPERTIES, text
    targets = [at for at, column in valid.items() if columns.role_of(column) == "target"]
    for at in targets[1:]:
        yield (*_PROPERTIES, at), f"a second target beside {shown(valid[targets[0]].name)}: a table has one"
    if all_valid and not targets:
        yield _PROPERTIES, "no column is the target: give one the customProperty `role` with the value `target`"
    if all_valid and not features:
        yield _PROPERTIES, "no column is a feature: at least one must have the role feature, which is the default"


def _twice(first: Property, second: Property) -> str:
    roles = {columns.role_of(first), columns.role_of(second)}
    if roles == {"target", "feature"}:
        return f"{shown(second.name)} is the target and a feature: delete the feature"
    return f"the column {shown(second.name)} is there twice: delete one of them"


def _check_parts(data: Any, valid: list[tuple[int, Property]]) -> Iterator[Finding]:
    """Check the custom properties of the file: each once, and their values against each other and the columns."""
    found: dict[str, list[tuple[Path, Any]]] = {"training": [], "reading": [], "monitoring": []}
    given = data.get("customProperties")
    for at, each in enumerate(given if isinstance(given, tuple) else ()):
        name = each.get("property") if isinstance(each, dict) else None
        if isinstance(name, str) and name in found:
            found[name].append((("customProperties", at, "value"), each.get("value")))
    for name, entries in found.items():
        for path, _ in entries[1:]:
            yield path[:-1], f"a second property {name}: keep one of them"
    if isinstance(given, tuple) and not found["training"]:
        yield ("customProperties",), "the property training is missing: add it"
    for path, value in found["training"][:1]:
        training = _validated(Training, value)
        if training and training.grid is not None and training.estimator == "auto":
            yield (*path, "grid"), "a grid is of one estimator: name it, instead of auto"
        if training and training.shadow_predictions and not training.log_fraction:
            text = "the answers in the shadow are in the log, and logFraction is 0: raise it, or delete this line"
            yield (*path, "shadowPredictions"), text
    reading = _validated(Reading, found["reading"][0][1]) if found["reading"] else Reading()
    if reading:
        path = found["reading"][0][0] if found["reading"] else ("customProperties",)
        if reading.separator == reading.decimal_mark:
            yield (*path, "separator"), f"{shown(reading.separator)} is also the decimal mark: change one of them"
        yield from _check_categories(reading, valid)


def _check_categories(reading: Reading, valid: list[tuple[int, Property]]) -> Iterator[Finding]:
    """Check that each category can be read, and told from a missing value and from the others."""
    for at, column in valid:
        seen: dict[str, str] = {}
        null = set(reading.null_values)
        for position, value in enumerate(each.value for each in column.enum or ()):
            path = (*_PROPERTIES, at, "enum", position, "value")
            if str(value) in null:
                yield path, f"{shown(value)} also means a missing value: delete it here, or in nullValues of `reading`"
            if isinstance(value, str) and not reading.case_sensitive:
                other = seen.setdefault(value.casefold(), value)
                if other != value:
                    yield path, f"{shown(value)} and {shown(other)} are the same, for case doesn't count: delete one"


def _check_table(data: Any) -> Iterator[Finding]:
    """Check that the file has one table, with the contract's name."""
    name, tables = data.get("name"), data.get("schema")
    if not isinstance(tables, tuple):
        return
    if len(tables) != 1:
        yield ("schema", *([1] if tables else [])), f"{len(tables)} tables: a contract has one; write a file for each"
    table = tables[0] if tables else None
    given = table.get("name") if isinstance(table, dict) else None
    if isinstance(given, str) and isinstance(name, str) and given != name:
        yield ("schema", 0, "name"), f"is {shown(given)}: write {name}, as the contract's name"
