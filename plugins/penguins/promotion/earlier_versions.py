"""Versions that were in Production before, and the one that a rollback goes back to."""

from collections.abc import Sequence

from mlflow.entities.model_registry import ModelVersion

from penguins.errors import UserError
from penguins.promotion import audit
from penguins.registry import model_versions


def earlier_versions(
    trail: Sequence[audit.Entry], champion: ModelVersion | None, versions: Sequence[ModelVersion]
) -> list[ModelVersion]:
    """List the versions that rollbacks go back to, the next one first.

    Without a champion, for example after its deletion, the next one is the last version that was in Production.

    Args:
        trail: the whole trail, the latest first.
        versions: the existing versions.
    """
    line = audit.rollback_line(trail, champion, versions)
    existing = {version.version: version for version in versions}
    now = champion.version if champion else None  # it may also have been in Production before
    return [existing[number] for number in dict.fromkeys(reversed(line)) if number != now]


def find_sound(candidates: Sequence[ModelVersion]) -> tuple[ModelVersion | None, dict[str, str]]:
    """Find the first version whose files are the recorded ones.

    Returns:
        The version, if any, and the reasons against those before it, by their numbers.
    """
    passed_over: dict[str, str] = {}
    for version in candidates:
        try:
            model_versions.check_files(version)
        except UserError as error:
            passed_over[version.version] = str(error)
        else:
            return version, passed_over
    return None, passed_over
