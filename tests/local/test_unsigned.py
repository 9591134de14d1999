"""`make up` names a version in Production that no trusted key has signed."""

import pytest

from contract.signatures import SigningKey
from local import contracts
from local.clients.mlflow import Mlflow
from local.stack import Stack
from local.unsigned import unsigned_in_production
from tests.commands import command
from tests.serving.publisher import Publisher, forest


@pytest.fixture
def publisher(stack: Stack, request: pytest.FixtureRequest) -> Publisher:
    return Publisher(stack.urls["mlflow"], request.node.name, stack.config.credentials.signing_key)


def test_only_an_unsigned_version_is_named(stack: Stack, publisher: Publisher) -> None:
    mlflow, trusted = Mlflow(stack.urls["mlflow"]), stack.config.credentials.trusted_keys
    name = publisher.model_name
    assert unsigned_in_production(mlflow, f"no_{name}", trusted) is None
    assert unsigned_in_production(mlflow, name, trusted) is None
    publisher.promote(publisher.publish(forest()))
    assert unsigned_in_production(mlflow, name, trusted) is None
    named = unsigned_in_production(mlflow, name, SigningKey(SigningKey.generate()).public)
    assert named is not None
    assert named.startswith(
        f"{name} version 1 is in Production, and no trusted key has signed it: the tag `signature` names"
    )
    publisher.client.delete_model_version_tag(name, "1", "signature")
    named = unsigned_in_production(mlflow, name, trusted)
    assert named is not None
    assert "it has no signature" in named
    assert named.endswith(f": make sign VERSION=1 MODEL={name} (in containers make compose-sign).")


def test_a_version_registered_by_hand_counts_by_its_logged_model(stack: Stack, publisher: Publisher) -> None:
    mlflow, trusted = Mlflow(stack.urls["mlflow"]), stack.config.credentials.trusted_keys
    publisher.promote(publisher.publish_by_hand(forest(), signed=False))
    assert "it has no signature" in (unsigned_in_production(mlflow, publisher.model_name, trusted) or "")
    publisher.sign(publisher.logged_model("1"))
    assert unsigned_in_production(mlflow, publisher.model_name, trusted) is None


def test_up_reports_a_running_stack_and_names_an_unsigned_version_of_every_served_model(whole: Stack) -> None:
    publisher = Publisher(whole.urls["mlflow"], "never_signed", whole.config.credentials.signing_key)
    publisher.promote(version := publisher.publish(forest()))
    publisher.client.delete_model_version_tag("never_signed", version, "signature")
    models = whole.config.layout.serving_models
    before = models.read_text() if models.exists() else ""
    contracts.serve(whole.config, "never_signed")
    try:
        done = command(whole.config.settings, "up")
    finally:
        models.write_text(before)
    assert done.returncode == 0
    assert "running already" in done.stdout
    assert whole.config.credentials.airflow_password in done.stdout
    assert whole.urls["mlflow"] in done.stdout
    assert "never_signed version 1 is in Production, and no trusted key has signed it: it has no sig" in done.stderr
