"""The examples, from a file that the stack has never seen to an answer, without a restart."""

import json
from collections.abc import Callable

import pytest

from examples.contracts import tables
from local.stack import Stack
from tests.e2e.deployment import PENGUIN, Deployment, Made

ROWS = {"wine": 178, "breast_cancer": 569, "penguins_mixed": 344}


def check_answer(deployment: Deployment, made: Made, name: str, output: str) -> None:
    """Check the table of an example, the answer at the end of an output, and that the penguins are as before."""
    answer = json.loads(output[output.index("\n{") : output.index("\n}") + 2])
    (best,) = answer[tables.TARGETS[name]]
    assert answer["model_version"] == "1"
    assert answer["probabilities"][0][best] == max(answer["probabilities"][0].values())
    assert deployment.query(f"SELECT count(*) FROM {name}_raw") == [(ROWS[name],)]  # noqa: S608
    # The penguins have their model and their DAG still.
    assert deployment.service.predict(PENGUIN)["species"] == made.answer["species"]
    assert deployment.airflow.has_dag("penguins_training")
    assert deployment.query("SELECT count(*) FROM penguins_raw") == [(344,)]


@pytest.mark.parametrize("name", tables.TARGETS)
def test_a_new_table_is_trained_on_and_served(
    whole: Stack, deployment: Deployment, made: Made, trained: Callable[[str], str], name: str
) -> None:
    output = trained(name)
    assert "20 candidates" in output
    assert f"curl {whole.urls['api']}/models/{name}/predict -H" in output
    check_answer(deployment, made, name, output)
