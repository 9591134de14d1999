"""`make compose-backup` and `make compose-restore`, as far as they need no containers."""

import subprocess
import sys
from pathlib import Path

import pytest

from ops import backup, restore
from ops.env import REPO

MODULES = "import sys; sys.path.insert(0, '.'); import ops.backup, ops.restore"


def test_the_commands_need_no_packages() -> None:
    command = (sys.executable, "-I", "-S", "-c", MODULES)
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_folder_is_chosen_by_the_command_or_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENGUINS_BACKUP_DIR", raising=False)
    assert backup.folder_of({}, "") == REPO / "backups"
    assert backup.folder_of({"PENGUINS_BACKUP_DIR": "/disk"}, "") == Path("/disk")
    assert backup.folder_of({"PENGUINS_BACKUP_DIR": "/disk"}, "here") == Path("here").absolute()
    monkeypatch.setenv("PENGUINS_BACKUP_DIR", "other")
    assert backup.folder_of({"PENGUINS_BACKUP_DIR": "/disk"}, "") == REPO / "other"


def test_mistakes_are_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env_file, archive = tmp_path / ".env", tmp_path / "archive.tar.gz"
    assert backup.main(env_file, "", with_keys=False) == 1
    assert "No such file or directory" in capsys.readouterr().err
    assert restore.main(env_file, "", "") == 1
    assert "say from what: make compose-restore FROM=backups/penguins-….tar.gz" in capsys.readouterr().err
    assert restore.main(env_file, str(archive), "") == 1
    assert "No such file or directory" in capsys.readouterr().err
    archive.touch()
    env_file.touch()
    (tmp_path / "keys").write_text("PENGUINS_SIGNING_KEY=\n")
    assert restore.main(env_file, str(archive), str(tmp_path / "keys")) == 1
    assert "keys has no keys: signing_key (PENGUINS_SIGNING_KEY in .env) is missing" in capsys.readouterr().err


def test_keys_from_a_backup_take_the_place_of_those_in_env(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("A=1\nPENGUINS_SIGNING_KEY=old\nPENGUINS_TRUSTED_KEYS=old\nAIRFLOW_FERNET_KEY=old\nB=2\n")
    restore.write_keys(env_file, {"signing_key": "s", "trusted_keys": "t,u", "airflow_fernet_key": "f="})
    assert env_file.read_text() == (
        "A=1\nPENGUINS_SIGNING_KEY=s\nPENGUINS_TRUSTED_KEYS=t,u\nAIRFLOW_FERNET_KEY=f=\nB=2\n"
    )
    assert env_file.stat().st_mode & 0o777 == 0o600
