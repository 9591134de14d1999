"""The end-to-end checks of the embedded stack, on the containers."""

from pathlib import Path

import pytest

from contract import odcs
from ops import contract
from tests.compose.stack import PROJECT, ComposeStack
from tests.e2e.test_main_job import *  # noqa: F403


@pytest.mark.usefixtures("first_run")
def test_tasks_of_the_scheduler_start_with_their_libraries_imported(compose: ComposeStack) -> None:
    assert {"onnxruntime", "pandas", "pyarrow", "sklearn"} <= compose.in_memory("airflow-scheduler")


@pytest.mark.usefixtures("first_run")
def test_a_contract_is_drafted_from_a_table_of_the_database(
    compose: ComposeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", PROJECT)
    env_file = tmp_path / "test.env"
    env_file.write_text(f"{compose.env_file.read_text()}PENGUINS_CONTRACTS_DIR={tmp_path}\n")
    assert contract.main(env_file, ["--from=table:penguins_raw", "--target=species", "--name=drafted"]) == 0
    drafted = odcs.read_text((tmp_path / "drafted.yaml").read_bytes(), "drafted.yaml", "drafted")
    assert drafted.target.categories == ("Adelie", "Chinstrap", "Gentoo")
    (tmp_path / "drafted.yaml").unlink()
    assert contract.main(env_file, ["--from=table:nowhere", "--target=species"]) == 1
    assert list(tmp_path.glob("*.yaml")) == []
