"""The folder of contracts, the settings that override the penguins', and `make check-contract`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from contract.monitoring import Monitoring
from contract.training import Estimator, Training
from local.settings import REPO
from penguins import contracts
from penguins.contracts.__main__ import main
from penguins.errors import UserError
from penguins.settings import settings
from penguins.training.estimators import ESTIMATORS
from tests.contract.odcs.conftest import WINE, folder
from tests.penguins.calling import call

__all__ = ["folder"]


OVERRIDDEN = {name: (part, field) for part, fields in contracts.OVERRIDES.items() for name, field in fields.items()}
"""Parts and fields of a contract, by the settings that override them."""


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings without the caller's."""
    for name in OVERRIDDEN:
        monkeypatch.delenv(f"PENGUINS_{name.upper()}", raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


def check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call `python -m penguins.contracts check` in this process."""
    return call(main, "check", *arguments, variables={"PENGUINS_CONTRACTS_DIR": str(folder)})


def test_the_penguins_are_in_the_folder_of_the_project() -> None:
    found = contracts.find()
    assert found.feature_names == ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
    assert found.classes == ("Adelie", "Chinstrap", "Gentoo")
    assert (found.training.schedule, found.training.min_accuracy) == ("@weekly", 0.9)
    assert {"N/A", "?"} <= set(found.reading.null_values)


@pytest.mark.usefixtures("folder")
def test_settings_override_the_penguins_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "schedule": "",
        "data_source": "/data/new.csv",
        "max_rejected_share": 0.25,
        "experiment": "another",
        "model_name": "model_test 1.0-b",
        "min_accuracy": 0.125,
        "max_p_value": 0.25,
        "max_recall_drop": 1.0,
        "shadow_predictions": 500,
        "shadow_days": 0.5,
        "monitoring_window": "20s",
        "accuracy_floor": 0.75,
        "new_truth": 500,
        "cooldown": "30 min",
        "retrain": False,
        "use_production_rows": True,
    }
    assert set(values) == set(OVERRIDDEN)
    for name, value in values.items():
        monkeypatch.setenv(f"PENGUINS_{name.upper()}", str(value))
    changed, wine = contracts.find(), contracts.find("wine")
    found = {name: getattr(getattr(changed, part), field) for name, (part, field) in OVERRIDDEN.items()}
    assert found == values
    assert (changed.monitoring.window_length, changed.monitoring.cooldown_length) == (
        timedelta(seconds=20),
        timedelta(minutes=30),
    )
    assert (wine.training.registered_model, wine.training.experiment, wine.training.min_accuracy) == (
        "wine",
        "wine",
        0.5,
    )
    assert wine.monitoring == Monitoring()


@pytest.mark.usefixtures("folder")
def test_a_setting_that_mlflow_cannot_take_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINS_MODEL_NAME", "a/b")
    with pytest.raises(UserError, match=r"^PENGUINS_MODEL_NAME: "):
        contracts.find()


@pytest.mark.parametrize("window", ["an hour", "5s"])
def test_a_time_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, window: str) -> None:
    monkeypatch.setenv("PENGUINS_MONITORING_WINDOW", window)
    with pytest.raises(UserError, match=r"^PENGUINS_MONITORING_WINDOW: "):
        contracts.find()


def test_each_part_that_a_setting_overrides_names_its_variable() -> None:
    parts = {"training": Training, "monitoring": Monitoring}
    for name, (part, field) in OVERRIDDEN.items():
        assert f"(`PENGUINS_{name.upper()}`)" in (parts[part].model_fields[field].description or "")


def test_a_relative_folder_begins_at_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINS_CONTRACTS_DIR", "examples/contracts")
    assert contracts.path_of("wine") == REPO / "examples/contracts/wine.yaml"


def test_a_changed_file_is_read_again(folder: Path) -> None:
    assert contracts.find("wine").training.min_accuracy == 0.5
    (folder / "wine.yaml").write_text(WINE.replace("minAccuracy: 0.5", "minAccuracy: 0.75"))
    assert contracts.find("wine").training.min_accuracy == 0.75


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["grapes", "../contracts/penguins", "", "schema", "/etc/passwd"])
def test_an_unknown_contract_is_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(UserError, match="Known are penguins, wine"):
        contracts.find(name)


def test_a_broken_contract_harms_no_other(folder: Path) -> None:
    (folder / "beer.yaml").write_text("kind: DataContract\n")
    (folder / "my table!.yaml").write_text(WINE)
    (folder / ".hidden.yaml").write_text("not one")
    found = contracts.read_all()
    assert list(found.good) == ["penguins", "wine"]
    assert found.broken["beer"].startswith(f"{folder}/beer.yaml:1: apiVersion is missing: add it\n")
    assert "my table!.yaml:4: the name 'wine' isn't that of the file" in found.broken["my table!"]
    with pytest.raises(UserError, match=r"beer\.yaml:1: "):
        contracts.find("beer")


def test_the_pipeline_works_by_another_contract_while_the_penguins_is_broken(folder: Path) -> None:
    (folder / "penguins.yaml").write_text("broken")
    found = contracts.read_all()
    assert (list(found.good), list(found.broken)) == (["wine"], ["penguins"])


def test_a_model_of_two_contracts_stays_with_the_penguins(folder: Path) -> None:
    copy = (folder / "penguins.yaml").read_text().replace("name: penguins", "name: adelie")
    (folder / "adelie.yaml").write_text(copy)
    found = contracts.read_all()
    assert list(found.good) == ["penguins", "wine"]
    assert "its registeredModel 'penguins_rf' is that of the contract 'penguins', too" in found.broken["adelie"]


def test_an_experiment_of_two_contracts_stays_with_the_first(folder: Path) -> None:
    copy = WINE.replace("name: wine\n", "name: red\n").replace("registeredModel: wine", "registeredModel: red")
    (folder / "red.yaml").write_text(copy)
    found = contracts.read_all()
    assert list(found.good) == ["penguins", "red"]
    assert found.broken == {
        "wine": f"{folder}/wine.yaml: its experiment 'wine' is that of the contract 'red', too ({folder}/red.yaml). "
        "Write another name."
    }


def test_a_contract_is_a_file(folder: Path) -> None:
    os.mkfifo(folder / "pipe.yaml")  # reading it would wait for somebody who writes
    (folder / "folder.yaml").mkdir()
    found = contracts.read_all()
    assert list(found.good) == ["penguins", "wine"]
    assert found.broken == {name: f"{folder}/{name}.yaml: isn't a file" for name in ("folder", "pipe")}


def twins(folder: Path, same: str) -> str:
    """Add a contract whose model and experiment have other names than the wine's but for `same`; return its path."""
    text = WINE.replace("name: wine", "name: grape").replace("id: wine", "id: grape")
    for key in {"registeredModel", "experiment"} - {same}:
        text = text.replace(f"{key}: wine", f"{key}: grape")
    (folder / "grape.yaml").write_text(text)
    return f"{folder}/grape.yaml"


@pytest.mark.parametrize("key", ["registeredModel", "experiment"])
def test_two_contracts_with_the_same_name_in_mlflow_are_refused_with_both_files(folder: Path, key: str) -> None:
    path = twins(folder, key)
    # The first in the order of the names stays.
    line = f"{folder}/wine.yaml: its {key} 'wine' is that of the contract 'grape', too ({path}). Write another name."
    assert contracts.read_all().broken == {"wine": line}
    for arguments in ([], ["--contract=wine"]):
        done = check(folder, *arguments)
        assert (done.returncode, done.stderr.splitlines()) == (1, [line])
    assert check(folder, "--contract=grape").returncode == 0
    with pytest.raises(UserError, match="Write another name"):
        contracts.find_distinct("wine")


def test_contracts_with_names_of_their_own_are_in_order(folder: Path) -> None:
    twins(folder, "")
    assert list(contracts.read_all().good) == ["grape", "penguins", "wine"]


def test_check_says_what_is_in_order_and_what_is_not(folder: Path) -> None:
    variables = os.environ | {"PYTHONPATH": "plugins", "PENGUINS_CONTRACTS_DIR": str(folder)}
    command = [sys.executable, "-X", "importtime", "-m", "penguins.contracts", "check"]  # as make does
    done = subprocess.run(command, cwd=REPO, env=variables, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"{folder}/penguins.yaml: in order. 4 features, 3 classes of 'species', model 'penguins_rf'.",
        f"{folder}/wine.yaml: in order. 3 features, 2 classes of 'cultivar', model 'wine'.",
    ]
    assert not [line for line in done.stderr.splitlines() if line.endswith((" mlflow", " sklearn", " airflow"))]
    (folder / "beer.yaml").write_text(
        WINE.replace("name: wine", "name: beer").replace("logicalType: date", "logicalType: dat")
    )
    done = check(folder)
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 2)
    assert done.stderr.splitlines() == [
        f"{folder}/beer.yaml:36: column 'bottled', logicalType: is 'dat': did you mean date? Write one of number, "
        "integer, boolean, string, date, timestamp"
    ]


