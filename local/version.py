"""Version of the project, and of the state directories that it may start."""

import tomllib
from typing import Final

from packaging.version import Version

from local.errors import StackError
from local.layout import Layout
from local.settings import REPO

VERSION: Final[str] = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["version"]

_FIRST = "0.1.0"  # recorded nothing


def is_newer(layout: Layout) -> bool:
    """Return whether a newer version has started a state."""
    return any(Version(found) > Version(VERSION) for found in _lines(layout)[:1])


def check(layout: Layout) -> None:
    """Raise StackError for a state that a newer version has started."""
    if is_newer(layout):
        found = _lines(layout)[0]
        raise StackError(
            f"{layout.state} was last started by version {found} of the project, and this is {VERSION}, which may not "
            f"understand it: use version {found} or a newer one, or another directory (PENGUINS_STATE_DIR)"
        )


def check_running(layout: Layout) -> None:
    """Raise StackError if the programs that run were started by an older version."""
    if layout.version.exists() and (found := _lines(layout)[0]) != VERSION:
        raise StackError(f"the running stack is of version {found}, and this is {VERSION}; stop it first (make down)")


def begin(layout: Layout) -> None:
    """Record this version, before anything of the state is changed, and the one that it was last upgraded to."""
    lines = _lines(layout)
    if lines[:1] != [VERSION]:
        layout.version.write_text("".join(f"{line}\n" for line in (VERSION, *lines[-1:])))


def upgrading(layout: Layout) -> tuple[str, str] | None:
    """Return the versions between which a state is upgraded; None if it isn't."""
    lines = _lines(layout)
    return (lines[1], lines[0]) if len(lines) == 2 else None


def finish(layout: Layout) -> None:
    """Record that an upgrade is complete."""
    layout.version.write_text(f"{VERSION}\n")


def _lines(layout: Layout) -> list[str]:
    """Return the version that has started a state last, if one has; then the one of an upgrade that isn't complete."""
    if layout.version.exists():
        return layout.version.read_text().split()
    return [_FIRST] if (layout.postgres / "PG_VERSION").exists() else []
