"""The penguins' contract, which other contracts don't need."""

import subprocess
import sys

import pytest

# Imports the modules of the room, and works with another contract, while the file of the penguins can't be read.
CODE = """
from pathlib import Path
from penguins import contracts
from penguins.errors import UserError

def read(*arguments):
    raise UserError("the file is broken")

contracts.read = read
from penguins.data import checking, dataset, ingest, preprocessing
from tests.penguins.data.contracts import made
from contract.schema import Column

try:
    dataset.split(None, 0.2, 42)
except UserError as error:
    print(error)
path = Path("fruit.csv")
path.write_text("kind,size\\nApple,1\\nPear,2\\n")
print(checking.check_source("fruit.csv", made(Column(name="size", type="number"))).used)
"""


@pytest.mark.programs
def test_a_broken_contract_of_the_penguins_harms_no_other(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("the file is broken\n2\n", "")
