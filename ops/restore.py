"""`make compose-restore`: a backup into an empty project, which isn't started.

The archive is checked as a whole before anything is made. While it is restored, a file in PostgreSQL's volume keeps
everything from starting, so that nobody takes a half of it for the whole. A restore that fails leaves no volume.
"""

import base64
import fcntl
import json
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from backup import keyfile
from backup.errors import BackupError
from backup.telling import NEW_KEYS, put_contracts, told, without_keys
from ops import dotenv
from ops.backup import NEEDED, SERVICE, build, container
from ops.contract import contracts_folder
from ops.docker import Compose, DockerError, docker
from ops.run import MODELS, models_folder

_MARK = "$PGDATA/restoring"  # images/postgres/postgres-volume.sh looks for it
_ALL = ("--profile", "*")


def main(env_file: Path, archive: str, keys: str) -> int:
    """Restore, say what there is to tell, and return the exit status: 1 after an error, which is printed."""
    if not archive:
        print("say from what: make compose-restore FROM=backups/penguins-….tar.gz", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        lines = restore(env_file, Path(archive).absolute(), keys)
    except (OSError, BackupError, DockerError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print("", *lines, "Start it with: make compose-up", sep="\n")
    return 0


def restore(env_file: Path, archive: Path, keys: str) -> list[str]:
    """Restore a backup into the project of a `.env`, and return what there is to tell.

    `keys` is empty for those in the archive, the path of a `.env` or `credentials.json`, or `new` for those that the
    project's own `.env` has.

    Raises:
        BackupError, DockerError: it can't be restored; nothing is left.
        OSError: a file can't be read or written; nothing is left.
    """
    compose = Compose(env_file)
    with archive.open("rb") as file, _alone(env_file):
        given = keyfile.read(Path(keys)) if keys not in ("", NEW_KEYS) else None
        _refuse_data(compose)
        variables = dotenv.parse(env_file.read_text())
        build(compose, SERVICE, "mlflow")  # of the latter comes the container that makes the bucket
        with _empty_or_whole(compose):
            found = _check(compose, file, archive)
            given = given or found["keys"]
            if given is None and keys != NEW_KEYS:
                raise BackupError(without_keys(str(archive), ".env (or credentials.json, if it ran without Docker)"))
            _fill(compose, file, archive, variables["POSTGRES_PASSWORD"])
            lines = told(datetime.fromisoformat(found["at"]), keys)
            lines += put_contracts(_decoded(found["contracts"]), contracts_folder(variables))
            if found["models"] is not None:
                (models_folder(variables) / MODELS).write_bytes(base64.b64decode(found["models"]))
            if given is not None:
                write_keys(env_file, given)
            compose.run("exec", "--no-TTY", "postgres", "sh", "-c", f'rm "{_MARK}"')
            compose.attach(*_ALL, "down", "--remove-orphans")
    return lines


@contextmanager
def _alone(env_file: Path) -> Iterator[None]:
    with env_file.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupError(f"another restore for {env_file} is under way; wait for it") from error
        yield


def _refuse_data(compose: Compose) -> None:
    config = compose.config()
    names = {volume["name"] for volume in config["volumes"].values()}
    there = sorted(names & set(docker("volume", "ls", "--quiet").splitlines()))
    running = any(each["State"] == "running" for each in compose.containers())
    if there or running:
        raise BackupError(
            f"the project {config['name']} {'is running' if running else 'has data'}, and a restore would replace it: "
            f"{', '.join(there)}. `docker compose --profile '*' down --volumes` stops it and deletes its data; "
            "COMPOSE_PROJECT_NAME chooses another project"
        )


@contextmanager
def _empty_or_whole(compose: Compose) -> Iterator[None]:
    """Delete all volumes of the project if the block fails: it had none before."""
    try:
        yield
    except BaseException:
        compose.attach(*_ALL, "down", "--volumes", "--remove-orphans")
        raise


def _check(compose: Compose, file: IO[bytes], archive: Path) -> dict[str, Any]:
    """Check the archive, and return what of it belongs on this machine."""
    with TemporaryFile() as shown:
        compose.attach(*container(), "check", f"--name={archive}", stdin=file, stdout=shown)
        shown.seek(0)
        return dict(json.load(shown))


def _fill(compose: Compose, file: IO[bytes], archive: Path, password: str) -> None:
    compose.attach("up", "--detach", "--wait", *sorted(NEEDED))
    compose.run("exec", "--no-TTY", "postgres", "sh", "-c", f'touch "{_MARK}"')
    for service in ("init-db", "create-bucket"):
        compose.attach("run", "--rm", "--no-deps", "--no-TTY", service)
    file.seek(0)
    name = "POSTGRES_PASSWORD"
    compose.attach(*container(name), "put", f"--name={archive}", stdin=file, variables={name: password})


def _decoded(files: Mapping[str, str]) -> dict[str, bytes]:
    return {name: base64.b64decode(content) for name, content in files.items()}


def write_keys(env_file: Path, keys: Mapping[str, str]) -> None:
    """Write the keys of a backup into a `.env`."""
    text = env_file.read_text()
    for name, variable in keyfile.VARIABLES.items():
        text = dotenv.assign(text, variable, keys[name])
    dotenv.write_private(env_file, text)
