"""An example in the containers, from a file that they have never seen to an answer, without a restart."""

from examples.contracts import tables
from tests.compose.stack import ComposeStack
from tests.e2e.deployment import Deployment, Made
from tests.e2e.examples import example
from tests.e2e.test_contracts import check_answer


def test_a_new_table_is_trained_on_and_served(compose: ComposeStack, deployment: Deployment, made: Made) -> None:
    before = deployment.identity()
    tables.write(compose.data)
    (compose.contracts / "wine.yaml").write_text(example("wine"))
    output = compose.make("compose-run", CONTRACT="wine")
    assert f"curl {compose.url('API_PORT')}/models/wine/predict -H" in output
    check_answer(deployment, made, "wine", output)
    assert deployment.identity() == before
