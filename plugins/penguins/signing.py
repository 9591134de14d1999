"""Signatures of the pipeline: on the candidates that it logs and the versions that it registers.

Nothing of a model is opened before its signature is verified.
"""

from collections.abc import Mapping

from contract.signatures import (
    SIGNATURE,
    Kind,
    SignatureError,
    SigningKey,
    Statement,
    TrustedKeys,
    key_id,
    parse_trusted_keys,
    verify_signature,
)
from penguins.errors import UserError
from penguins.settings import settings


class UntrustedError(UserError):
    """A model isn't opened, because nobody trusted vouches for its files."""


def verify(kind: Kind, model: str, logged_model: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Return sha256 by path, as the tag `signature` vouches for them.

    Args:
        model: name of the registered model that it is meant for.
        tags: of a version or of a logged model; anybody may have written them.

    Raises:
        UntrustedError: there is no such tag, or it isn't that of a trusted key for this model.
        UserError: PENGUINS_TRUSTED_KEYS can't be used.
    """
    if SIGNATURE not in tags:
        raise UntrustedError(f"this {kind} has no tag `{SIGNATURE}`")
    try:
        statement = verify_signature(tags[SIGNATURE], _trusted_keys())
        statement.check(kind, model, logged_model)
    except SignatureError as error:
        raise UntrustedError(str(error)) from error
    return dict(statement.digests)


def signer() -> str:
    """Return the public half of the key that signs; candidates of another key may not be opened later.

    Raises:
        UserError: as `sign`.
    """
    return _signing_key().public


def sign(kind: Kind, model: str, logged_model: str, digests: Mapping[str, str]) -> str:
    """Return the tag `signature` for the files of a logged model, meant for the registered model `model`.

    Raises:
        UserError: there is no private key, or its signatures wouldn't be trusted.
    """
    statement = Statement(kind=kind, registered_model=model, logged_model=logged_model, digests=dict(digests))
    return _signing_key().sign(statement)


def _signing_key() -> SigningKey:
    text, trusted = settings().signing_key, _trusted_keys()
    if text is None or not text.get_secret_value():
        raise UserError(
            "PENGUINS_SIGNING_KEY isn't set, so nothing can be signed, and unsigned models aren't opened. The embedded "
            "stack and the containers give it to what trains and registers: docs/how-to/signatures.md."
        )
    try:
        key = SigningKey(text.get_secret_value())
    except ValueError as error:
        raise UserError(f"PENGUINS_SIGNING_KEY can't be used: {error}.") from None
    if key_id(key.public) not in trusted:
        raise UserError(
            f"PENGUINS_TRUSTED_KEYS hasn't the public half of PENGUINS_SIGNING_KEY, {key.public}: what is signed "
            "would be refused."
        )
    return key


def _trusted_keys() -> TrustedKeys:
    try:
        return parse_trusted_keys(settings().trusted_keys or "")
    except ValueError as error:
        raise UserError(f"PENGUINS_TRUSTED_KEYS can't be used: {error}.") from None
