"""Variables of the stack's programs."""

from pathlib import Path

import pytest

from local.config import Config
from local.programs import all_programs
from local.settings import Settings


def test_tables_of_the_service_lie_in_the_state_directory(tmp_path: Path) -> None:
    config = Config.of(Settings(state_dir=tmp_path / "state"))
    folder = Path(all_programs(config)["api"].environment["TMPDIR"])  # /tmp may lie in memory
    assert folder.is_dir()
    assert folder.is_relative_to(tmp_path / "state")


def test_the_service_gets_no_password_of_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what the caller's shell has of one."""
    monkeypatch.setenv("PGPASSWORD", "of the caller")
    config = Config.of(Settings(state_dir=tmp_path / "state"))
    known = {name: value for name, value in config.credentials if name.endswith(("_password", "_secret_key"))}

    def given_to(program: str) -> list[str]:
        given = "\n".join(all_programs(config)[program].environment.values())
        assert "of the caller" not in given
        return [name for name, value in known.items() if value in given]

    assert given_to("api") == []
    assert given_to("shipper") == ["shipper_db_password"]


def test_only_airflow_gets_the_address_that_people_are_told_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINS_NOTIFY_URL", "json://127.0.0.1/token")
    programs = all_programs(Config.of(Settings(state_dir=tmp_path / "state"))).items()
    told = {name for name, program in programs if "json://127.0.0.1/token" in program.environment.values()}
    assert told == {name for name, _ in programs if name.startswith("airflow")}
    assert told
