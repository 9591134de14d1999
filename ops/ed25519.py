"""The public half of an Ed25519 key, by RFC 8032, for `make env`, which has only the standard library.

Not constant in time. So it is only for the owner of a new key, who waits for nobody else.
"""

import hashlib
from typing import Final

PRIVATE_PREFIX: Final = "ed25519-private-"
PUBLIC_PREFIX: Final = "ed25519-public-"

_Point = tuple[int, int, int, int]

_PRIME: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _PRIME) % _PRIME
_X: Final = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_Y: Final = 4 * pow(5, -1, _PRIME) % _PRIME
_BASE: Final[_Point] = (_X, _Y, 1, _X * _Y % _PRIME)


def public_key(private: str) -> str | None:
    """Return the public key of a private one, both with their prefix; None if the text isn't a private key."""
    digits = private.removeprefix(PRIVATE_PREFIX)
    if digits == private or len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        return None
    scalar = int.from_bytes(hashlib.sha512(bytes.fromhex(digits)).digest()[:32], "little")
    scalar = scalar & (2**254 - 8) | 2**254
    x, y, z, _ = _multiply(scalar, _BASE)
    inverse = pow(z, -1, _PRIME)
    x, y = x * inverse % _PRIME, y * inverse % _PRIME
    return PUBLIC_PREFIX + (y | (x & 1) << 255).to_bytes(32, "little").hex()


def _multiply(scalar: int, point: _Point) -> _Point:
    result: _Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _add(first: _Point, second: _Point) -> _Point:
    a = (first[1] - first[0]) * (second[1] - second[0]) % _PRIME
    b = (first[1] + first[0]) * (second[1] + second[0]) % _PRIME
    c = 2 * first[3] * second[3] * _D % _PRIME
    d = 2 * first[2] * second[2] % _PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _PRIME, g * h % _PRIME, f * g % _PRIME, e * h % _PRIME
