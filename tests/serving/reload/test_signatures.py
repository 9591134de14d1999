"""Only versions that a trusted key has signed are opened."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sklearn
import yaml  # type: ignore[import-untyped]

from contract.signatures import key_id
from tests import keys
from tests.attacker import Attacker, code
from tests.serving.penguins import SPECIES
from tests.serving.publisher import Publisher, digests, features, forest, inference_files
from tests.serving.service import PENGUIN, Service

Start = Callable[..., Service]

# A sound one, so that the service would go on to unpickle the model.
MLMODEL = yaml.safe_dump(
    {
        "flavors": {
            "sklearn": {
                "pickled_model": "model.pkl",
                "serialization_format": "cloudpickle",
                "sklearn_version": sklearn.__version__,
            }
        },
        "metadata": {"contract": {"features": features(), "species": SPECIES}},
    }
).encode()


@pytest.fixture
def attacker(mlflow_url: str) -> Attacker:
    return Attacker(mlflow_url)


def serving(publisher: Publisher, start: Start, **settings: object) -> tuple[Service, str]:
    """Start a service with a signed version in Production; return both."""
    publisher.promote(version := publisher.publish(forest()))
    service = start(**settings)
    service.serves(version)
    return service, version


def test_a_pickle_uploaded_over_http_is_not_opened(
    publisher: Publisher, start: Start, attacker: Attacker, tmp_path: Path
) -> None:
    service, sound = serving(publisher, start)
    marker = tmp_path / "code ran"
    files = {"MLmodel": MLMODEL, "model.pkl": code(marker)}
    model_id = attacker.logged_model(publisher.experiment, files, {})
    version = attacker.version(publisher.model_name, model_id, {"digests": json.dumps(digests(files))})
    attacker.promote(publisher.model_name, version)
    refused = service.refuses(version)
    assert refused["code"] == "unsigned"
    assert service.predict().json()["model_version"] == sound
    assert not marker.exists()
    # the same files with a signature are opened: nothing else stands between
    publisher.client.set_logged_model_tags(model_id, {"signature": publisher.signature("candidate", model_id, files)})
    while service.status()["refused"]["code"] == "unsigned":
        service.polled("refused")
    assert service.status()["refused"]["code"] == "signature_mismatch"
    assert marker.exists()


def test_signatures_of_other_models_do_not_count(publisher: Publisher, start: Start, attacker: Attacker) -> None:
    service, sound = serving(publisher, start)
    model_id = publisher.logged_model(publisher.publish_by_hand(forest(1)))
    signed = publisher.client.get_logged_model(model_id).tags["signature"]
    files = inference_files(forest(2))

    def refused(tags: dict[str, str]) -> str:
        version = attacker.version(publisher.model_name, attacker.logged_model(publisher.experiment, files, {}), tags)
        attacker.promote(publisher.model_name, version)
        return str(service.refuses(version)["code"])

    first = publisher.client.get_model_version(publisher.model_name, sound).tags["signature"]
    assert refused({"signature": first}) == "wrong_signature"
    assert refused({"signature": signed}) == "wrong_signature"
    assert refused({"signature": "x" * 70_000}) == "wrong_signature"
    assert refused({"signature": "no signature"}) == "untrusted_key"
    of_other_model = keys.signature("version", "penguins_gb", None, digests(files))
    assert refused({"signature": of_other_model}) == "wrong_signature"
    of_other_key = keys.signature("version", publisher.model_name, None, digests(files), keys.OTHER_PRIVATE)
    assert refused({"signature": of_other_key}) == "untrusted_key"
    assert service.predict().json()["model_version"] == sound


def test_a_signature_moved_to_other_files_is_refused(publisher: Publisher, start: Start) -> None:
    service, sound = serving(publisher, start)
    signed = publisher.client.get_model_version(publisher.model_name, sound).tags["signature"]
    other = publisher.publish(forest(1), tags={"signature": signed})
    publisher.promote(other)
    assert service.refuses(other)["code"] == "digest_mismatch"


def test_a_candidate_of_another_registered_model_is_refused(
    publisher: Publisher, start: Start, mlflow_url: str
) -> None:
    service, _ = serving(publisher, start)
    other = Publisher(mlflow_url, f"{publisher.model_name}_other")
    model_id = other.logged_model(other.publish_by_hand(forest(1)))
    version = Attacker(mlflow_url).version(publisher.model_name, model_id, {})
    publisher.promote(version)
    refused = service.refuses(version)
    assert refused["code"] == "wrong_signature"
    assert f"was made for a candidate of {other.model_name} ({model_id})" in refused["message"]


def test_versions_of_both_keys_are_served_during_a_rotation(publisher: Publisher, start: Start) -> None:
    both = f"{keys.OTHER_PUBLIC},{keys.PUBLIC}"
    service, _ = serving(publisher, start, SERVING_TRUSTED_KEYS=both)
    assert service.status()["model"]["signed_by"] == key_id(keys.PUBLIC)
    publisher.key = keys.OTHER_PRIVATE
    publisher.promote(version := publisher.publish(forest(1)))
    service.serves(version)
    assert service.status()["model"]["signed_by"] == key_id(keys.OTHER_PUBLIC)


def test_without_trusted_keys_every_version_is_refused(publisher: Publisher, start: Start) -> None:
    publisher.promote(version := publisher.publish(forest()))
    refused = start(SERVING_TRUSTED_KEYS="").refuses(version)
    assert refused["code"] == "untrusted_key"
    assert "SERVING_TRUSTED_KEYS is empty" in refused["message"]


def test_a_copy_from_before_signatures_is_served_on_until_it_is_signed(
    publisher: Publisher, start: Start, tmp_path: Path
) -> None:
    version = publisher.publish(forest())
    publisher.promote(version)
    with start() as service:
        answer = service.serves(version).json()
    signature = publisher.client.get_model_version(publisher.model_name, version).tags["signature"]
    publisher.client.delete_model_version_tag(publisher.model_name, version, "signature")
    saved = next((tmp_path / "cache").glob("*/*/release.json"))
    content = json.loads(saved.read_text())
    del content["signature"], content["version"]["tags"]["signature"]
    saved.write_text(json.dumps(content))
    service = start()
    service.polled("up_to_date")
    assert service.predict(PENGUIN).json() == answer
    assert (service.status()["model"]["signed_by"], service.status()["refused"]) == (None, None)
    assert f"cache.unsigned version={version}" in service.log
    publisher.client.set_model_version_tag(publisher.model_name, version, "signature", signature)
    while service.status()["model"]["signed_by"] is None:
        service.polled("up_to_date")
    assert service.predict(PENGUIN).json() == answer
