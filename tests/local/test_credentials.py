import hashlib
import json
import stat

from contract.signatures import SigningKey
from local import environment
from local.config import Config
from local.credentials import Credentials, take_added, write_private
from local.programs import all_programs
from local.settings import Settings


def test_credentials_are_created_once_and_private(tmp_path):
    path = tmp_path / "credentials.json"
    first = Credentials.load_or_create(path)
    assert take_added(path) == []
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
    assert Credentials.load_or_create(path) == credentials
    assert take_added(path) == [
        name for name in Credentials.model_fields if name not in ("airflow_password", "trusted_keys")
    ]
    assert take_added(path) == []


def test_a_new_signing_key_is_trusted_beside_the_older_ones(tmp_path):
    path = tmp_path / "credentials.json"
    before = Credentials.load_or_create(path)
    assert before.trusted_keys == SigningKey(before.signing_key).public
    values = {name: value for name, value in before.model_dump().items() if name != "signing_key"}
    write_private(path, json.dumps(values))
    after = Credentials.load_or_create(path)
    assert after.signing_key != before.signing_key
    assert after.trusted_keys == f"{SigningKey(after.signing_key).public},{before.trusted_keys}"
    assert Credentials.load_or_create(path) == after


def test_only_what_makes_models_gets_the_private_key(tmp_path):
    config = Config.of(Settings(state_dir=tmp_path / "state"))
    with_key = {
        name
        for name, program in all_programs(config).items()
        if config.credentials.signing_key in str([program.command, program.environment])
    }
    assert with_key == {"airflow-scheduler"}
    assert environment.notebook(config)["PENGUINS_SIGNING_KEY"] == config.credentials.signing_key


def test_only_the_shipper_can_add_to_the_prediction_log(tmp_path):
    config = Config.of(Settings(state_dir=tmp_path / "state"))
    password = config.credentials.shipper_db_password
    programs = all_programs(config).items()
    assert {name for name, program in programs if password in str(program.environment)} == {"init-db", "shipper"}
    others = config.credentials.model_dump(exclude={"shipper_db_password", "s3_access_key", "trusted_keys"}).values()
    assert not [value for value in others if value in str(all_programs(config)["shipper"].environment)]


def test_the_key_of_tokens_is_as_long_as_the_digest_and_replaces_a_shorter_one(tmp_path):
    path = tmp_path / "credentials.json"
    write_private(path, json.dumps({"airflow_jwt_secret": "0" * 32}))
    assert len(Credentials.load_or_create(path).airflow_jwt_key) >= hashlib.sha512().digest_size
    assert "airflow_jwt_secret" not in path.read_text()


def test_a_private_file_replaces_one_that_was_open_to_all(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
