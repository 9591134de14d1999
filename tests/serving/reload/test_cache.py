"""Verified copies on disk, and starts from them."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.signatures import SigningKey
from local.waiting import until
from serving.inference.model import Release
from serving.registry.refusals import RefusedError
from serving.registry.responses import ModelVersion
from serving.reload.cache import Cache
from serving.settings import Settings
from tests.keys import PUBLIC, signature
from tests.serving.line import Line
from tests.serving.publisher import Publisher, digests, forest
from tests.serving.service import Service

Start = Callable[..., Service]

FILES = {"inference/contract.json": b"{}", "inference/model.onnx": b"model"}


def release(version: int, files: dict[str, bytes] = FILES) -> Release:
    """Return a signed version with these files."""
    source = "models:/m-0"
    tag = signature("version", "penguins", "m-0", digests(files))
    tags = {"signature": tag}
    made = ModelVersion(name="penguins", version=str(version), creation_timestamp=version, source=source, tags=tags)
    return Release(made, digests(files), tag)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache."""
    return Cache(Settings(cache_dir=tmp_path, trusted_keys=PUBLIC), "penguins_rf")


def entries(cache: Cache) -> list[str]:
    """Return the versions with a copy."""
    return sorted(path.name.partition("-")[0] for path in cache.folder.iterdir() if path.is_dir())


def test_new_cache_is_empty(cache: Cache) -> None:
    assert cache.current() is None
    assert cache.find(release(1)) is None


def test_current_is_the_version_stored_last(cache: Cache) -> None:
    cache.store(release(1), FILES)
    cache.store(release(2), FILES)
    assert cache.current() == (release(2), FILES)
    assert cache.find(release(1)) == FILES


def test_current_and_previous_are_kept(cache: Cache) -> None:
    for version in (1, 2, 3):
        cache.store(release(version), FILES)
    assert entries(cache) == ["2", "3"]
    cache.store(release(2), FILES)
    assert cache.current() == (release(2), FILES)
    cache.store(release(2), FILES)
    assert entries(cache) == ["2", "3"]


def test_folder_left_by_a_killed_process_is_removed(cache: Cache) -> None:
    cache.store(release(1), FILES)
    (left := cache.folder / ".new-left").mkdir()
    cache.store(release(2), FILES)
    assert not left.exists()


