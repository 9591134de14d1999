"""`make compose-backup`: one archive of the stack in containers, made while it works.

A container of the service `backup` reads databases, S3 and the prediction log, and writes the archive to its stdout. So
it needs no right to a folder of this machine, and the file belongs to who runs the command.
"""

import os
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from backup.errors import BackupError
from backup.files import remove_partial, writing
from backup.keyfile import VARIABLES
from backup.schedule import name_at
from ops import dotenv
from ops.docker import Compose, DockerError
from ops.env import REPO

_USER = 1000  # of the image
SERVICE = "backup"
NEEDED = {"postgres", "minio"}
"""Services that keep what is in a backup."""


def main(env_file: Path, to: str, with_keys: bool) -> int:
    """Make a backup, print its path, and return the exit status: 1 after an error, which is printed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        variables = dotenv.parse(env_file.read_text())
        path = back_up(Compose(env_file), folder_of(variables, to), variables, with_keys)
    except (OSError, BackupError, DockerError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\n{path} ({path.stat().st_size / 1e6:,.1f} MB)")
    if not with_keys:
        print(f"The keys aren't in it: keep a copy of {env_file} in another place, or make it with KEYS=1.")
    return 0


def folder_of(variables: Mapping[str, str], to: str) -> Path:
    """Return the folder of the archive."""
    if to:
        return Path(to).absolute()
    return REPO / (os.environ.get("PENGUINS_BACKUP_DIR") or variables.get("PENGUINS_BACKUP_DIR") or "backups")


def make_folder(folder: Path) -> None:
    """Make the folder that the service `backup-schedule` writes to."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(folder, _USER, _USER)


def back_up(compose: Compose, folder: Path, variables: Mapping[str, str], with_keys: bool) -> Path:
    """Make a backup in a folder, and return its path.

    Raises:
        BackupError: the stack isn't up.
        DockerError: a part of the stack can't be read.
        OSError: the folder can't be written; nothing is left in it.
    """
    running = {each["Service"] for each in compose.containers() if each["State"] == "running"}
    if missing := NEEDED - running:
        raise BackupError(f"a backup needs the stack up, and {' and '.join(sorted(missing))} isn't: make compose-up")
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial(folder)
    build(compose, SERVICE)
    at = datetime.now(UTC)
    path = folder / name_at(at)
    keys = {variable: variables[variable] for variable in VARIABLES.values()} if with_keys else {}
    told = (f"--at={at.isoformat()}", *(["--keys"] if with_keys else []))
    with writing(path) as file:
        compose.attach(*container(*keys), "take", *told, stdout=file, variables=keys)
    compose.attach(*container(), "note", f"--bytes={path.stat().st_size}", *told)
    return path


def build(compose: Compose, *services: str) -> None:
    """Build images. Raises DockerError."""
    compose.attach("--profile", SERVICE, "build", "--quiet", *services)


def container(*variables: str) -> tuple[str, ...]:
    """Return the arguments that run a container of the service, with these variables of the environment as well."""
    given = (option for name in variables for option in ("--env", name))
    return "--profile", SERVICE, "run", "--rm", "--no-deps", "--no-TTY", *given, SERVICE
