"""The libraries of the tasks, imported: most of a task's start would go into them.

A task is a fork of a worker. Airflow's scheduler imports this module before it forks its workers, and so does a worker
of Celery. None of our own modules is among them, so that the next task runs the code as it then is.
"""

import importlib
from typing import Final

LIBRARIES: Final = (
    "airflow.dag_processing.dagbag",
    "airflow.providers.postgres.hooks.postgres",
    "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.operators.hitl",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "matplotlib.backends.backend_agg",
    "matplotlib.pyplot",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "onnxruntime",
    "palmerpenguins",
    "pandas",
    "psycopg.types.json",
    "pyarrow.csv",
    "pyarrow.parquet",
    "pydantic_settings",
    "scipy.stats",
    "skl2onnx",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.impute",
    "sklearn.inspection",
    "sklearn.linear_model",
    "yaml",
)

for _name in LIBRARIES:
    importlib.import_module(_name)