@pytest.mark.programs
def test_workers_can_store_at_the_same_time(cache: Cache, tmp_path: Path) -> None:
    (stored := tmp_path / "stored").write_bytes(pickle.dumps(([release(version) for version in range(3)], FILES)))
    program = (
        "import pathlib, pickle, sys\nfrom serving.reload.cache import Cache\nfrom serving.settings import Settings\n"
        "releases, files = pickle.loads(pathlib.Path(sys.argv[2]).read_bytes())\n"
        "cache = Cache(Settings(cache_dir=sys.argv[1], trusted_keys=sys.argv[3]), 'penguins_rf')\n"
        "for number in range(1, 51):\n    cache.store(releases[number % 3], files)"
    )
    command = [sys.executable, "-c", program, tmp_path, stored, PUBLIC]
    workers = [subprocess.Popen(command) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert cache.current() is not None
    assert len(entries(cache)) == 2


def test_cache_is_private(cache: Cache) -> None:
    cache.store(release(1), FILES)
    assert cache.folder.stat().st_mode & 0o777 == 0o700


def test_failed_store_leaves_no_partial_copy(cache: Cache) -> None:
    cache.store(release(1), FILES)
    too_long = {**FILES, "x" * 300: b""}
    with pytest.raises(OSError, match="too long"):
        cache.store(release(2), too_long)
    assert entries(cache) == ["1"]
    assert cache.current() == (release(1), FILES)


@pytest.mark.parametrize("name", [*FILES, "release.json", "../index.json"])
@pytest.mark.timeout(60)  # a FIFO would be waited for
@pytest.mark.parametrize("damage", [b"", b"other", None, "fifo", "link"])
def test_damage_is_detected_and_repaired(cache: Cache, name: str, damage: bytes | str | None) -> None:
    cache.store(release(1), FILES)
    path = next(path for path in cache.folder.iterdir() if path.is_dir()) / name
    content = path.read_bytes()
    path.unlink()
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    elif damage == "fifo":
        os.mkfifo(path)
    elif damage == "link":
        (outside := cache.folder.parent / "outside").write_bytes(content)
        path.symlink_to(outside)
    if (name, damage) == ("../index.json", None):
        assert cache.current() is None
    else:
        with pytest.raises(RefusedError, match="the cache in|damaged") as refused:
            cache.current()
        assert refused.value.code == "cache_corrupt"
    cache.store(release(1), FILES)
    assert cache.current() == (release(1), FILES)


def test_every_undamaged_copy_is_found_whatever_the_index_says(cache: Cache) -> None:
    assert cache.copies() == []
    cache.store(release(1), FILES)
    cache.store(release(2), FILES)
    for number, entry in enumerate(sorted(path for path in cache.folder.iterdir() if path.is_dir())):
        os.utime(entry, (number, number))
    assert cache.copies() == [(release(2), FILES), (release(1), FILES)]
    (cache.folder / "index.json").write_text("damaged")
    next(cache.folder.glob("2-*/inference/model.onnx")).write_bytes(b"damaged")
    assert cache.copies() == [(release(1), FILES)]


@pytest.mark.parametrize("name", ["{folder}/{entry}", "../elsewhere/{entry}"])
def test_index_can_not_name_a_folder_elsewhere(cache: Cache, name: str) -> None:
    cache.store(release(1), FILES)
    (entry,) = (path for path in cache.folder.iterdir() if path.is_dir())
    shutil.copytree(cache.folder, elsewhere := cache.folder.with_name("elsewhere"))
    name = name.format(folder=elsewhere, entry=entry.name)
    (cache.folder / "index.json").write_text(json.dumps({"current": name}))
    with pytest.raises(RefusedError, match="leads out of the folder|No such file"):
        cache.current()


def test_a_copy_of_a_key_that_is_not_trusted_any_more_is_refused(cache: Cache, tmp_path: Path) -> None:
    cache.store(release(1), FILES)
    other = SigningKey(SigningKey.generate()).public
    with pytest.raises(RefusedError, match="isn't trusted here. Look at version 1 and sign it") as refused:
        Cache(Settings(cache_dir=tmp_path, trusted_keys=other), "penguins_rf").current()
    assert refused.value.code == "untrusted_key"


def test_a_forged_copy_is_refused(cache: Cache) -> None:
    cache.store(release(1), FILES)
    saved = next(cache.folder.glob("*/release.json"))
    saved.write_text(saved.read_text().replace(digests(FILES)["inference/model.onnx"], "0" * 64))
    with pytest.raises(RefusedError) as refused:
        cache.current()
    assert refused.value.code == "wrong_signature"


def without_signature(cache: Cache) -> None:
    """Make the copy one of a service from before versions were signed."""
    saved = next(cache.folder.glob("*/release.json"))
    content = json.loads(saved.read_text())
    del content["signature"], content["version"]["tags"]["signature"]
    saved.write_text(json.dumps(content))


def test_a_copy_from_before_signatures_is_read(cache: Cache) -> None:
    cache.store(release(1), FILES)
    without_signature(cache)
    found = cache.current()
    assert found is not None
    before, files = found
    assert (before.version.version, before.signature, before.signed_by, files) == ("1", None, None, FILES)
    cache.store(before, FILES)
    assert cache.current() == (before, FILES)


@pytest.mark.parametrize("name", ["w" * 256, "🍷" * 256])
def test_a_model_may_have_a_long_name(tmp_path: Path, name: str) -> None:
    settings = Settings(cache_dir=tmp_path, trusted_keys=PUBLIC)
    Cache(settings, name).store(release(1), FILES)
    assert Cache(settings, f"{name[:-1]}x").current() is None
    assert Cache(settings, name).find(release(1)) == FILES


def test_each_server_and_model_has_its_own_copies(tmp_path: Path) -> None:
    Cache(Settings(cache_dir=tmp_path, trusted_keys=PUBLIC), "penguins_rf").store(release(1), FILES)
    assert Cache(Settings(cache_dir=tmp_path), "b").current() is None
    others: list[dict[str, Any]] = [{"alias": "b"}, {"mlflow_tracking_uri": "http://b"}]
    for other in others:
        assert Cache(Settings(cache_dir=tmp_path, **other), "penguins_rf").current() is None


def test_service_restarts_without_mlflow(publisher: Publisher, start: Start, line: Line) -> None:
    version = publisher.publish(forest())
    publisher.promote(version)
    with start() as service:
        answer = service.serves(version).json()
    line.cut()
    service = start()
    assert service.predict().json() == answer
    assert service.cpu_seconds() < 2
    status = service.status()["model"]
    assert (status["origin"], status["version"]) == ("cache", version)
    line.restore()
    service.polled("up_to_date")
    other = publisher.publish(forest(1))
    publisher.promote(other)
    service.serves(other)


def test_damaged_copy_is_refused_at_a_restart(publisher: Publisher, start: Start, line: Line, tmp_path: Path) -> None:
    version = publisher.publish(forest())
    publisher.promote(version)
    with start() as service:
        service.serves(version)
    line.cut()
    model = next(tmp_path.glob("cache/*/*/inference/model.onnx"))
    model.write_bytes(model.read_bytes()[:-1])
    service = start()
    service.polled("unavailable")
    response = service.predict()
    assert response.status_code == 503
    assert "can't be reached" in response.json()["detail"]
    assert f"the copy of version {version} is damaged" in response.json()["detail"]
    line.restore()
    service.serves(version)
    assert service.status()["cache_error"] is None
    line.cut()
    assert start().predict().json()["model_version"] == version


def test_older_copy_serves_while_mlflow_is_down(publisher: Publisher, start: Start, line: Line, tmp_path: Path) -> None:
    first, second = publisher.publish(forest(0)), publisher.publish(forest(1))
    with start() as service:
        for version in (first, second):
            publisher.promote(version)
            service.serves(version)
    line.cut()
    model = next(tmp_path.glob(f"cache/*/{second}-*/inference/model.onnx"))
    model.unlink()
    os.mkfifo(model)
    service = start()
    service.polled("unavailable")
    assert service.predict().json()["model_version"] == first
    status = service.status()
    assert (status["model"]["version"], status["model"]["origin"]) == (first, "cache")
    assert f"the copy of version {second} is damaged" in status["cache_error"]
    assert f"the copy of version {first} serves until MLflow answers" in status["cache_error"]
    assert service.log.count("cache.fallback") == 1
    publisher.promote(first)  # the copy that serves becomes the current one
    line.restore()
    service.serves(first)
    until(lambda: service.status()["cache_error"] is None, "the copy to be the current one")
    line.cut()
    again = start()
    assert again.predict().json()["model_version"] == first
    assert again.status()["cache_error"] is None
    publisher.promote(second)
    line.restore()
    again.serves(second)


def test_rollback_needs_no_download(publisher: Publisher, start: Start) -> None:
    first, second = publisher.publish(forest(0)), publisher.publish(forest(1))
    publisher.promote(first)
    service = start()
    service.serves(first)
    publisher.promote(second)
    service.serves(second)
    publisher.overwrite(first, "inference/model.onnx", b"gone")
    publisher.promote(first)
    service.serves(first)


def test_unwritable_cache_does_not_stop_the_service(publisher: Publisher, start: Start, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, where the folder should be")
    version = publisher.publish(forest())
    publisher.promote(version)
    service = start()
    service.serves(version)
    assert "could not be kept on disk" in service.status()["cache_error"]
    assert "cache.unwritable" in service.log
