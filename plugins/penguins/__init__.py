"""The pipeline's library: from a table of penguins to a model version in Production.

Only the package `airflow` needs Airflow. The other functions take a database connection or a dataset, and `dags/`
wires them together.
"""

from penguins.moved import forward

# Notebooks that users copied import these.
__getattr__ = forward(
    __name__,
    {
        "dataset": "penguins.data.dataset",
        "grid": "penguins.training.grid",
        "ingest": "penguins.data.ingest",
        "plots": "penguins.training.plots",
        "preprocessing": "penguins.data.preprocessing",
        "registration": "penguins.promotion.registration",
        "tracking": "penguins.training.tracking",
    },
)
