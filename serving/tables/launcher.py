"""Fork the workers of one model version: `python -m serving.tables.launcher SOCKET MODEL`, two open files.

The launcher has one thread of its own and never reads a table. A fork takes some milliseconds, a start 300. It ends
when the service closes the socket.
"""

import gc
import pickle
import signal
import socket
import sys

from serving.inference.model import load
from serving.tables.answering import warm_up
from serving.tables.watch import Watch


def main() -> None:
    """Load the model, then fork workers until the service closes its socket."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them to the whole group: the service decides
    service, content = map(int, sys.argv[1:])
    with open(content, "rb") as file:  # noqa: PTH123 - not a path
        model = load(*pickle.load(file))  # noqa: S301 - from the service
    warm_up(model)  # imports and initialises what each worker would for its table
    gc.collect()
    gc.freeze()  # the collector of a worker would copy all pages that it visits
    Watch(socket.socket(fileno=service), model).run()


if __name__ == "__main__":
    main()