@pytest.mark.programs
def test_make_check_contract_names_each_mistake_in_a_line(folder: Path) -> None:
    (folder / "wine.yaml").write_text(
        WINE.replace("logicalType: date", "logicalType: dat").replace("minimum: 0", "minimum: 10")
    )
    variables = os.environ | {"PENGUINS_CONTRACTS_DIR": str(folder)}
    make = ["make", "--no-print-directory", "--old-file=.venv/.installed-run", f"RUN={sys.executable} -m"]
    for arguments in (["CONTRACT=wine"], [f"FILE={folder}/wine.yaml"], []):
        done = subprocess.run(
            [*make, "check-contract", *arguments], cwd=REPO, env=variables, capture_output=True, text=True
        )
        limits, kind, failed = done.stderr.splitlines()
        assert limits.startswith(f"{folder}/wine.yaml:20: column 'od280/")
        assert limits.endswith("the minimum 10 is above the maximum 9: swap them")
        assert kind.startswith(f"{folder}/wine.yaml:36: column 'bottled', logicalType: is 'dat': did you mean date?")
        assert "*** [Makefile:" in failed  # make[1] if a make runs the tests


def test_check_looks_at_one_by_name_or_path(folder: Path, tmp_path: Path) -> None:
    assert check(folder, "--contract=wine").stdout.startswith(f"{folder}/wine.yaml: in order.")
    assert check(folder, "--contract=../wine").stderr
    assert check(folder, f"--file={tmp_path}/none.yaml").stderr == (
        f"{tmp_path}/none.yaml: can't be read: No such file or directory\n"
    )


def test_check_looks_at_the_grid(folder: Path) -> None:
    grid = "      estimator: random_forest\n      grid: {max_dept: [1, 2]}\n"
    (folder / "wine.yaml").write_text(WINE.replace("      experiment: wine\n", f"      experiment: wine\n{grid}"))
    (line,) = check(folder, "--contract=wine").stderr.splitlines()
    assert line.startswith(f"{folder}/wine.yaml:46: training, grid: unknown hyperparameter max_dept. Allowed are ")


def test_every_estimator_may_be_named_in_a_contract() -> None:
    assert set(ESTIMATORS) <= set(Estimator.__args__)  # type: ignore[attr-defined]
