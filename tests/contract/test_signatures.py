"""Signatures of models: only what a trusted key has signed about this model counts."""

import json

import pytest

from contract.signatures import (
    MAX_TAG_LENGTH,
    SignatureError,
    SigningKey,
    Statement,
    UntrustedKeyError,
    key_id,
    parse_trusted_keys,
    signing_command,
    verify_signature,
)
from tests.keys import OTHER_PRIVATE

# The first test vector of RFC 8032.
PRIVATE = "ed25519-private-9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
PUBLIC = "ed25519-public-d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

KEY, OTHER = SigningKey(PRIVATE), SigningKey(OTHER_PRIVATE)
TRUSTED = parse_trusted_keys(PUBLIC)
DIGESTS = {"MLmodel": "0" * 64, "model.pkl": "1" * 64}
STATEMENT = Statement(kind="version", registered_model="penguins_rf", logged_model="m-1", digests=DIGESTS)
TAG = KEY.sign(STATEMENT)


def test_a_signed_statement_is_read() -> None:
    assert KEY.public == PUBLIC
    found = verify_signature(TAG, TRUSTED)
    assert found == STATEMENT
    found.check("version", "penguins_rf", "m-1")


def test_equal_statements_have_equal_tags() -> None:
    turned = {**STATEMENT.model_dump(), "digests": dict(reversed(DIGESTS.items()))}
    assert KEY.sign(Statement.model_validate(turned)) == TAG


def test_each_of_several_keys_is_trusted() -> None:
    both = parse_trusted_keys(f" {OTHER.public},\n{PUBLIC}, ")
    assert verify_signature(TAG, both) == verify_signature(OTHER.sign(STATEMENT), both) == STATEMENT


@pytest.mark.parametrize("trusted", ["", OTHER.public])
def test_a_key_that_is_not_trusted_is_named(trusted: str) -> None:
    with pytest.raises(UntrustedKeyError, match=f"names the key '{key_id(PUBLIC)}', which isn't trusted"):
        verify_signature(TAG, parse_trusted_keys(trusted))


NAME, SIGNATURE, TEXT = TAG.split(".", 2)
FORGED = {
    "other text": f"{NAME}.{SIGNATURE}.{TEXT.replace('penguins_rf', 'penguins_gb')}",
    "other digest": f"{NAME}.{SIGNATURE}.{TEXT.replace('1' * 64, '2' * 64)}",
    "a space more": f"{TAG} ",
    "of another key": f"{NAME}.{OTHER.sign(STATEMENT).split('.')[1]}.{TEXT}",
    "of another purpose": f"{NAME}.{KEY._key.sign(TEXT.encode()).hex()}.{TEXT}",
    "no signature": f"{NAME}..{TEXT}",
    "a short signature": f"{NAME}.{SIGNATURE[:-2]}.{TEXT}",
    "no hex": f"{NAME}.{'x' * 128}.{TEXT}",
    "capitals": f"{NAME}.{SIGNATURE.upper()}.{TEXT}",
    "blanks": f"{NAME}. {SIGNATURE}.{TEXT}",
    "no text": f"{NAME}.{SIGNATURE}.",
    "nothing else": NAME,
    "a surrogate": f"{NAME}.{SIGNATURE}.{TEXT}\ud800",
}


@pytest.mark.parametrize("tag", FORGED.values(), ids=FORGED)
def test_a_forged_tag_is_refused(tag: str) -> None:
    with pytest.raises(SignatureError, match="isn't a signature by the key that it names"):
        verify_signature(tag, TRUSTED)


@pytest.mark.parametrize("tag", ["", ".", "..", "no tag", '{"a": 1}', "\ud800"])
def test_a_tag_without_a_known_key_is_refused(tag: str) -> None:
    with pytest.raises(UntrustedKeyError):
        verify_signature(tag, TRUSTED)


def test_a_long_tag_is_refused_unread() -> None:
    with pytest.raises(SignatureError, match="is longer than 65536 characters"):
        verify_signature(TAG + " " * MAX_TAG_LENGTH, TRUSTED)


SIGNED_BUT_UNSOUND = [
    "[]",
    "no JSON",
    json.dumps({**STATEMENT.model_dump(), "kind": "anything"}),
    json.dumps({**STATEMENT.model_dump(), "more": 1}),
    json.dumps({**STATEMENT.model_dump(), "digests": {"../model.pkl": "0" * 64}}),
    json.dumps({**STATEMENT.model_dump(), "digests": {"model.pkl": "no digest"}}),
]


@pytest.mark.parametrize("text", SIGNED_BUT_UNSOUND)
def test_a_signed_text_of_another_form_is_refused(text: str) -> None:
    signature = KEY._key.sign(b"penguins: signature of a model, 1\n" + text.encode()).hex()
    with pytest.raises(SignatureError, match="isn't a signature"):
        verify_signature(f"{NAME}.{signature}.{text}", TRUSTED)


@pytest.mark.parametrize(
    "about",
    [
        ("candidate", "penguins_rf", "m-1"),
        ("version", "penguins_gb", "m-1"),
        ("version", "penguins_rf", "m-2"),
        ("version", "penguins_rf", None),
    ],
)
def test_a_signature_of_another_model_does_not_count(about: tuple[str, str, str | None]) -> None:
    with pytest.raises(SignatureError, match=r"was made for a version of penguins_rf \(m-1\), and this is a"):
        verify_signature(TAG, TRUSTED).check(*about)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "0" * 64, PUBLIC, PRIVATE[:-1], PRIVATE + "0", PRIVATE[:-1] + "x", f"{PRIVATE} "])
def test_a_text_that_is_no_private_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a private key is ed25519-private- and 64 hexadecimal digits"):
        SigningKey(text)


@pytest.mark.parametrize(
    ("text", "message"), [(f"{PUBLIC},x", "number 2 is none"), (PRIVATE, "number 1 is a private key, which nobody but")]
)
def test_a_text_that_is_no_public_key_is_refused_without_repeating_it(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        parse_trusted_keys(text)
    assert PRIVATE not in str(refused.value)


@pytest.mark.parametrize(("model", "quoted"), [("penguins_rf", "penguins_rf"), ("a b's $c", """'a b'"'"'s $c'""")])
def test_the_command_that_signs_names_the_model(model: str, quoted: str) -> None:
    assert signing_command(model, "3") == f"make sign VERSION=3 MODEL={quoted} (in containers make compose-sign)"
