"""Commands called in this process: one of their own would import for seconds what is imported here."""

import io
import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess

import pytest

from penguins.settings import settings
from penguins.training import tracking


def call(
    main: Callable[[], int], *arguments: str, variables: Mapping[str, str], answer: str = ""
) -> CompletedProcess[str]:
    """Call the `main` of a command line with arguments, variables of the environment, and lines for its input."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["command", *arguments])
        patch.setattr(sys, "stdin", io.StringIO(answer))
        for name, value in variables.items():
            patch.setenv(name, value)
        _forget()
        try:
            status = main()
        except SystemExit as end:  # argparse's, of a mistake in the arguments
            status = int(end.code or 0)
        finally:
            logging.disable(logging.NOTSET)
    _forget()
    return CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def _forget() -> None:
    """Forget what was read from other variables."""
    settings.cache_clear()
    tracking.client.cache_clear()
