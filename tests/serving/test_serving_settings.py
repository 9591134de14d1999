"""Every setting has a description and is read from its variable."""

import pytest
from pydantic import ValidationError

from serving.settings import Settings, explain, variable


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_explained(name: str) -> None:
    field = Settings.model_fields[name]
    assert field.description
    assert field.description.endswith(".")
    default = field.get_default(call_default_factory=True)
    assert f"  {variable(name)}={'' if default is None else default}\n" in explain()
    assert " ".join(field.description.split()) in " ".join(explain().split())


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVING_PORT", "9000")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    settings = Settings()
    assert settings.port == 9000
    assert str(settings.mlflow_tracking_uri) == "http://mlflow:5000/"


def test_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVING_CACHE_DIR", "")
    assert Settings().cache_dir == Settings.model_fields["cache_dir"].get_default(call_default_factory=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVING_PORT", "http"),
        ("SERVING_POLL_SECONDS", "0"),
        ("SERVING_MODEL_NAME", "../penguins"),
        ("SERVING_LOG_LEVEL", "loud"),
        ("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db"),
    ],
)
def test_wrong_settings_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()
