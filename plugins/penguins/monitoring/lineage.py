"""The origin of the version that gave an answer."""

from datetime import UTC
from typing import Any

from psycopg import Connection

from penguins.monitoring.predictions import Logged
from penguins.promotion import audit


def lineage(connection: Connection[Any], row: Logged) -> list[str]:
    """Describe the version that answered, by the audit trail."""
    entries = [entry for entry in audit.trail(connection, row.model) if entry.to_version == row.version]
    lines = [f"{row.model} version {row.version}, contract {row.contract.hex()}"]
    origin = next((entry for entry in entries if entry.dag_run_id), None)
    if origin:
        lines.append(f"trained by {origin.dag_run_id}, commit {origin.git_commit}, rows {origin.data_digest}")
        if origin.source:
            lines.append(f"from {origin.source.get('address')}, sha256 {origin.source.get('sha256')}")
    lines += [
        f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M} {entry.action} by {entry.who}: {entry.reason}"
        for entry in reversed(entries)
    ]
    return lines if entries else [*lines, "The audit trail doesn't know this version."]
