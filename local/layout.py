"""Paths inside the state directory."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

from local.errors import StackError


class Layout:
    """Paths in one state directory."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.credentials = state / "credentials.json"
        self.logs = state / "logs"
        self.postgres = state / "postgres"
        self.s3 = state / "s3"
        self.s3_master = self.s3 / "master"
        self.s3_ports = state / "s3-ports.json"
        self.s3_certificate = state / "s3-certificate.pem"
        self.s3_key = state / "s3-key.pem"
        self.airflow = state / "airflow"
        self.airflow_passwords = self.airflow / "passwords.json"
        self.serving_cache = state / "serving"
        self.serving_models = state / "models.txt"
        """File with the registered models that the prediction service serves, one a line."""
        self.serving_tables = self.serving_cache / "tmp"
        self.prediction_log = state / "prediction-log"
        """Folder through which predictions go from the service to the shipper."""
        self.jupyter = state / "jupyter"
        self.supervisor_conf = state / "supervisord.conf"
        self.started_with = state / "started-with.json"
        """File with the settings of the running stack."""
        self.version = state / "version"
        """File with the version that started the state last, and the one before until it is upgraded."""
        self.lock = state / "lock"
        self.run = state / "run"
        """A link to a directory for sockets with a short path: the path of a Unix socket has at most 107 characters."""

    @property
    def socket(self) -> Path:
        """Socket of supervisord; only while the directory behind `run` exists."""
        return (self._own_run() or self.state) / "supervisor.sock"

    def log(self, program: str) -> Path:
        """Return the path of a program's log file."""
        return self.logs / f"{program}.log"

    def done(self, program: str) -> Path:
        """Return the path of the file with the version that a once-per-version program was last run for."""
        return self.state / f"{program}.done"

    def create(self) -> None:
        """Create missing directories; only the owner can enter the state directory.

        Raises StackError for a directory with other files in it: `clean` would delete them.
        """
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.lock.exists() and any(self.state.iterdir()):
            raise StackError(f"{self.state} has other files in it; choose another directory with PENGUINS_STATE_DIR")
        self.lock.touch()
        self.state.chmod(0o700)
        serving = (self.serving_cache, self.serving_tables, self.prediction_log)
        for directory in (self.logs, self.s3, self.s3_master, self.airflow, *serving, self.jupyter):
            directory.mkdir(exist_ok=True)

    def create_run(self) -> None:
        """Create the directory for sockets, also after a reboot that emptied the temporary directory."""
        if self._own_run() is None:
            self.run.unlink(missing_ok=True)
            self.run.symlink_to(tempfile.mkdtemp(prefix="penguins-"))

    def remove_run(self) -> None:
        """Delete the directory for sockets; only while no program runs."""
        if (directory := self._own_run()) is not None:
            shutil.rmtree(directory)
        self.run.unlink(missing_ok=True)

    def _own_run(self) -> Path | None:
        """Return the directory behind `run`, unless it is gone or another user's.

        In the temporary directory everybody can put a directory or a link at the place of one that was cleared away.
        """
        try:
            directory = self.run.readlink()
            found = directory.lstat()
        except OSError:
            return None
        return directory if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() else None
