"""Names that have moved to another module: each works for one release more, with a warning."""

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def forward(package: str, moved: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module-level `__getattr__` (PEP 562) that finds moved names.

    Args:
        package: name of the package in which the names were.
        moved: old name → new place, a module or `module:name`.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807 - the name that Python looks for
        if name not in moved:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        place = moved[name]
        warnings.warn(f"{package}.{name} has moved: use {place.replace(':', '.')}", FutureWarning, stacklevel=2)
        module, _, attribute = place.partition(":")
        found = import_module(module)
        return getattr(found, attribute) if attribute else found

    return __getattr__
