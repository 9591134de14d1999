import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]

# Packages that are too slow to import for parsing the file, which Airflow does every few seconds.
HEAVY = ("mlflow", "sklearn", "pandas", "pyarrow", "matplotlib", "psycopg", "onnxruntime", "apprise")
# Of these only small parts are left to each parse, or what the DAG processor imports for itself.
LEFT = {"airflow", "numpy", "croniter", "difflib", "encodings"}
CODE = """
import sys; import airflow.sdk
from importlib import import_module
before = set(sys.modules)
from run import LIBRARIES
for name in LIBRARIES: import_module(name)
at_the_fork = set(sys.modules)
import penguins_training, penguins_scoring, penguins_monitoring, penguins_housekeeping
print(*(at_the_fork - before)); print(*(set(sys.modules) - at_the_fork))
"""


@pytest.mark.programs
def test_parsing_the_dag_imports_nothing_heavy_beyond_airflow() -> None:
    paths = [str(REPO / folder) for folder in ("dags", "plugins", "images/airflow")]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}; {CODE}"],
        capture_output=True,
        text=True,
        check=True,
    )
    once, each_time = ({name.partition(".")[0] for name in line.split()} for line in done.stdout.splitlines())
    assert not (once | each_time) & set(HEAVY)
    # Our own code is as it is at each parse.
    assert not once & {"penguins", "contract"}
    files = {f"penguins_{name}" for name in ("training", "scoring", "monitoring", "housekeeping")}
    assert each_time - LEFT == {"penguins", "contract"} | files
