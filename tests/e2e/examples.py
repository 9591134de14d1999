"""The contracts of the examples, with a few small candidates."""

from datetime import timedelta

from local.settings import REPO

GRID = "grid: {n_estimators: [2, 4, 6, 8, 10], max_depth: [1, 2, 3, 4]}"
POOR = "grid: {n_estimators: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], max_depth: [1, 2], min_samples_leaf: [40]}"
QUOTA = 30
WINDOW = timedelta(days=31)
# For the tests of the monitoring: a model that is easy to beat, and versions that answer in its shadow first.
RULES = {"wine": (POOR, f"shadowPredictions: {QUOTA}")}


def example(name: str) -> str:
    """Return the contract of an example."""
    contract = (REPO / "examples" / "contracts" / f"{name}.yaml").read_text()
    assert "estimator: auto" in contract
    rules = "\n      ".join(["estimator: random_forest", *RULES.get(name, (GRID,))])
    window = f"  - property: monitoring\n    value:\n      window: {WINDOW.days}d\n"
    return contract.replace("estimator: auto", rules) + window
