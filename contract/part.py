"""The base of the parts of a contract."""

from pydantic import BaseModel, ConfigDict, FiniteFloat
from pydantic.alias_generators import to_camel

Scalar = str | int | FiniteFloat | bool


class Part(BaseModel):
    """A part of a contract. Its file has the same fields in camel case, as the standard has them."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )
