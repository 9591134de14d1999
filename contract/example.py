"""A row that a contract allows, to try a model with."""

from math import ceil, floor, isfinite

from contract.schema import Column, DataContract

Value = str | int | float | bool | None


def example_row(contract: DataContract) -> dict[str, Value]:
    """Return a value for each feature by its name: the contract's first example or, without one, an allowed value."""
    return {column.name: _example(column) for column in contract.features}


def _example(column: Column) -> Value:
    if column.examples:
        (first, *_) = column.examples
        return first if isinstance(first, str | int | float | bool | None) else str(first)
    if column.categories:
        return column.categories[0]
    if column.type == "boolean":
        return False
    low, high = _limits(column)
    value = _inside(low, high)
    if column.type == "integer":
        return ceil(low) if round(value) < low else floor(high) if round(value) > high else round(value)
    short = float(f"{value:.6g}")
    return short if low <= short <= high else value


def _limits(column: Column) -> tuple[float, float]:
    """Return the least and the greatest number that a prediction may have and, if there is any, that is plausible."""
    (low, high), (least, most) = column.bounds.range, column.plausible.range
    both = max(low, least), min(high, most)
    return both if both[0] <= both[1] else (low, high)


def _inside(low: float, high: float) -> float:
    """Return the middle, or a number beside the only limit, or 0."""
    if isfinite(low) and isfinite(high):
        return low / 2 + high / 2
    if isfinite(low):
        return low + 1
    return high - 1 if isfinite(high) else 0
