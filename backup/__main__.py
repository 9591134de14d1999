"""Backup and restore in a container: the archive goes out by stdout, and comes in by stdin.

take writes an archive; note lets the metrics tell of one that has arrived; save writes one into the folder /backups and
notes it; check checks an archive, and writes what belongs on the host as JSON; put restores an archive into new
databases, and needs the password of the superuser.
"""

import argparse
import base64
import json
import os
import signal
import sys
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pydantic import ValidationError

from backup import restoring, taking, unpacking
from backup.errors import BackupError
from backup.keyfile import VARIABLES
from backup.manifest import KEYS, MODELS, Keys
from backup.schedule import LOWEST, name_at
from backup.stack import Bucket, Login, Stack
from backup.unpacking import Unpacked

_BUCKET: Final = "mlflow-artifacts"
_FOLDER: Final = Path("/backups")
_PROGRAMS: Final = ("penguins", "apache-airflow", "mlflow")


def main() -> int:
    """Do the work, and return the exit status: 1 after an error, which is printed."""
    parser = argparse.ArgumentParser(prog="python -m backup", description=__doc__)
    parser.add_argument("work", choices=["take", "note", "save", "check", "put"])
    parser.add_argument("--at", type=datetime.fromisoformat, help="time of the backup")
    parser.add_argument("--bytes", type=int, help="size of the archive")
    parser.add_argument("--keys", action="store_true", help="with the keys in the environment")
    parser.add_argument("--name", default="the archive", help="name of the archive for messages")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stack = _stack()
    try:
        with TemporaryDirectory() as folder:
            if arguments.work == "take":
                os.nice(
                    LOWEST
                )  # among the processes of the container; compose gives the container itself a small share
                _take(stack, Path(folder), arguments.at, arguments.keys)
            elif arguments.work == "save":
                os.nice(LOWEST)
                _save(stack, _FOLDER)
            elif arguments.work == "note":
                taking.note(stack.databases["penguins"], arguments.at, arguments.bytes, arguments.keys)
            else:
                unpacked = _unpacked(Path(folder), arguments.name)
                _show(unpacked) if arguments.work == "check" else _put(stack, unpacked)
    except (BackupError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _stack() -> Stack:
    """Return the stack in containers, by the addresses and folders that it has there."""
    bucket = Bucket(
        os.environ["MLFLOW_S3_ENDPOINT_URL"],
        os.environ["AWS_ACCESS_KEY_ID"],
        os.environ["AWS_SECRET_ACCESS_KEY"],
        _BUCKET,
    )
    return Stack(
        databases={role: _login(role, role) for role in ("airflow", "mlflow", "penguins")},
        programs=Path(os.environ["POSTGRESQL_PROGRAMS"]),
        bucket=bucket,
        spool=Path("/var/spool/penguins"),
        models=Path("/var/lib/penguins/models.txt"),
        contracts=Path(os.environ["PENGUINS_CONTRACTS_DIR"]),
    )


def _login(role: str, database: str) -> Login:
    password = os.environ["POSTGRES_PASSWORD" if role == "postgres" else f"{role.upper()}_DB_PASSWORD"]
    return Login("postgres", 5432, role, password, database)


def _programs() -> dict[str, str]:
    """Return the versions of the project and of the programs in the images, which come from one lock file."""
    packages = tomllib.loads(Path("uv.lock").read_text())["package"]
    return {package["name"]: package["version"] for package in packages if package["name"] in _PROGRAMS}


def _take(stack: Stack, folder: Path, at: datetime, with_keys: bool) -> None:
    keys = Keys(**{name: os.environ[variable] for name, variable in VARIABLES.items()}) if with_keys else None
    header = taking.header(stack.databases["penguins"], at, os.environ["PENGUINS_GIT_COMMIT"], _programs())
    taking.write(stack, sys.stdout.buffer, folder, header, keys, _report)
    sys.stdout.flush()


def _save(stack: Stack, folder: Path) -> None:
    login = stack.databases["penguins"]
    header = taking.header(login, datetime.now(UTC), os.environ["PENGUINS_GIT_COMMIT"], _programs())
    path = folder / name_at(header.at)
    taking.take(stack, path, header, None, _report)
    taking.note(login, header.at, path.stat().st_size, with_keys=False)
    print(path, flush=True)


def _unpacked(folder: Path, name: str) -> Unpacked:
    unpacked = unpacking.unpack_file(sys.stdin.buffer, name, folder)
    restoring.check_versions(name, unpacked.header, _programs())
    restoring.check(unpacked)
    return unpacked


def _show(unpacked: Unpacked) -> None:
    """Write what isn't restored by a container: keys, list of models and contract files."""
    keys, models = unpacked.path(KEYS), unpacked.path(MODELS)
    contracts = {Path(each.name).name: unpacked.path(each.name) for each in unpacked.manifest.below("contracts")}
    try:
        found = Keys.model_validate_json(keys.read_bytes()).model_dump() if keys.exists() else None
    except ValidationError as error:
        raise BackupError(f"{KEYS} has no keys: {error.errors(include_input=False)[0]['msg']}") from error
    shown = {
        "at": unpacked.header.at.isoformat(),
        "keys": found,
        "models": base64.b64encode(models.read_bytes()).decode() if models.exists() else None,
        "contracts": {name: base64.b64encode(path.read_bytes()).decode() for name, path in contracts.items()},
    }
    json.dump(shown, sys.stdout)


def _put(stack: Stack, unpacked: Unpacked) -> None:
    here = replace(stack, models=unpacked.folder / "models.there")  # the host's is written by the host
    restoring.put(unpacked, here, _login("postgres", "penguins"), _report)
    os.sync()


def _report(part: str, state: str) -> None:
    if state != "running":
        print(f"{part:<10} {state}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
