import pytest
from pydantic import ValidationError

from local.settings import REPO, Settings
from tests.commands import command


def test_ports_and_state_directory_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_PORT", "5555")
    monkeypatch.setenv("PENGUINS_STATE_DIR", str(tmp_path))
    settings = Settings()
    assert settings.mlflow_port == 5555
    assert settings.state_dir == tmp_path


def test_every_field_is_described():
    assert all(field.description for field in Settings.model_fields.values())


def test_two_programs_cant_have_one_port():
    with pytest.raises(ValidationError, match="MLFLOW_PORT and API_PORT are both 8000"):
        Settings(mlflow_port=8000, api_port=8000)


def test_a_relative_state_directory_becomes_absolute(monkeypatch):
    monkeypatch.chdir(REPO)
    assert Settings(state_dir="somewhere").state_dir == REPO / "somewhere"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("API_PORT", "abc", "API_PORT=abc: Input should be a valid integer"),
        ("API_PORT", "70000", "API_PORT=70000: Input should be less than or equal to 65535"),
        ("S3_CONSOLE_PORT", "60000", "S3_CONSOLE_PORT=60000: Input should be less than or equal to 55535"),
    ],
)
def test_a_bad_value_gives_one_line(tmp_path, variable, value, message):
    result = command(Settings.on_free_ports(tmp_path), "up", **{variable: value})
    assert result.returncode == 2
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1
