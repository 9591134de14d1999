import json
import stat

from local.credentials import Credentials, write_private


def test_credentials_are_created_once_and_private(tmp_path):
    path = tmp_path / "credentials.json"
    first = Credentials.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Credentials.load_or_create(path) == first


def test_no_secret_is_used_twice(tmp_path):
    values = Credentials.load_or_create(tmp_path / "credentials.json").model_dump().values()
    assert len(set(values)) == len(values)


def test_missing_credentials_are_added_to_an_older_file(tmp_path):
    path = tmp_path / "credentials.json"
    write_private(path, json.dumps({"airflow_password": "kept"}))
    credentials = Credentials.load_or_create(path)
    assert credentials.airflow_password == "kept"
    assert json.loads(path.read_text()) == credentials.model_dump()


def test_a_private_file_replaces_one_that_was_open_to_all(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
