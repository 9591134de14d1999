import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]

# Packages that are too slow to import for parsing the file, which Airflow does every few seconds.
HEAVY = ("mlflow", "sklearn", "pandas", "pyarrow", "matplotlib", "psycopg", "onnxruntime", "apprise")


@pytest.mark.programs
def test_parsing_the_dag_imports_nothing_heavy_beyond_airflow() -> None:
    code = (
        "import sys; import airflow.sdk; before = set(sys.modules); "
        "import penguins_training, penguins_scoring, penguins_monitoring; print(*(set(sys.modules) - before))"
    )
    paths = [str(REPO / "dags"), str(REPO / "plugins")]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert "penguins" in imported
    assert not imported & set(HEAVY)
