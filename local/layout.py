"""Where everything is inside the state directory."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Paths in one state directory."""

    state: Path

    @property
    def credentials(self) -> Path:
        return self.state / "credentials.json"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def postgres(self) -> Path:
        return self.state / "postgres"

    @property
    def s3(self) -> Path:
        return self.state / "s3"

    @property
    def airflow(self) -> Path:
        return self.state / "airflow"

    @property
    def airflow_passwords(self) -> Path:
        return self.airflow / "passwords.json"

    @property
    def serving_cache(self) -> Path:
        return self.state / "serving"

    @property
    def supervisor_conf(self) -> Path:
        return self.state / "supervisord.conf"

    @property
    def started_with(self) -> Path:
        """The settings with which the running stack was started."""
        return self.state / "started-with.json"

    @property
    def lock(self) -> Path:
        return self.state / "lock"

    @property
    def run(self) -> Path:
        """A link to a short directory for sockets: the path of a Unix socket has 107 characters at most."""
        return self.state / "run"

    @property
    def socket(self) -> Path:
        return Path(os.path.realpath(self.run)) / "supervisor.sock"

    def log(self, program: str) -> Path:
        return self.logs / f"{program}.log"

    def done(self, program: str) -> Path:
        """Holds the version for which the program, one that is run once per version, has run."""
        return self.state / f"{program}.done"

    def create(self) -> None:
        """Create what is missing; nobody but the owner can enter the state directory."""
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.state.chmod(0o700)
        for directory in (self.logs, self.s3, self.s3 / "master", self.airflow, self.serving_cache):
            directory.mkdir(exist_ok=True)

    def create_run(self) -> None:
        """Create the directory for sockets, also where a reboot emptied the temporary directory."""
        if not self.run.exists():
            self.run.unlink(missing_ok=True)
            self.run.symlink_to(tempfile.mkdtemp(prefix="penguins-"))

    def remove_run(self) -> None:
        """Delete the directory for sockets; only while nothing runs."""
        if self.run.exists():
            shutil.rmtree(self.run.resolve())
        self.run.unlink(missing_ok=True)
