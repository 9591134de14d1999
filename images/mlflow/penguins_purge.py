"""Delete runs for good: their models, their files in the bucket and their rows, as `mlflow gc` does.

That command needs the password of MLflow's database, and the server's clients have neither it nor the keys of S3. Who
reaches MLflow may delete runs anyway. Nothing goes that a version is made of, and no run that wasn't deleted before.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter
from mlflow.entities import LifecycleStage
from mlflow.server import handlers
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.tracking.dbmodels.models import SqlLoggedModel, SqlRun
from pydantic import BaseModel, Field, StringConstraints

PREFIX: Final = "/api/3.0/penguins"
MOST: Final = 500
"""Runs that are deleted by one request."""

_ID: Final = re.compile(r"m-[0-9a-f]{32}|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_FOLDER: Final = re.compile(r"\d+/(?:models/(?=m-))?(m-[0-9a-f]{32}|[0-9a-f]{32})/")
_PROXIED: Final = "mlflow-artifacts:/"

router = APIRouter(prefix=PREFIX)
_handlers: Any = handlers  # which has no types

RunId = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]


class Runs(BaseModel):
    """Ids of runs."""

    run_ids: list[RunId] = Field(max_length=MOST)


class Before(BaseModel):
    """A time in milliseconds since 1970: files that are younger stay."""

    before_ms: int = Field(ge=0)


class Survey(Before):
    """A time, and the ids of any number of runs."""

    run_ids: list[RunId]


@router.post("/purge")
def purge(asked: Runs) -> dict[str, Any]:
    """Delete runs for good that were deleted before. Those that a version is made of stay, with the reason."""
    store: Any = _handlers._get_tracking_store()
    kept: dict[str, str] = {}
    purged = []
    for run_id in dict.fromkeys(asked.run_ids):
        if (found := _Found.read(store, run_id)) is None:
            continue
        if reason := found.objection(store):  # asked anew for each: somebody may register one meanwhile
            kept[run_id] = reason
            continue
        for model_id, location in found.models.items():  # before the run, by which an interrupted request finds them
            _delete_files(location, model_id)
            store._hard_delete_logged_model(model_id)
        _delete_files(found.location, run_id)
        store._hard_delete_run(run_id)
        purged.append(run_id)
    return {"purged": purged, "kept": kept}


@router.post("/survey")
def survey(asked: Survey) -> dict[str, int]:
    """Count the objects of the bucket, of runs with their models, and of folders whose run or model is gone."""
    store: Any = _handlers._get_tracking_store()
    of_runs = set(asked.run_ids) | _models_of(store, asked.run_ids)
    folders = _Folders.read()
    orphans = folders.orphans(store, asked.before_ms)
    return {
        "objects": folders.objects,
        "bytes": folders.bytes,
        "run_bytes": sum(size for folder, size in folders.sizes.items() if _id_of(folder) in of_runs),
        "orphans": len(orphans),
        "orphan_bytes": sum(folders.sizes[folder] for folder in orphans),
    }


@router.post("/sweep")
def sweep(asked: Before) -> dict[str, int]:
    """Delete the files in the bucket whose run or model is gone."""
    folders = _Folders.read()
    orphans = folders.orphans(_handlers._get_tracking_store(), asked.before_ms)
    for folder in orphans:
        _handlers._get_artifact_repo_mlflow_artifacts().delete_artifacts(folder.rstrip("/"))
    return {"orphans": len(orphans), "orphan_bytes": sum(folders.sizes[folder] for folder in orphans)}


@dataclass(frozen=True)
class _Found:
    """A run and the places of its models, by their ids."""

    run_id: str
    location: str
    stage: str
    models: dict[str, str]

    @classmethod
    def read(cls, store: Any, run_id: str) -> "_Found | None":
        """Return a run, if there still is one, whatever its stage and those of its models."""
        with store.ManagedSessionMaker() as session:
            run = session.query(SqlRun.artifact_uri, SqlRun.lifecycle_stage).filter(SqlRun.run_uuid == run_id).first()
            query = session.query(SqlLoggedModel.model_id, SqlLoggedModel.artifact_location)
            models = query.filter(SqlLoggedModel.source_run_id == run_id).all()
            return cls(run_id, run[0], run[1], dict(map(tuple, models))) if run else None

    def objection(self, store: Any) -> str | None:
        """Return the reason for which it must stay, if there is one."""
        if self.stage != LifecycleStage.DELETED:
            return "the run isn't deleted"
        if {self.run_id, *self.models} & _ids_of_versions(store):
            return "a version is made of it"
        places = {**self.models, self.run_id: self.location}
        return next((f"its files are elsewhere: {at}" for id, at in places.items() if not _folder(at, id)), None)


def _ids_of_versions(store: Any) -> set[str]:
    """Return the ids of runs and models that any version names."""
    with store.ManagedSessionMaker() as session:
        found = session.query(SqlModelVersion.run_id, SqlModelVersion.source, SqlModelVersion.storage_location).all()
    return {id for row in found for text in row if text for id in _ID.findall(text)}


def _folder(location: str, id: str) -> str:
    """Return the folder of a run or a model in the bucket; empty if its place isn't in a folder of its own there."""
    path = location.removeprefix(_PROXIED)
    parts = path.split("/")
    is_own = path != location and parts[0] and not {"", "."}.intersection(parts) and ".." not in parts
    return "/".join(parts[:-1]) if is_own and parts[-2:] == [id, "artifacts"] else ""


