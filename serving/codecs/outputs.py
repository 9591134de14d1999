"""Answers of the Open Inference Protocol: tensors in JSON, or in the binary extension behind it."""

from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from contract.manifest import Contract
from serving.codecs.base import Prediction, Predictions
from serving.codecs.tensors import BYTES

LABELS: Final = "prediction"
PROBABILITIES: Final = "probabilities"
ANY_NUMBER: Final = -1

_encode = msgspec.json.Encoder().encode


class Wanted(NamedTuple):
    """The form of the answer that a request wants.

    Attributes:
        outputs: name → whether in the binary extension.
    """

    request_id: str | None
    outputs: dict[str, bool]


Written = tuple[bytes, bytes | None]
"""An answer in JSON, and the binary tensors behind it; None for none."""


class Outputs:
    """The outputs of one model version: labels, names of the classes, and probabilities in the classes' order."""

    def __init__(self, contract: Contract, name: str, version: str) -> None:
        """Take the contract, and the name and the version of the registered model."""
        self._classes = contract.classes
        self._name, self._version = name, version
        self.names = (LABELS, contract.answer_key, PROBABILITIES)

    @property
    def described(self) -> list[dict[str, Any]]:
        """Return the description of the outputs."""
        shapes = ([ANY_NUMBER], [ANY_NUMBER], [ANY_NUMBER, len(self._classes)])
        kinds = zip(self.names, ("INT64", BYTES, "FP64"), shapes, strict=True)
        return [{"name": name, "datatype": datatype, "shape": shape} for name, datatype, shape in kinds]

    def write(self, answer: Prediction | Predictions, wanted: Wanted) -> Written:
        """Write the outputs that a request wants."""
        if isinstance(answer, Prediction):
            labels, probabilities = np.array([answer.label]), np.array([answer.probabilities])
        else:
            labels, probabilities = answer.labels, answer.probabilities
        outputs, tail = [], b""
        for name, is_binary in wanted.outputs.items():
            output, content = self._output(name, labels, probabilities, is_binary)
            outputs.append(output)
            tail += content
        head: dict[str, Any] = {"model_name": self._name, "model_version": self._version}
        if wanted.request_id:
            head["id"] = wanted.request_id
        return _encode(head | {"outputs": outputs}), tail if any(wanted.outputs.values()) else None

    def _output(self, name: str, labels: Any, probabilities: Any, is_binary: bool) -> tuple[dict[str, Any], bytes]:
        """Return an output in JSON, and its binary part."""
        kind: dict[str, Any] = {"name": name}
        if name == LABELS:
            kind |= {"datatype": "INT64", "shape": [len(labels)]}
            data, raw = labels, labels.astype("<i8")
        elif name == PROBABILITIES:
            kind |= {"datatype": "FP64", "shape": [len(labels), len(self._classes)]}
            data, raw = probabilities.ravel(), probabilities.astype("<f8")
        else:
            kind |= {"datatype": BYTES, "shape": [len(labels)]}
            texts = [self._classes[label] for label in labels.tolist()]
            if not is_binary:
                return kind | {"data": texts}, b""
            encoded = [text.encode() for text in texts]
            content = b"".join([len(text).to_bytes(4, "little") + text for text in encoded])
            return kind | {"parameters": {"binary_data_size": len(content)}}, content
        if not is_binary:
            return kind | {"data": data.tolist()}, b""
        content = raw.tobytes()
        return kind | {"parameters": {"binary_data_size": len(content)}}, content
