"""The list of the models that the service serves."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.config import Config
from local.contracts import serve, served_models
from local.settings import Settings


def test_commands_at_the_same_time_lose_no_model(tmp_path: Path) -> None:
    config = Config.of(Settings(state_dir=tmp_path / "state"))
    models = [f"model {number}" for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda model: serve(config, model), models))
    assert sorted(served_models(config)) == sorted(["penguins_rf", *models])


def test_a_model_is_served_after_those_before(tmp_path: Path) -> None:
    config = Config.of(Settings(state_dir=tmp_path / "state"))
    assert served_models(config) == ["penguins_rf"]
    serve(config, "penguins_rf")
    assert not config.layout.serving_models.exists()
    for model in ("wine", "breast cancer", "wine"):
        serve(config, model)
    assert config.layout.serving_models.read_text() == "penguins_rf\nwine\nbreast cancer\n"
    assert served_models(config) == ["penguins_rf", "wine", "breast cancer"]
