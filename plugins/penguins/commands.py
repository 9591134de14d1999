"""Running a command of `python -m penguins` and `python -m penguins.contracts`."""

import logging
import sys
from collections.abc import Callable

from pydantic import ValidationError

from contract.odcs import printable
from penguins.errors import UserError
from penguins.settings import Settings


def run_command(command: Callable[[], None]) -> int:
    """Run a command and return its exit status: 1 after an error of the user or an outage, which is printed."""
    logging.disable(logging.WARNING)  # the command prints its result itself
    try:
        command()
    except UserError as error:
        _complain(str(error))
    except ValidationError as error:
        if error.title != Settings.__name__:
            raise
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"]).upper()
            variable = name if name.startswith("MLFLOW_") else f"PENGUINS_{name}"
            _complain(f"{variable}={problem['input']}: {problem['msg']}")
    except Exception as error:
        from penguins.outages import describe_outage  # imports MLflow, which takes a second

        outage = describe_outage(error)
        if outage is None:
            raise
        _complain(outage)
    else:
        return 0
    return 1


def _complain(message: str) -> None:
    """Print an error with escapes for what a terminal would obey; parts of it may be from MLflow."""
    print("\n".join(map(printable, message.splitlines())), file=sys.stderr)