def _delete_files(location: str, id: str) -> None:
    _handlers._get_artifact_repo_mlflow_artifacts().delete_artifacts(_folder(location, id))


def _models_of(store: Any, run_ids: Iterable[str]) -> set[str]:
    wanted = set(run_ids)
    with store.ManagedSessionMaker() as session:
        found = session.query(SqlLoggedModel.model_id, SqlLoggedModel.source_run_id).all()
    return {model_id for model_id, run_id in found if run_id in wanted}


def _id_of(folder: str) -> str:
    return folder.rstrip("/").rpartition("/")[2]


class _Folders:
    """Sizes of the folders of runs and models in the bucket, and the time of the youngest file of each."""

    def __init__(self) -> None:
        self.objects = self.bytes = 0
        self.sizes: dict[str, int] = defaultdict(int)
        self.youngest_ms: dict[str, int] = defaultdict(int)

    @classmethod
    def read(cls) -> "_Folders":
        """Look at all objects of the bucket."""
        folders = cls()
        for key, size, at_ms in _objects():
            folders.objects += 1
            folders.bytes += size
            if found := _FOLDER.match(key):
                folders.sizes[found[0]] += size
                folders.youngest_ms[found[0]] = max(folders.youngest_ms[found[0]], at_ms)
        return folders

    def orphans(self, store: Any, before_ms: int) -> list[str]:
        """Return the folders whose run or model is gone, and whose files are all from before that time.

        Rows are read after the files: a run has its row before its first file.
        """
        with store.ManagedSessionMaker() as session:
            known = {id for (id,) in session.query(SqlRun.run_uuid)}
            known |= {id for (id,) in session.query(SqlLoggedModel.model_id)}
        known |= _ids_of_versions(store)
        return [at for at, young in self.youngest_ms.items() if young < before_ms and _id_of(at) not in known]


def _objects() -> Iterator[tuple[str, int, int]]:
    """Yield key, size and time of each object below the server's place in the bucket."""
    repository: Any = _handlers._get_artifact_repo_mlflow_artifacts()
    bucket, root = repository.parse_s3_compliant_uri(repository.artifact_uri)
    prefix = f"{root.rstrip('/')}/" if root else ""
    pages = repository._get_s3_client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for item in page.get("Contents", ()):
            yield item["Key"].removeprefix(prefix), item["Size"], int(item["LastModified"].timestamp() * 1000)
