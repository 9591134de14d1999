"""The keys of a contract file: a subset of the Open Data Contract Standard 3.2, as types.

The package `open-data-contract-standard` isn't used to read it: its model drops unknown nested keys, checks no value of
`customProperties` and `logicalTypeOptions`, and knows no lines. The tests hold our files against its JSON schema.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, FiniteFloat

from contract.monitoring import Monitoring
from contract.part import Part, Scalar
from contract.schema import LogicalType, Reading, Role
from contract.training import Training

NameT = TypeVar("NameT", bound=str)
ValueT = TypeVar("ValueT")


class Custom(Part, Generic[NameT, ValueT]):
    """A fact that the standard has no key for."""

    property: NameT
    value: ValueT


Unit = Custom[Literal["unit"], Annotated[str, Field(max_length=50)]]
ColumnRole = Custom[Literal["role"], Role]
Decimals = Custom[Literal["decimals"], Annotated[int, Field(ge=0, le=15)]]
Logged = Custom[Literal["logged"], bool]
PlausibleMinimum = Custom[Literal["plausibleMinimum"], FiniteFloat]
PlausibleMaximum = Custom[Literal["plausibleMaximum"], FiniteFloat]
TrainingPart = Custom[Literal["training"], Training]
ReadingPart = Custom[Literal["reading"], Reading]
MonitoringPart = Custom[Literal["monitoring"], Monitoring]


class Limits(Part):
    """Limits of a number; values outside are rejected in the data and refused in predictions."""

    minimum: FiniteFloat | None = Field(default=None, description="Smallest value.")
    maximum: FiniteFloat | None = Field(default=None, description="Largest value.")
    exclusive_minimum: FiniteFloat | None = Field(default=None, description="All values are above it.")
    exclusive_maximum: FiniteFloat | None = Field(default=None, description="All values are below it.")


class EnumValue(Part):
    """A category or class."""

    value: Scalar = Field(description="The value as it is in the table.")
    label: str = Field(default="", description="For people to read; not used yet.")
    description: str = Field(default="", description="For people to read; not used yet.")


class Property(Part):
    """A column of the table."""

    name: str = Field(description="Name in the header: up to 63 bytes of any text.")
    business_name: str = Field(default="", description="Name for people to read.")
    description: str = Field(default="", description="For people to read.")
    logical_type: LogicalType = Field(description="Type of the values.")
    required: bool = Field(
        default=False,
        description="Whether a row needs a value to be used. "
        "A missing value of a feature that isn't required is a value that the model learns.",
    )
    logical_type_options: Limits = Field(default=Limits(), description="Limits of a number.")
    enum: tuple[EnumValue, ...] | None = Field(
        default=None, description="All values of a text or integer column of categories; the classes of the target."
    )
    examples: tuple[Scalar, ...] = Field(
        default=(),
        description="Typical values: the first is in the service's documentation and in the row that `make run` sends.",
    )
    custom_properties: tuple[
        Annotated[
            Unit | ColumnRole | Decimals | Logged | PlausibleMinimum | PlausibleMaximum, Field(discriminator="property")
        ],
        ...,
    ] = Field(default=(), description="Facts that the standard has no key for.")


class Table(Part):
    """The table."""

    name: str = Field(description="The contract's name.")
    business_name: Annotated[str, Field(max_length=200)] = Field(  # Airflow keeps 2,000 of a DAG's name
        default="", description="Title of the table, for people to read."
    )
    description: str = Field(default="", description="For people to read.")
    properties: tuple[Property, ...] = Field(description="The columns, in the order of the model's features.")


class Description(Part):
    """The reasons for the contract, for people to read."""

    purpose: str = Field(default="", description="Description of the table and of the model's task.")
    usage: str = Field(default="", description="For people to read.")
    limitations: str = Field(default="", description="For people to read.")


class Document(Part):
    """A contract file."""

    api_version: Literal["v3.2.0"] = Field(description="Version of the standard.")
    kind: Literal["DataContract"] = Field(description="Kind of the file.")
    id: str = Field(description="Identifier among all contracts of your organisation, such as a UUID.")
    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,40}$",
        description="Name of the file without `.yaml`, and first part of the names of the DAG and of the tables.",
    )
    version: str = Field(description="Version of the contract, for people to read.")
    status: str = Field(default="", description="For people to read, such as `active`.")
    description: Description = Field(default=Description(), description="The reasons for the contract.")
    tables: tuple[Table, ...] = Field(
        alias="schema",
        description="The table, as a list of one.",
        json_schema_extra={"minItems": 1, "maxItems": 1},
    )
    custom_properties: tuple[
        Annotated[TrainingPart | ReadingPart | MonitoringPart, Field(discriminator="property")], ...
    ] = Field(description="The model that is trained on the table, how its files are read, and how it is watched.")


_COLUMN: Final = ("schema", "properties")

PARTS: Final[Mapping[tuple[str, ...], type[BaseModel]]] = {
    (): Document,
    ("description",): Description,
    ("schema",): Table,
    _COLUMN: Property,
    (*_COLUMN, "logicalTypeOptions"): Limits,
    (*_COLUMN, "enum"): EnumValue,
    ("customProperties", "training", "value"): Training,
    ("customProperties", "reading", "value"): Reading,
    ("customProperties", "monitoring", "value"): Monitoring,
}
"""The part of the file at each place; a place is the keys that lead to it, and the names of custom properties."""

CUSTOM: Final = {
    ("customProperties",): ("training", "reading", "monitoring"),
    (*_COLUMN, "customProperties"): ("unit", "role", "decimals", "logged", "plausibleMinimum", "plausibleMaximum"),
}
"""The custom properties of each place."""


def keys(part: type[BaseModel]) -> Mapping[str, str]:
    """Return the keys of a part with their descriptions."""
    return {field.alias or name: field.description or "" for name, field in part.model_fields.items()}
