"""Messages of PostgreSQL's programs."""

from pathlib import Path

import pytest

from backup.databases import _run, check
from backup.errors import BackupError
from backup.stack import Login

LOGIN = Login("127.0.0.1", 9, "penguins", "secret", "penguins")
SAYS = (
    "printf 'a warning\\npg_restore: error: unrecognized parameter\\n' >&2; seq 9 | sed 's/^/ALTER TABLE /' >&2; exit 1"
)


def test_the_error_is_told_however_long_the_statement_is() -> None:
    with pytest.raises(
        BackupError, match="can't be restored: pg_restore: error: unrecognized parameter\nALTER TABLE 1\n"
    ):
        _run(("sh", "-c", SAYS), LOGIN, "it can't be restored")


def test_an_end_without_a_word_is_told() -> None:
    with pytest.raises(BackupError, match="can't be restored: it ended with 3"):
        _run(("sh", "-c", "exit 3"), LOGIN, "it can't be restored")


@pytest.mark.parametrize(
    "head",
    [
        b"PGDMP\x01\x10\x00\x04\x08\x01\x01",  # compressed
        b"PGDMP\x01\x0e\x00\x04\x08\x01\x00",  # of a version that says elsewhere how it is compressed
        b"PGDMP\x01\x10\x00\x04\x08\x03\x00",  # a tar file
        b"toc.dat\0\0\0\0\0",
        b"DROP TABLE x",
        b"",
    ],
)
def test_only_dumps_as_a_backup_has_them_are_restored(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "mlflow.dump"
    path.write_bytes(b"PGDMP\x01\x10\x00\x04\x08\x01\x00 and so on")
    check(path)
    path.write_bytes(head)
    with pytest.raises(BackupError, match=r"mlflow\.dump isn't a dump as a backup has it"):
        check(path)
