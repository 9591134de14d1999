"""Version of the project, and of the state directories that it may start."""

import tomllib
from typing import Final

from packaging.version import Version

from local.errors import StackError
from local.layout import Layout
from local.settings import REPO

VERSION: Final[str] = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["version"]

_FIRST = "0.1.0"  # recorded nothing
_BROUGHT = {
    "0.2.0": "roles and tables of the audit trail, the prediction log and the monitoring, keys for signatures, "
    "and the databases of Airflow and MLflow as their versions want them",
}
"""Additions of the first start by a version to a state of the version before."""


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


def finish(layout: Layout) -> str | None:
    """Return what a completed upgrade has done, once; None if there was none."""
    lines = _lines(layout)
    if len(lines) < 2:
        return None
    layout.version.write_text(f"{lines[0]}\n")
    brought = [text for version, text in _BROUGHT.items() if Version(lines[1]) < Version(version) <= Version(VERSION)]
    return (
        f"Upgraded the state from {lines[1]} to {lines[0]}: it has {'; '.join(brought) or 'its tables'}. "
        "CHANGELOG.md says what to look at."
    )


def _lines(layout: Layout) -> list[str]:
    """Return the version that has started a state last, if one has; then the one of an upgrade that isn't complete."""
    if layout.version.exists():
        return layout.version.read_text().split()
    return [_FIRST] if (layout.postgres / "PG_VERSION").exists() else []
