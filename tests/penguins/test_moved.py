"""Imports of the first stage's notebook still work, and say where the names are now."""

import importlib
import sys

import pytest

import penguins
from penguins import registry, training
from penguins.promotion import registration
from penguins.registry import model_versions


@pytest.mark.parametrize("name", ["dataset", "grid", "ingest", "plots", "preprocessing", "registration", "tracking"])
def test_a_moved_module_is_found_with_a_warning(name: str) -> None:
    vars(penguins).pop(name, None)
    with pytest.warns(FutureWarning, match=rf"penguins\.{name} has moved: use penguins\.\w+\.{name}$"):
        module = getattr(penguins, name)
    assert module.__name__.endswith(f".{name}")


def test_moved_functions_are_found_with_a_warning() -> None:
    for name in ("load", "model_id", "production", "recorded_digests", "version", "versions"):
        with pytest.warns(FutureWarning, match=rf"use penguins\.registry\.model_versions\.{name}$"):
            assert getattr(registry, name) is getattr(model_versions, name)
    for name in ("grid_train", "open_run"):
        with pytest.warns(FutureWarning, match=rf"use penguins\.training\.training\.{name}$"):
            assert callable(getattr(training, name))
    assert callable(registration.register_best)


def test_the_contract_is_found_with_a_warning() -> None:
    sys.modules.pop("penguins.contract", None)
    with pytest.warns(FutureWarning, match=r"use penguins\.contracts\.find\(\)"):
        found = importlib.import_module("penguins.contract")
    assert found.FEATURE_NAMES[0] == "bill_length_mm"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        penguins.nothing  # noqa: B018
