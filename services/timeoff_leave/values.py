"""Values of bodies and records: the types that pydantic models of this API are made of.

A body is read strictly (a number in quotes is no number) and leniently in one way only: fields that the API
does not know, and those that it computes, are ignored without a word. What is wrong becomes `{field:
[message]}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from timeoff_leave.errors import BLANK, NOT_A_CHOICE, NOT_VALID, Messages
from timeoff_leave.wire import DECIMALS

#: The largest id that PostgreSQL's integer holds.
MAX_ID: Final = 2_147_483_647
MAX_AMOUNT: Final = 1_000_000

B = TypeVar("B", bound="Body")


def problem(message: str) -> PydanticCustomError:
    """For validators of bodies: `raise problem("Only accrual rate or quantity can be entered.")`."""
    return PydanticCustomError("problem", "{message}", {"message": message})


# -- single values -----------------------------------------------------------------------------------


def _whole(value: Any) -> Any:
    """`3.0` and `3e0` are whole numbers in JSON Schema, too."""
    if isinstance(value, Decimal) and abs(value.adjusted()) < 20 and value == value.to_integral_value():
        return int(value)
    return value


def _amount(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, Decimal) and value.is_zero():
        return Decimal(0)
    return value


def _few_decimals(value: Decimal) -> Decimal:
    exponent = value.normalize().as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -DECIMALS:
        raise problem(f"This value should have {DECIMALS} decimals or less.")
    return value


_MOMENT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_LOCAL: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}", re.ASCII)


def read_moment(text: str) -> datetime:
    """An ISO 8601 date-time with its offset, as an instant in UTC. Raises `ValueError`."""
    if not _MOMENT.fullmatch(text):
        raise ValueError(text)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError(text) from None


def read_day(text: str) -> date:
    """`YYYY-MM-DD`. Raises `ValueError`."""
    if not _DAY.fullmatch(text):
        raise ValueError(text)
    return date.fromisoformat(text)


def read_local(text: str) -> datetime:
    """`YYYY-MM-DDTHH:mm:ss`, without a zone. Raises `ValueError`."""
    if not _LOCAL.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text)


def _read(reader: Callable[[str], Any], message: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise problem("This value should be of type string.")
        try:
            return reader(value)
        except ValueError:
            raise problem(message) from None

    return read


def clean(value: str) -> str:
    """PostgreSQL has no text with a NUL in it."""
    if "\0" in value:
        raise problem(NOT_VALID)
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise problem(BLANK)
    return value


Whole = Annotated[int, Field(strict=True), BeforeValidator(_whole)]
#: The id of another record.
Reference = Annotated[int, Field(strict=True, ge=1, le=MAX_ID), BeforeValidator(_whole)]
#: Ids of an action. One that no record can have is found nowhere, as any other unknown one.
Ids = Annotated[list[Whole], Field(min_length=1, max_length=1000)]
Amount = Annotated[
    Decimal,
    Field(strict=True, ge=-MAX_AMOUNT, le=MAX_AMOUNT, allow_inf_nan=False),
    AfterValidator(_few_decimals),
    BeforeValidator(_amount),
    WithJsonSchema({"type": "number", "minimum": -MAX_AMOUNT, "maximum": MAX_AMOUNT}),
]
#: An amount that is not below zero.
Quantity = Annotated[
    Decimal,
    Field(strict=True, ge=0, le=MAX_AMOUNT, allow_inf_nan=False),
    AfterValidator(_few_decimals),
    BeforeValidator(_amount),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": MAX_AMOUNT}),
]
Moment = Annotated[
    datetime,
    BeforeValidator(
        _read(
            read_moment,
            "This value should be a date and time with its offset, e.g. 2026-12-01T00:00:00+00:00.",
        )
    ),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Day = Annotated[
    date,
    BeforeValidator(_read(read_day, "This value should be a date, e.g. 2026-12-01.")),
    WithJsonSchema({"type": "string", "format": "date"}),
]
LocalMoment = Annotated[
    datetime,
    BeforeValidator(
        _read(read_local, "This value should be a local date and time, e.g. 2026-12-01T09:00:00.")
    ),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$"}),
]
Flag = Annotated[bool, Field(strict=True)]
Name = Annotated[
    str, Field(strict=True, min_length=1, max_length=254), AfterValidator(clean), AfterValidator(_not_blank)
]
Text = Annotated[str, Field(strict=True, max_length=254), AfterValidator(clean)]
CustomId = Annotated[
    str, Field(strict=True, min_length=1, max_length=64), AfterValidator(clean), AfterValidator(_not_blank)
]
#: A number of a record, see `timeoff_leave.wire.number`.
Number = Annotated[Decimal, WithJsonSchema({"type": "number"})]


def _absent() -> Any:
    return None


def optional() -> Any:
    """Default of a PATCH's field: it may be missing, and null is a value that it may or may not take."""
    return Field(default_factory=_absent)


# -- models ------------------------------------------------------------------------------------------


class Body(BaseModel):
    """Base of what callers send. Fields in camelCase; what is not declared is ignored."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)

    @property
    def sent(self) -> dict[str, Any]:
        """Python name and value of the fields that the body holds."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def _all_optional(schema: dict[str, Any]) -> None:
    schema.pop("required", None)


class Record(BaseModel):
    """Base of what is answered; it describes a row of the resource's statement, field by field.

    No field is promised in the document, since `fields=` leaves out what is not asked for.
    """

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, json_schema_extra=_all_optional)


def read_body(model: type[B], document: object, whole: str) -> tuple[B | None, Messages]:
    """The body, or what is wrong with it: under its field, or under `whole` for a rule of the record."""
    try:
        return model.model_validate(document), {}
    except ValidationError as error:
        details = error.errors(include_url=False)
    messages: Messages = {}
    for detail in details:
        key = str(detail["loc"][0]) if detail["loc"] else whole
        said = messages.setdefault(key, [])
        if (message := _message(detail)) not in said:
            said.append(message)
    return None, messages


_TYPES: Final = {
    "int_type": "integer",
    "int_parsing": "integer",
    "int_from_float": "integer",
    "string_type": "string",
    "bool_type": "boolean",
    "bool_parsing": "boolean",
    "decimal_type": "number",
    "decimal_parsing": "number",
    "is_instance_of": "number",
    "list_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
}


def _message(detail: ErrorDetails) -> str:
    kind, limits = detail["type"], detail.get("ctx", {})
    if kind == "missing" or detail["input"] is None or detail["input"] == "":
        return BLANK
    if kind == "problem":
        return str(limits["message"])
    if kind in _TYPES:
        return f"This value should be of type {_TYPES[kind]}."
    match kind:
        case "greater_than_equal":
            return f"This value should be greater than or equal to {limits['ge']}."
        case "less_than_equal":
            return f"This value should be less than or equal to {limits['le']}."
        case "greater_than":
            return f"This value should be greater than {limits['gt']}."
        case "string_too_long":
            return f"This value is too long. It should have {limits['max_length']} characters or less."
        case "too_long":
            return f"This collection should contain {limits['max_length']} elements or less."
        case "too_short":
            return BLANK
        case "literal_error":
            return NOT_A_CHOICE
        case _:
            return NOT_VALID
