"""The end of a process that reads CSV. pyarrow releases the handler of invalid rows in a thread of its own."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from local.environment import library
from penguins import contracts
from penguins.data.handlers import TIMEOUT

HOLD_A_READER = f"""
import sys, threading, time
from pathlib import Path
from local.environment import library
from penguins import contracts
from penguins.data.formats import open_text

def hold(batches):
    time.sleep(0.5)
    del batches
    print("released", flush=True)

batches = open_text("penguins.csv", Path(sys.argv[1]), contracts.find("{contracts.DEFAULT}"), {{}})
threading.Thread(target=hold, args=[batches], daemon=True).start()
del batches
"""


@pytest.mark.programs
def test_the_process_ends_after_the_handler_of_rows_is_released(csv: Callable[[str], str]) -> None:
    path = csv("species,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g\nAdelie,39.1,18.7,181,3750\n")
    command = [sys.executable, "-c", HOLD_A_READER, path]
    variables = os.environ | library()
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=10 * TIMEOUT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "released\n", "")
