"""Verify the signature of a version, before any of its files is downloaded."""

from contract.signatures import (
    SIGNATURE,
    Kind,
    SignatureError,
    TrustedKeys,
    UntrustedKeyError,
    signing_command,
    verify_signature,
)
from serving.inference.model import Release
from serving.registry.refusals import Code, RefusedError
from serving.registry.responses import ModelVersion


def signed_release(version: ModelVersion, signature: str, trusted: TrustedKeys) -> Release:
    """Return a version with the digests that its signature vouches for.

    Args:
        signature: tag of the version or, if it has none, of its logged model.

    Raises:
        RefusedError: the signature isn't that of a trusted key for this version.
    """
    kind: Kind = "version" if SIGNATURE in version.tags else "candidate"
    command = signing_command(version.name, version.version)
    remedy = f"Look at version {version.version} and sign it: {command}, or promote another one"
    try:
        statement = verify_signature(signature, trusted)
        statement.check(kind, version.name, version.logged_model_id)
    except UntrustedKeyError as error:
        hint = "" if trusted else " (SERVING_TRUSTED_KEYS is empty)"
        raise RefusedError(Code.UNTRUSTED_KEY, f"{error}{hint}. {remedy}") from error
    except SignatureError as error:
        raise RefusedError(Code.WRONG_SIGNATURE, f"{error}. {remedy}") from error
    return Release(version, statement.digests, signature)
