"""Signatures of models: the tag `signature` of a logged model and of a version.

The value is `<key>.<signature>.<statement>`: the first 16 digits of the public key, an Ed25519 signature in hex, and
the signed statement as JSON. Anybody may write such a tag, so nothing in it is read before the signature is verified.
"""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AfterValidator, BaseModel, ConfigDict

from contract.digests import check_digests

SIGNATURE: Final = "signature"
"""Tag of a logged model and of a version."""

MAX_TAG_LENGTH: Final = 65_536

PRIVATE_PREFIX: Final = "ed25519-private-"
PUBLIC_PREFIX: Final = "ed25519-public-"

Kind = Literal["candidate", "version"]
TrustedKeys = Mapping[str, Ed25519PublicKey]
"""Public keys by their first 16 digits."""

_SIGNATURE_DIGITS: Final = re.compile(r"[0-9a-f]{128}")
# Keeps a signature from counting for anything else that is signed with the same key.
_PURPOSE: Final = b"penguins: signature of a model, 1\n"


class SignatureError(Exception):
    """A tag `signature` isn't that of a trusted key, or is about something else."""


class UntrustedKeyError(SignatureError):
    """The key that a tag names isn't trusted."""


class Statement(BaseModel):
    """A signed claim: these files were logged as a candidate, or registered as a version.

    Attributes:
        registered_model: name of the registered model that they are meant for.
        logged_model: id of the logged model in MLflow; None for a version that was registered from files.
        digests: sha256 of every file, by its path in the artifact folder.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    kind: Kind
    registered_model: str
    logged_model: str | None
    digests: Annotated[Mapping[str, str], AfterValidator(check_digests)]

    def check(self, kind: Kind, registered_model: str, logged_model: str | None) -> None:
        """Check that the statement is about this model.

        Raises:
            SignatureError: it is about another one.
        """
        found = (self.kind, self.registered_model, self.logged_model)
        if found != (kind, registered_model, logged_model):
            raise SignatureError(
                f"the tag `{SIGNATURE}` was made for a {self.kind} of {self.registered_model} "
                f"({self.logged_model or 'from files'}), and this is a {kind} of {registered_model} "
                f"({logged_model or 'from files'})"
            )


class SigningKey:
    """A private key."""

    def __init__(self, text: str) -> None:
        """Read the key.

        Raises:
            ValueError: the text isn't a private key.
        """
        seed = _key_bytes(text, PRIVATE_PREFIX)
        if seed is None:
            raise ValueError(f"a private key is {PRIVATE_PREFIX} and 64 hexadecimal digits")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = PUBLIC_PREFIX + self._key.public_key().public_bytes_raw().hex()

    @classmethod
    def generate(cls) -> str:
        """Return the text of a new random key."""
        return PRIVATE_PREFIX + Ed25519PrivateKey.generate().private_bytes_raw().hex()

    def sign(self, statement: Statement) -> str:
        """Return the value of the tag `signature`."""
        text = json.dumps(statement.model_dump(), sort_keys=True, separators=(",", ":"))
        return f"{key_id(self.public)}.{self._key.sign(_PURPOSE + text.encode()).hex()}.{text}"


def key_id(public: str) -> str:
    """Return the digits of a public key that a signature names it by."""
    return public.removeprefix(PUBLIC_PREFIX)[:16]


def parse_trusted_keys(text: str) -> TrustedKeys:
    """Read public keys, separated by commas.

    Raises:
        ValueError: one of them isn't a public key. The message doesn't repeat it, because it may be a private one.
    """
    trusted = {}
    for number, each in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        raw = _key_bytes(each, PUBLIC_PREFIX)
        if raw is None:
            found = "a private key, which nobody but the signer may have" if each.startswith(PRIVATE_PREFIX) else "none"
            raise ValueError(
                f"a public key is {PUBLIC_PREFIX} and 64 hexadecimal digits, and number {number} is {found}"
            )
        trusted[key_id(each)] = Ed25519PublicKey.from_public_bytes(raw)
    return trusted


def signing_command(registered_model: str, version: str) -> str:
    """Return the commands by which an operator signs a version after a look at it."""
    return f"make sign VERSION={version} MODEL={shlex.quote(registered_model)} (in containers make compose-sign)"


def verify_signature(tag: str, trusted: TrustedKeys) -> Statement:
    """Verify the value of a tag `signature`, then read it.

    Raises:
        UntrustedKeyError: the key isn't trusted.
        SignatureError: the signature is wrong, or the tag has another form.
    """
    wrong = SignatureError(f"the tag `{SIGNATURE}` isn't a signature by the key that it names")
    if len(tag) > MAX_TAG_LENGTH:
        raise SignatureError(f"the tag `{SIGNATURE}` is longer than {MAX_TAG_LENGTH} characters")
    name, _, rest = tag.partition(".")
    signature, _, text = rest.partition(".")
    if name not in trusted:
        raise UntrustedKeyError(f"the tag `{SIGNATURE}` names the key {name[:16]!r}, which isn't trusted here")
    if not _SIGNATURE_DIGITS.fullmatch(signature):  # one tag for one signature: fromhex allows blanks and capitals
        raise wrong
    try:
        trusted[name].verify(bytes.fromhex(signature), _PURPOSE + text.encode())
        return Statement.model_validate_json(text)
    except (InvalidSignature, ValueError) as error:  # pydantic's error is a ValueError
        raise wrong from error


def _key_bytes(text: str, prefix: str) -> bytes | None:
    try:
        raw = bytes.fromhex(text.removeprefix(prefix))
    except ValueError:
        return None
    return raw if text.startswith(prefix) and len(text) == len(prefix) + 64 and len(raw) == 32 else None
