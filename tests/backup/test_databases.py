"""Messages of PostgreSQL's programs."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from backup.databases import _run, check, dump, restore
from backup.errors import BackupError
from backup.stack import Login
from local import postgres
from local.stack import Stack

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


@pytest.fixture
def logins(stack: Stack) -> Iterator[tuple[Login, Login]]:
    """The role mlflow in two new databases."""
    port, credentials = stack.config.settings.postgres_port, stack.config.credentials
    superuser = f"postgresql://postgres:{credentials.postgres_password}@127.0.0.1:{port}/postgres"
    first, second = (
        Login("127.0.0.1", port, "mlflow", credentials.mlflow_db_password, name) for name in ("dumped", "restored")
    )
    with psycopg.connect(superuser, autocommit=True) as connection:
        for login in (first, second):
            connection.execute(f"CREATE DATABASE {login.database} OWNER mlflow")
        yield first, second
        for login in (first, second):
            connection.execute(f"DROP DATABASE {login.database} WITH (FORCE)")


@pytest.mark.programs
def test_a_number_that_another_server_keeps_of_a_column_is_left_out(
    logins: tuple[Login, Login], tmp_path: Path
) -> None:
    (dumped, restored), path = logins, tmp_path / "x.dump"
    text = "ALTER TABLE ONLY public.birds ALTER COLUMN id SET (pg_attver=3);"
    with dumped.connect() as connection:
        connection.execute(
            """CREATE TABLE public.birds (id int PRIMARY KEY, parent int REFERENCES public.birds, name text);
               ALTER TABLE public.birds ALTER COLUMN id SET (n_distinct=5);
               ALTER TABLE public.birds ALTER COLUMN name SET (n_distinct=7, n_distinct_inherited=5)"""
        )
        connection.execute("INSERT INTO public.birds VALUES (1, 1, %s)", [text])
    with path.open("wb") as file:
        dump(postgres.BIN, dumped, file)
    # As that server's dump has it, in as many bytes.
    content = path.read_bytes().replace(b"SET (n_distinct=5);", b"SET (pg_attver=55);")
    path.write_bytes(content.replace(b", n_distinct_inherited=5);", b", pg_attver=123456789012);"))
    assert b"SET (pg_attver=55);" in path.read_bytes()
    assert b"7, pg_attver=123456789012);" in path.read_bytes()
    restore(postgres.BIN, restored, path)
    with restored.connect() as connection:
        assert connection.execute("SELECT * FROM public.birds").fetchall() == [(1, 1, text)]
        found = connection.execute("SELECT attname, attoptions FROM pg_attribute WHERE attoptions IS NOT NULL")
        assert found.fetchall() == [("name", ["n_distinct=7"])]
