"""Variables of the stack's programs."""

from pathlib import Path

from local.config import Config
from local.programs import all_programs
from local.settings import Settings


def test_tables_of_the_service_lie_in_the_state_directory(tmp_path: Path) -> None:
    config = Config.of(Settings(state_dir=tmp_path / "state"))
    folder = Path(all_programs(config)["api"].environment["TMPDIR"])  # /tmp may lie in memory
    assert folder.is_dir()
    assert folder.is_relative_to(tmp_path / "state")
