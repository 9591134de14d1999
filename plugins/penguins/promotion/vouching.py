"""Sign a version by hand: show an operator its files and its origin, and sign just these files."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import mlflow.artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from psycopg import Connection

from contract.digests import DIGESTS, digest_files, parse_digests
from contract.signatures import SIGNATURE
from penguins import signing
from penguins.errors import UserError
from penguins.promotion import audit
from penguins.promotion.reasons import to_plain_text
from penguins.registry import logged_models, model_versions
from penguins.training.artifacts import is_proxied
from penguins.training.tracking import DAG_RUN, client, registry

_TRUSTED: Final = "of a trusted key"


@dataclass(frozen=True)
class Inspected:
    """A version to be signed.

    Attributes:
        digests: sha256 of the files as they are now, by path; none of them was opened.
        recorded: sha256 by path, from the tag `digests`, which anybody may have written.
    """

    version: ModelVersion
    logged_model: str
    digests: dict[str, str]
    recorded: dict[str, str]
    trust: str
    origin: str
    decisions: list[audit.Entry]

    def lines(self) -> Iterator[str]:
        """Yield a description for a person, with nothing that a terminal would execute."""
        version, created = self.version, datetime.fromtimestamp(self.version.creation_timestamp / 1000, UTC)
        yield f"{version.name} version {version.version}, registered {created:%Y-%m-%d %H:%M} UTC, {self.logged_model}"
        yield to_plain_text(f"origin, by tags that anybody may write: {self.origin}")
        yield to_plain_text(f"signature now: {self.trust}")
        for entry in self.decisions:
            yield to_plain_text(f"audit trail: {entry.at:%Y-%m-%d %H:%M} {entry.action} by {entry.who}: {entry.reason}")
        if not self.decisions:
            yield "audit trail: no decision about this version"
        yield "files, with their sha256 and whether it is the recorded one:"
        for name, digest in self.digests.items():
            recorded = self.recorded.get(name)
            compared = "not recorded" if recorded is None else "as recorded" if recorded == digest else "CHANGED"
            yield f"  {digest}  {compared:<12}  {to_plain_text(name)}"
        for name in sorted(self.recorded.keys() - self.digests.keys()):
            yield f"  {'':<64}  {'MISSING':<12}  {to_plain_text(name)}"


def inspect(connection: Connection[Any], version: ModelVersion) -> Inspected:
    """Download and hash the files of a version, and collect what is known about it.

    Raises:
        UserError: the version has no logged model, or the model has no files behind MLflow's proxy.
    """
    logged_model = logged_models.find(model_versions.model_id(version))
    location = logged_model.artifact_location
    if not is_proxied(location):
        raise UserError(f"The files of version {version.version} are at {location}, not behind MLflow's proxy.")
    with tempfile.TemporaryDirectory() as folder:
        digests = digest_files(Path(mlflow.artifacts.download_artifacts(location, dst_path=folder)))
    if not digests:
        raise UserError(f"Version {version.version} has no files.")
    return Inspected(
        version,
        logged_model.model_id,
        digests,
        _recorded(version.tags.get(DIGESTS) or logged_model.tags.get(DIGESTS)),
        _trust(version),
        _origin(version, logged_model.source_run_id),
        [entry for entry in audit.trail(connection, version.name) if entry.is_about(version)],
    )


def is_signed(version: ModelVersion) -> bool:
    """Tell whether a trusted key has signed a version."""
    return _trust(version) == _TRUSTED


def sign(connection: Connection[Any], inspected: Inspected, by: str) -> None:
    """Sign the inspected files as the version's, in place of any earlier signature, with an entry in the audit trail.

    Raises:
        UserError: there is no usable private key.
    """
    version = inspected.version
    tag = signing.sign("version", version.name, inspected.logged_model, inspected.digests)
    reason = f"{len(inspected.digests)} files signed by hand; the signature before: {inspected.trust}"
    audit.append(connection, "sign", None, version, by, reason, {"digests": inspected.digests})
    registry().set_model_version_tag(version.name, version.version, SIGNATURE, tag)


def _trust(version: ModelVersion) -> str:
    try:
        model_versions.recorded_digests(version)
    except UserError as error:
        return str(error.__cause__ or error)
    return _TRUSTED


def _origin(version: ModelVersion, run_id: str | None) -> str:
    run_id = version.run_id or run_id
    dag_run = version.tags.get(DAG_RUN, "none")
    if not run_id:
        return f"no run, DAG run {dag_run}"
    try:
        info = client().get_run(run_id).info
    except MlflowException:
        return f"run {run_id}, which doesn't exist, DAG run {dag_run}"
    return f"run {info.run_name} ({run_id}) of {info.user_id or 'an unknown user'}, DAG run {dag_run}"


def _recorded(tag: str | None) -> dict[str, str]:
    try:
        return dict(parse_digests(tag)) if tag else {}
    except ValueError:
        return {}
