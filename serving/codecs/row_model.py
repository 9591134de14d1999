"""A pydantic model of a row: it documents the fields, and explains what is wrong with their values."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError

from serving.codecs import fields as known
from serving.codecs.base import FLOAT32_OVERFLOW
from serving.codecs.explain import CATEGORY, WHOLE


def positions(fields: known.Fields) -> list[str]:
    """Return names for the attributes of a row: those of the fields may be any text."""
    return [f"f{index}" for index in range(len(fields.all))]


def row_model(fields: known.Fields, examples: Sequence[Any] = ()) -> type[BaseModel]:
    """Return a pydantic model of one row; it takes the values of the fields, and has numbers and codes."""
    attributes = {name: (_type(field), _info(field)) for name, field in zip(positions(fields), fields.all, strict=True)}
    settings = ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": [*examples]})
    doc, others = f"The values of one {fields.noun}.", cast(dict[str, Any], attributes)
    return create_model("Row", __config__=settings, __doc__=doc, **others)


def _info(field: known.Field) -> Any:
    default: Any = None if field.is_optional else ...
    return Field(default, alias=field.name, title=title(field), description=_description(field))


def title(field: known.Field) -> str:
    """Return the name of a field for people to read."""
    feature = field.feature
    return feature.title or feature.name.removesuffix(f"_{feature.unit}").replace("_", " ").capitalize()


def _description(field: known.Field) -> str:
    unit = f", in {field.unit}" if field.unit else ""
    text = f"{title(field)}{unit}."
    return f"{text} {field.feature.description}" if field.feature.description else text


def _type(field: known.Field) -> Any:
    if not field.is_numeric:
        kind: Any = Annotated[Any, AfterValidator(partial(_code, field)), WithJsonSchema(_schema(field))]
        return kind
    kind = Annotated[float, Field(allow_inf_nan=False, **_limits(field))]
    if field.is_whole:
        kind = Annotated[kind, AfterValidator(_whole)]
    return kind | None if field.is_optional else kind


def _limits(field: known.Field) -> dict[str, Any]:
    """Return the limits of a number; without one of the contract's it must be finite in float32."""
    bounds = field.feature.bounds
    found = {
        "ge": bounds.minimum,
        "gt": bounds.exclusive_minimum,
        "le": bounds.maximum,
        "lt": bounds.exclusive_maximum,
    }
    limits: dict[str, Any] = {
        name: value for name, value in found.items() if value is not None and abs(value) < FLOAT32_OVERFLOW
    }
    if not limits.keys() & {"le", "lt"}:
        limits["lt"] = FLOAT32_OVERFLOW
    if not limits.keys() & {"ge", "gt"}:
        limits["gt"] = -FLOAT32_OVERFLOW
    return limits


def _schema(field: known.Field) -> dict[str, Any]:
    return {"enum": [*field.codes, *([None] if field.is_optional else [])]}


def _whole(value: float) -> float:
    if value % 1:
        raise PydanticCustomError(WHOLE, "a whole number is required")
    return value


def _code(field: known.Field, value: Any) -> float:
    try:
        return field.code(value)
    except known.UnknownError:
        raise PydanticCustomError(CATEGORY, "unknown category") from None
