"""A row that a contract allows, to try a model with."""

from contract.schema import Bounds, Column, DataContract

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
    value = _inside(column.plausible if column.plausible != Bounds() else column.bounds)
    return round(value) if column.type == "integer" else float(f"{value:.6g}")


def _inside(bounds: Bounds) -> float:
    """Return a number within bounds: the middle, or one beside the only limit, or 0."""
    low = bounds.minimum if bounds.minimum is not None else bounds.exclusive_minimum
    high = bounds.maximum if bounds.maximum is not None else bounds.exclusive_maximum
    if low is not None and high is not None:
        return low + (high - low) / 2
    if low is not None:
        return low + 1
    return high - 1 if high is not None else 0
