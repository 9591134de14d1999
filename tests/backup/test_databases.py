"""Messages of PostgreSQL's programs."""

import pytest

from backup.databases import _run
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
