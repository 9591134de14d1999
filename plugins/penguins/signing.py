"""Signatures by the pipeline: on the candidates that it logs and the versions that it registers."""

from collections.abc import Mapping

from contract.signatures import Kind, SigningKey, Statement, key_id, parse_trusted_keys
from penguins.errors import UserError
from penguins.settings import settings


def sign(kind: Kind, logged_model: str, digests: Mapping[str, str]) -> str:
    """Return the tag `signature` for the files of a logged model, meant for our registered model.

    Raises:
        UserError: there is no private key, or its signatures wouldn't be trusted.
    """
    statement = Statement(
        kind=kind, registered_model=settings().model_name, logged_model=logged_model, digests=dict(digests)
    )
    return _signing_key().sign(statement)


def _signing_key() -> SigningKey:
    text = settings().signing_key
    if text is None or not text.get_secret_value():
        raise UserError(
            "PENGUINS_SIGNING_KEY isn't set, so nothing can be signed, and unsigned models aren't opened. The embedded "
            "stack and the containers give it to what trains and registers: docs/how-to/signatures.md."
        )
    try:
        key = SigningKey(text.get_secret_value())
        trusted = parse_trusted_keys(settings().trusted_keys or "")
    except ValueError as error:
        raise UserError(f"PENGUINS_SIGNING_KEY or PENGUINS_TRUSTED_KEYS can't be used: {error}") from None
    if key_id(key.public) not in trusted:
        raise UserError(
            f"PENGUINS_TRUSTED_KEYS hasn't the public half of PENGUINS_SIGNING_KEY, {key.public}: what is signed "
            "would be refused."
        )
    return key
