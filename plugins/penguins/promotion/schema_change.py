"""Differences between the contracts of two models, for which their answers can't be compared."""

from collections.abc import Iterator, Sequence
from typing import Final

from contract.manifest import Contract
from contract.schema import Column, DataContract, class_names

SCHEMA_CHANGED: Final = "schema_changed"
"""First word of the reason of a verdict about such a model."""

_NAMED: Final = 6  # number of differences that a reason names; tags have a limit


def describe_change(before: Contract, now: DataContract) -> str:
    """Describe what a model of the contract `now` sees or answers otherwise than one of `before`; empty for nothing."""
    found = [*_changed_features(before.features, now.features), *_changed_target(before.target, now.target)]
    more = [f"{len(found) - _NAMED} more changes"] if len(found) > _NAMED else []
    return "; ".join(found[:_NAMED] + more)


def _changed_features(before: Sequence[Column], now: Sequence[Column]) -> Iterator[str]:
    old, new = ({column.name: column for column in columns} for columns in (before, now))
    yield from _changed_names("column", list(old), list(new))
    for name in (name for name in new if name in old):
        yield from _changed_column(old[name], new[name])
    if list(old) != list(new) and old.keys() == new.keys():
        yield "the columns have another order"


def _changed_target(before: Column, now: Column) -> Iterator[str]:
    if before.name != now.name:
        yield f"the target is {now.name!r}, before {before.name!r}"
    classes = class_names(before), class_names(now)
    yield from _changed_names("class", *classes)
    if classes[0] != classes[1] and set(classes[0]) == set(classes[1]):
        yield "the classes have another order"


def _changed_column(before: Column, now: Column) -> Iterator[str]:
    if (kinds := (_kind(before), _kind(now)))[0] != kinds[1]:
        yield f"{now.name!r} is {kinds[1]}, before {kinds[0]}"
    elif before.categories != now.categories:
        yield from _changed_names(f"category of {now.name!r}", _texts(before), _texts(now))
        if set(_texts(before)) == set(_texts(now)):
            yield f"the categories of {now.name!r} have another order"
    if before.unit and now.unit and before.unit != now.unit:
        yield f"{now.name!r} is in {now.unit}, before in {before.unit}"
    if before.required and not now.required:
        yield f"{now.name!r} may be missing"


def _changed_names(kind: str, before: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    if added := [name for name in now if name not in before]:
        yield f"new {kind}: {_list(added)}"
    if gone := [name for name in before if name not in now]:
        yield f"no {kind} any more: {_list(gone)}"


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(repr(name) for name in names[:_NAMED]) + more


def _kind(column: Column) -> str:
    if column.categories:
        return f"a category of the type {column.type}"
    return "a boolean" if column.type == "boolean" else "a number"


def _texts(column: Column) -> list[str]:
    return [str(value) for value in column.categories or ()]
