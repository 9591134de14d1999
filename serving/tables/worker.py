"""A worker: a forked process that answers one table and ends."""

import ctypes
import errno
import os
import signal
import socket

from serving.codecs.errors import InvalidError, TooManyRowsError
from serving.inference.model import LoadedModel
from serving.log.table import NoRoomError, TableRows
from serving.tables.answering import answer_table, warm_up
from serving.tables.limits import restrict, step_back
from serving.tables.messages import (
    MAX_MESSAGE_BYTES,
    Done,
    Ended,
    Job,
    NoRoom,
    NoSpace,
    Outcome,
    Reason,
    Refused,
    TooLarge,
    decode_job,
    encode,
)

BODY, ANSWER, CLIENT, LOG = range(4)
FIRST_FILE = 3
PR_SET_PDEATHSIG = 1
MAX_DETAIL = 1000


def fork_worker(model: LoadedModel) -> tuple[int, socket.socket]:
    """Fork a worker; return its process, and the socket for its job."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = os.fork()
    if process:
        theirs.close()
        return process, ours
    status = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        job = _only_file(theirs)
        step_back()
        warm_up(model)  # touches the pages that a table needs: they are copies from now on
        _work(job, model)
        status = 0
    finally:
        os._exit(status)


def _only_file(connection: socket.socket) -> socket.socket:
    """Close all other files of the launcher; what the libraries of a damaged worker print is of no use."""
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.dup2(1, 2)
    os.dup2(connection.detach(), FIRST_FILE)
    os.closerange(FIRST_FILE + 1, os.sysconf("SC_OPEN_MAX"))
    return socket.socket(fileno=FIRST_FILE)


def _work(connection: socket.socket, model: LoadedModel) -> None:
    message, files, _, _ = socket.recv_fds(connection, MAX_MESSAGE_BYTES, LOG + 1)
    if not message:
        return  # the launcher wants no more tables
    job = decode_job(message)
    restrict(job.limits)
    with socket.socket(fileno=files[CLIENT]) as client:
        client.send(encode(_outcome(job, model, files)))


def _outcome(job: Job, model: LoadedModel, files: list[int]) -> Outcome:
    try:
        with open(files[BODY], "rb") as body, open(files[ANSWER], "wb") as answer:  # noqa: PTH123 - not paths
            log = TableRows(model, job.log, files[LOG]) if job.log else None
            return Done(answer_table(model, job.media_type, body, answer, job.limits.rows, job.prediction_id, log))
    except NoRoomError as error:
        return NoRoom(error.needed, str(error))
    except InvalidError as error:
        return Refused(error.invalid.model_dump_json())
    except TooManyRowsError as error:
        return TooLarge(str(error))
    except MemoryError as error:
        return Ended(Reason.MEMORY, f"it needs too much memory: {error}"[:MAX_DETAIL])
    except OSError as error:
        if error.errno == errno.EFBIG:
            return TooLarge(f"the answer would have more than {job.limits.answer_bytes} bytes: send several tables")
        return NoSpace(str(error))
    except Exception as error:  # noqa: BLE001 - a damaged table may raise anything
        return Ended(Reason.FAILED, f"{type(error).__name__}: {error}"[:MAX_DETAIL])
