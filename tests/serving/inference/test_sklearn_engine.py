"""Versions registered by hand are served through scikit-learn, if they are signed."""

import pickle
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.linear_model import RidgeClassifier

from serving.inference.contract import SklearnFlavor
from serving.inference.sklearn_engine import SklearnEngine
from serving.registry.refusals import RefusedError
from tests.serving.line import Line
from tests.serving.penguins import FEATURES
from tests.serving.publisher import Publisher, forest, known_contract, penguins
from tests.serving.service import PENGUIN, Service

Start = Callable[..., Service]

WITHOUT_SKLEARN = (
    sys.executable,
    "-c",
    "import sys; sys.modules['sklearn'] = None; sys.argv = ['serving']; from serving.__main__ import main; main()",
)


def test_version_registered_by_hand_is_served(publisher: Publisher, start: Start, line: Line) -> None:
    rows, labels = penguins(0)
    model = forest().fit(pd.DataFrame(rows, columns=list(FEATURES)), labels)
    version = publisher.publish_by_hand(model)
    publisher.promote(version)
    with start() as service:
        answer = service.serves(version).json()
        penguin = pd.DataFrame([PENGUIN])
        assert answer["prediction"] == model.predict(penguin).tolist()
        assert list(answer["probabilities"][0].values()) == pytest.approx(model.predict_proba(penguin)[0], abs=1e-6)
        assert service.status()["model"]["engine"] == "scikit-learn"
        assert "Warning" not in service.log
    line.cut()
    assert start().predict().json() == answer


def test_an_unsigned_model_is_refused_until_it_is_signed(publisher: Publisher, start: Start) -> None:
    version = publisher.publish_by_hand(forest(), signed=False)
    publisher.promote(version)
    service = start()
    refused = service.refuses(version)
    assert refused["code"] == "unsigned"
    command = f"make sign VERSION={version} MODEL={publisher.model_name} (in containers make compose-sign)"
    assert f"sign it: {command}" in refused["message"]
    publisher.sign(publisher.logged_model(version))
    service.serves(version)


def test_a_changed_pickle_is_refused(publisher: Publisher, start: Start) -> None:
    version = publisher.publish_by_hand(forest())
    model = publisher.logged_model(version)
    wrong = {"signature": publisher.signature("candidate", model, {"MLmodel": b"", "model.pkl": b""})}
    publisher.client.set_logged_model_tags(model, wrong)
    publisher.promote(version)
    assert start().refuses(version)["code"] == "digest_mismatch"


def test_version_without_a_contract_is_refused(publisher: Publisher, start: Start) -> None:
    version = publisher.publish_by_hand(forest(), metadata=False)
    publisher.promote(version)
    refused = start().refuses(version)
    assert refused["code"] == "contract_invalid"
    assert refused["message"].startswith("MLmodel: metadata")


def test_pickle_is_refused_without_sklearn(publisher: Publisher, start: Start) -> None:
    sound, by_hand = publisher.publish(forest()), publisher.publish_by_hand(forest())
    publisher.promote(sound)
    service = start(*WITHOUT_SKLEARN)
    service.serves(sound)
    publisher.promote(by_hand)
    refused = service.refuses(by_hand)
    assert refused["code"] == "sklearn_missing"
    assert "scikit-learn isn't installed" in refused["message"]


def flavor(**changes: str) -> SklearnFlavor:
    """Return the flavor of a sound model in MLmodel."""
    sound = {
        "pickled_model": "model.pkl",
        "serialization_format": "cloudpickle",
        "sklearn_version": sklearn.__version__,
    }
    return SklearnFlavor(**sound | changes)


def pickled(model: object) -> bytes:
    """Return a pickle of the model."""
    return pickle.dumps(model)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_model_fitted_with_column_names_predicts_as_scikit_learn() -> None:
    rows, labels = penguins(0)
    model = forest().fit(pd.DataFrame(rows, columns=list(FEATURES)), labels)
    found, probabilities = SklearnEngine(pickled(model), flavor(), known_contract()).predict(rows)
    assert found.dtype == np.int64
    frame = pd.DataFrame(rows, columns=list(FEATURES))
    np.testing.assert_array_equal(found, model.predict(frame))
    np.testing.assert_array_equal(probabilities, model.predict_proba(frame))


def other_columns() -> object:
    """Return a forest fitted with the columns in another order."""
    rows, labels = penguins(0)
    return forest().fit(pd.DataFrame(rows, columns=list(FEATURES)[::-1]), labels)


@pytest.mark.parametrize(
    ("content", "changes", "code", "text"),
    [
        (b"no pickle", {}, "model_unreadable", "can't be unpickled"),
        (b"", {"serialization_format": "skops"}, "model_unreadable", 'serialization_format="cloudpickle"'),
        (b"", {"sklearn_version": "1.0.0"}, "sklearn_version", "it was made by scikit-learn 1.0.0"),
        (pickled(42), {}, "signature_mismatch", "int has no predict_proba"),
        (pickled(RidgeClassifier().fit(*penguins(0))), {}, "signature_mismatch", "has no predict_proba"),
        (pickled(forest().fit(penguins(0)[0], penguins(0)[1] + 1)), {}, "signature_mismatch", "its classes are"),
        (pickled(forest().fit(penguins(0)[0][:, :3], penguins(0)[1])), {}, "signature_mismatch", "4 features"),
        (pickled(other_columns()), {}, "signature_mismatch", "fitted with the columns ['body_mass_g'"),
    ],
)
def test_unsuitable_model_is_refused(content: bytes, changes: dict[str, str], code: str, text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        SklearnEngine(content, flavor(**changes), known_contract())
    assert refused.value.code == code
    assert text in refused.value.message
