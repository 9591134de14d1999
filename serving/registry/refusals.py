"""Refusals of model versions."""

from enum import StrEnum

from pydantic import ValidationError


class Code(StrEnum):
    """Reasons to refuse a version; the values are stable, for programs to read."""

    CACHE_CORRUPT = "cache_corrupt"
    CONTRACT_INVALID = "contract_invalid"
    DIGEST_MISMATCH = "digest_mismatch"
    EXAMPLE_MISMATCH = "example_mismatch"
    FILE_MISSING = "file_missing"
    FILE_TOO_LARGE = "file_too_large"
    MODEL_UNREADABLE = "model_unreadable"
    NOT_PROXIED = "not_proxied"
    NOT_VOUCHED_FOR = "not_vouched_for"
    OTHER_CONTRACT = "other_contract"
    SIGNATURE_MISMATCH = "signature_mismatch"
    SKLEARN_MISSING = "sklearn_missing"
    SKLEARN_VERSION = "sklearn_version"
    UNSIGNED = "unsigned"
    UNTRUSTED_KEY = "untrusted_key"
    WRONG_SIGNATURE = "wrong_signature"


class RefusedError(Exception):
    """A version must not be served, and another try at once wouldn't help."""

    def __init__(self, code: Code, message: str) -> None:
        self.code = code
        self.message = " ".join(message.split())  # the texts of YAML and ONNX Runtime have several lines
        super().__init__(self.message)


def first_problem(error: ValidationError) -> str:
    """Return the first problem that pydantic found, in one line, and the number of the others."""
    details = error.errors(include_url=False, include_context=False)
    place = ".".join(str(part) for part in details[0]["loc"])
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{place}: {details[0]['msg']}{more}" if place else f"{details[0]['msg']}{more}"
