"""Two pairs of keys for tests, and signatures by them."""

from collections.abc import Mapping

from contract.signatures import Kind, SigningKey, Statement

PRIVATE = "ed25519-private-" + "07" * 32
PUBLIC = SigningKey(PRIVATE).public
OTHER_PRIVATE = "ed25519-private-" + "08" * 32
OTHER_PUBLIC = SigningKey(OTHER_PRIVATE).public


def signature(
    kind: Kind, registered_model: str, logged_model: str | None, digests: Mapping[str, str], private: str = PRIVATE
) -> str:
    """Return the tag `signature` for any digests, sound or not."""
    names = {"kind": kind, "registered_model": registered_model, "logged_model": logged_model}
    return SigningKey(private).sign(Statement.model_construct(digests=dict(digests), **names))
