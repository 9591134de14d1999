"""A backup of the containers, made while they work, and restored into another project."""

import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup.schedule import archives
from local.clients.http import JsonApi
from local.clients.service import Service
from local.waiting import until
from ops.backup import make_folder
from tests.compose.stack import PROJECT, ComposeStack, run
from tests.e2e.deployment import MODEL, PENGUIN, Deployment, Made
from tests.run import note_project

OTHER = "penguins-test-restored"
AUDIT = "SELECT count(*), md5(string_agg(t::text, ' ' ORDER BY id)) FROM audit.promotions t"


@pytest.fixture(scope="module")
def archive(compose: ComposeStack, made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with keys of the stack that works."""
    del made
    folder = tmp_path_factory.mktemp("backups")
    said = compose.make("compose-backup", TO=str(folder), KEYS="1")
    (path,) = folder.iterdir()
    assert str(path) in said
    return path


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    """A project without any data."""
    note_project(OTHER)
    stack = ComposeStack(tmp_path_factory.mktemp("restored"), OTHER)
    stack.down("--volumes")  # left by a killed run
    yield stack
    stack.down("--volumes", "--rmi", "local")


@pytest.fixture(scope="module")
def restored(empty: ComposeStack, archive: Path) -> ComposeStack:
    """The project that the archive was restored into, with what predictions need."""
    said = empty.make("compose-restore", FROM=str(archive))
    assert re.search(r"Restored as of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", said)
    assert empty.containers() == []
    empty.compose("up", "--detach", "--build", "--wait", "mlflow", "api")
    return empty


def volumes(project: str) -> list[str]:
    return run("docker", "volume", "ls", "--quiet", "--filter", f"name=^{project}_").split()


def versions(compose: ComposeStack) -> object:
    return JsonApi(compose.url("MLFLOW_PORT")).get("/api/2.0/mlflow/model-versions/search", filter=f"name='{MODEL}'")


def audit(compose: ComposeStack) -> str:
    return compose.execute("postgres", "psql", "--tuples-only", "--dbname=penguins", f"--command={AUDIT}")


def test_the_archive_is_private_and_has_all_parts(archive: Path, deployment: Deployment) -> None:
    assert archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(archive) as opened:
        names = set(opened.getnames())
        file = opened.extractfile("manifest.json")
        assert file
        manifest = json.load(file)
    assert {f"databases/{name}.dump" for name in ("airflow", "mlflow", "penguins")} < names
    assert {"tables/audit.promotions", "contracts/penguins.yaml", "keys.json"} < names
    places = {each["of"] for each in manifest["members"] if each["name"].startswith("objects/")}
    assert places == deployment.objects("")
    noted = deployment.query("SELECT bytes, with_keys FROM monitoring.backups ORDER BY at DESC LIMIT 1")
    assert noted == [(archive.stat().st_size, True)]


def test_data_is_not_restored_over(compose: ComposeStack, archive: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        compose.make("compose-restore", FROM=str(archive))
    assert f"the project {PROJECT} is running, and a restore would replace it" in refused.value.stderr
    assert f"{PROJECT}_postgres" in refused.value.stderr
    assert "down --volumes" in refused.value.stderr


def test_a_restore_that_fails_leaves_nothing(empty: ComposeStack, archive: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tar.gz"
    damaged.write_bytes(archive.read_bytes()[:-1000])
    before = empty.env_file.read_bytes()
    with pytest.raises(subprocess.CalledProcessError) as refused:
        empty.make("compose-restore", FROM=str(damaged))
    assert f"{damaged} is damaged" in refused.value.stderr
    assert "Traceback" not in refused.value.stderr
    assert (volumes(OTHER), empty.containers()) == ([], [])
    assert empty.env_file.read_bytes() == before


def test_containers_make_backups_by_themselves(
    compose: ComposeStack, deployment: Deployment, made: Made, tmp_path: Path
) -> None:
    del made
    folder = tmp_path / "scheduled"
    make_folder(folder)
    for day in (1, 2):
        (folder / f"penguins-2026010{day}T000000Z.tar.gz").touch()
    compose.set(PENGUINS_BACKUP_DIR=str(folder), PENGUINS_BACKUP_HOURS="1", PENGUINS_BACKUP_KEEP="2")
    compose.compose("--profile", "backups", "up", "--detach", "--build", "--no-deps", "backup-schedule")
    try:
        until(lambda: min(archives(folder)).day == 2 and len(archives(folder)) == 2, "a backup", 120)
    finally:
        compose.compose("--profile", "backups", "rm", "--stop", "--force", "backup-schedule")
    newest = [*archives(folder).values()][-1]
    with tarfile.open(newest) as opened:
        names = opened.getnames()
    assert names[-1] == "manifest.json"
    assert "keys.json" not in names
    noted = deployment.query("SELECT bytes, with_keys FROM monitoring.backups ORDER BY at DESC LIMIT 1")
    assert noted == [(newest.stat().st_size, False)]


def test_the_restored_stack_is_the_same_and_predicts(
    compose: ComposeStack, deployment: Deployment, restored: ComposeStack
) -> None:
    assert versions(restored) == versions(compose)
    assert audit(restored) == audit(compose)
    names = ("PENGUINS_SIGNING_KEY", "AIRFLOW_FERNET_KEY")
    assert [restored.variables[name] for name in names] == [compose.variables[name] for name in names]
    assert restored.variables["POSTGRES_PASSWORD"] != compose.variables["POSTGRES_PASSWORD"]
    version, service = deployment.served(), Service(restored.url("API_PORT"))
    until(lambda: service.version() == version.number, "the restored service to load the version")
    assert service.predict(PENGUIN)["probabilities"] == deployment.service.predict(PENGUIN)["probabilities"]
