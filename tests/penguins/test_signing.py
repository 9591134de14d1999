"""Signatures by the pipeline, with its keys from the settings."""

from collections.abc import Callable, Iterator

import pytest

from contract.signatures import parse_trusted_keys, verify_signature
from penguins import signing
from penguins.errors import UserError
from penguins.settings import settings
from tests.keys import OTHER_PUBLIC, PRIVATE, PUBLIC
from tests.penguins import ours

Set = Callable[[str, str], None]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[Set]:
    """Set the private key and the trusted ones."""

    def set_keys(private: str, trusted: str) -> None:
        monkeypatch.setenv("PENGUINS_SIGNING_KEY", private)
        monkeypatch.setenv("PENGUINS_TRUSTED_KEYS", trusted)
        monkeypatch.setenv("PENGUINS_MODEL_NAME", "ours")
        settings.cache_clear()

    yield set_keys
    settings.cache_clear()


def test_a_signature_is_about_our_registered_model(keys: Set) -> None:
    keys(PRIVATE, f"{OTHER_PUBLIC},{PUBLIC}")
    signed = verify_signature(
        signing.sign("candidate", ours.model(), "m-1", {"a": "0" * 64}), parse_trusted_keys(PUBLIC)
    )
    signed.check("candidate", "ours", "m-1")
    assert signing.signer() == PUBLIC
    assert signed.digests == {"a": "0" * 64}
    assert PRIVATE not in repr(settings())


@pytest.mark.parametrize(
    ("private", "trusted", "message"),
    [
        ("", PUBLIC, "PENGUINS_SIGNING_KEY isn't set, so nothing can be signed"),
        ("no key", PUBLIC, "can't be used: a private key is ed25519-private- and"),
        (PRIVATE, "no key", "can't be used: a public key is ed25519-public- and"),
        (PRIVATE, PRIVATE, "number 1 is a private key"),
        (PRIVATE, OTHER_PUBLIC, f"hasn't the public half of PENGUINS_SIGNING_KEY, {PUBLIC}"),
    ],
)
def test_keys_that_cannot_be_used_are_reported_without_the_private_one(
    keys: Set, private: str, trusted: str, message: str
) -> None:
    keys(private, trusted)
    with pytest.raises(UserError, match=message) as refused:
        signing.sign("candidate", ours.model(), "m-1", {})
    assert PRIVATE not in str(refused.value)
