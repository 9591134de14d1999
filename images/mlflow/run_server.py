"""Run `mlflow server` in one process, with the same options.

MLflow's own command starts uvicorn as a second process and then only waits for its end: both import all of MLflow,
which takes 4 s of a processor and 250 MB each.
"""

import gc
import os
import signal
import sys
from typing import NoReturn

import uvicorn  # MLflow protects its application only where uvicorn is imported before it


def main() -> None:
    """Run `mlflow server` with the arguments of this process."""
    gc.disable()  # a fifth of the time would go into looking for garbage among what is imported, and stays
    from mlflow import server
    from mlflow.cli import cli

    vars(server)["_exec_cmd"] = serve_here  # an MLflow without this name would start its second process again
    cli(["server", *sys.argv[1:]])


def serve_here(command: list[str], *, extra_env: dict[str, str], **_: object) -> NoReturn:
    """Run the command `python -m uvicorn OPTIONS` in this process, in place of another one."""
    os.environ.update(extra_env)
    # After a clean shutdown uvicorn raises the signal again, for the handlers that it replaced.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    gc.freeze()
    gc.enable()
    uvicorn.main(command[command.index("uvicorn") + 1 :])
    raise AssertionError("uvicorn ends the process")


if __name__ == "__main__":
    main()
