"""Runtimes of a model. The usual one is ONNX Runtime."""

import os
from collections.abc import Mapping
from typing import Protocol

import onnxruntime as ort

from contract.manifest import Contract
from serving.inference.blocks import Labels, Probabilities, Rows, in_blocks
from serving.registry.refusals import Code, RefusedError

ONNX_ERRORS_ONLY = 3
PROVIDERS = ["CPUExecutionProvider"]
ASSIGNMENT = {"session.record_ep_graph_assignment_info": "1"}
ROW_BY_ROW = {"ArgMax", "Imputer", "TreeEnsembleClassifier"}
"""Operators that compute each row by itself."""


class Engine(Protocol):
    """A loaded model."""

    name: str

    def predict(self, rows: Rows) -> tuple[Labels, Probabilities]:
        """Return labels int64 [n] and probabilities [n, classes] for float32 rows [n, features].

        A row has the same answer, to the last bit, alone and among any others.
        """
        ...


class OnnxEngine:
    """ONNX Runtime, without importing scikit-learn or unpickling anything.

    One thread: it is the fastest for single rows, and with more of them the order in which the votes
    of the trees are summed varies, which flips labels at exact ties.
    """

    name = "onnxruntime"

    def __init__(self, content: bytes, contract: Contract) -> None:
        """Load the bytes of an ONNX file.

        Raises:
            RefusedError: ONNX Runtime can't load the file, or it hasn't the inputs and outputs of the contract.
        """
        try:
            self._session, operators = _session(content)
        except Exception as error:  # ONNX Runtime's exceptions have no base class of their own.
            raise RefusedError(Code.MODEL_UNREADABLE, f"ONNX Runtime can't load it: {error}") from error
        self._check_signature(len(contract.features), len(contract.classes))
        self._input = self._session.get_inputs()[0].name
        self._is_row_by_row = operators <= ROW_BY_ROW

    def predict(self, rows: Rows) -> tuple[Labels, Probabilities]:
        """See `Engine.predict`."""
        return self._run(rows) if self._is_row_by_row else in_blocks(self._run, rows)

    def _run(self, rows: Rows) -> tuple[Labels, Probabilities]:
        labels, probabilities = self._session.run(["label", "probabilities"], {self._input: rows})
        return labels, probabilities

    def _check_signature(self, features: int, classes: int) -> None:
        inputs = [(node.type, node.shape[1:]) for node in self._session.get_inputs()]
        if inputs != [("tensor(float)", [features])]:
            raise RefusedError(Code.SIGNATURE_MISMATCH, f"its input is {inputs}, expected one float32 [n, {features}]")
        outputs = {node.name: (node.type, node.shape[1:]) for node in self._session.get_outputs()}
        expected = {"label": ("tensor(int64)", []), "probabilities": ("tensor(float)", [classes])}
        if outputs != expected:
            raise RefusedError(Code.SIGNATURE_MISMATCH, f"its outputs are {outputs}, expected {expected}")


def _session(content: bytes) -> tuple[ort.InferenceSession, set[str]]:
    """Return a session for the bytes of an ONNX file, and the operators of its nodes."""
    try:
        return _compact(content)
    except Exception:  # noqa: BLE001 - ONNX Runtime can't write, as with a limit on the size of files, or can't read
        session = ort.InferenceSession(content, _options(ASSIGNMENT), PROVIDERS)
        return session, _operators(session)


def _compact(content: bytes) -> tuple[ort.InferenceSession, set[str]]:
    """Return what `_session` does, with a session that takes less memory.

    A session keeps all nodes of an ONNX file beside what it computes with (microsoft/onnxruntime#32047), and Python the
    bytes: four times the memory. So the file is converted to ONNX Runtime's own format first, from which it keeps none.
    """
    with open(os.memfd_create("model"), "wb") as file:  # noqa: PTH123 - not a path
        path = f"/proc/self/fd/{file.fileno()}"
        options = _options(ASSIGNMENT | {"session.save_model_format": "ORT"})
        options.optimized_model_filepath = path
        operators = _operators(ort.InferenceSession(content, options, PROVIDERS))
        return ort.InferenceSession(path, _options({"session.load_model_format": "ORT"}), PROVIDERS), operators


def _options(entries: Mapping[str, str]) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # keeps a megabyte and more in each session
    options.log_severity_level = ONNX_ERRORS_ONLY
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    return options


def _operators(session: ort.InferenceSession) -> set[str]:
    parts = session.get_provider_graph_assignment_info()
    return {node.op_type for part in parts for node in part.get_nodes()}
