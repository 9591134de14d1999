"""The launcher as the service sees it: a process, and the socket for its jobs."""

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Sequence

from serving.inference.model import LoadedModel
from serving.settings import without_secrets
from serving.tables.messages import Job, encode

LAUNCHER = "serving.tables.launcher"
ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
"""A fork has none of the threads that libraries start in the launcher."""


class Launcher:
    """A running launcher, for one model."""

    def __init__(self, model: LoadedModel) -> None:
        """Start the process; it forks its first worker some 300 ms later, and jobs wait until then.

        Raises:
            OSError: the process can't be started.
        """
        self.engine = model.engine
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        content = os.memfd_create("model")
        with theirs, open(content, "wb") as file:  # noqa: PTH123 - not a path
            pickle.dump((model.release, model.files, model.origin), file)
            file.flush()
            os.lseek(content, 0, os.SEEK_SET)
            self._process = subprocess.Popen(
                [sys.executable, "-m", LAUNCHER, str(theirs.fileno()), str(content)],
                env=without_secrets() | ONE_THREAD,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), content),
            )

    @property
    def is_running(self) -> bool:
        """Return whether the process has not ended."""
        return self._process.poll() is None

    def give(self, job: Job, files: Sequence[int]) -> None:
        """Send a job with its files.

        Raises:
            OSError: the launcher has ended.
        """
        socket.send_fds(self._socket, [encode(job)], files)

    def close(self) -> None:
        """Let the process end once no worker is busy."""
        self._socket.close()

    def kill(self) -> None:
        """End the process and its workers."""
        self.close()
        self._process.kill()
        self._process.wait()
