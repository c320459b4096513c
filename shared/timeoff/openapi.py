"""An OpenAPI 3.1 document, put together from the pydantic models that a service reads and answers with.

A service describes its calls as `Operation`s. Bodies are described as they are validated, answers as they
are serialized; both end as named schemas, so that a record that is met in many places stands in the
document once. (OpenAPI Specification 3.1.1; its schemas are JSON Schema 2020-12, which is what pydantic
writes.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

VERSION: Final = "3.1.1"
_SCHEMAS: Final = "#/components/schemas/{model}"

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter; `commas` is for arrays of a query that are one word with commas."""

    name: str
    where: Literal["path", "query", "header"]
    schema: Schema
    description: str = ""
    commas: bool = False

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"name": self.name, "in": self.where, "schema": dict(self.schema)}
        if self.description:
            shown["description"] = self.description
        if self.where == "path":
            shown["required"] = True
        if self.commas:
            shown |= {"style": "form", "explode": False}
        return shown


@dataclass(frozen=True, slots=True)
class Answer:
    """One status of an operation. `model` is what is answered, or with `many` a list of it; `schema` stands
    for an answer that no model describes. `envelope` is an object's properties beside `data`, if there is
    one."""

    status: int
    description: str
    model: type[BaseModel] | None = None
    many: bool = False
    schema: Schema | None = None
    envelope: Schema | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    examples: Sequence[Any] = ()
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One call. `public` needs no token."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    answers: Sequence[Answer]
    description: str = ""
    parameters: Sequence[Parameter] = ()
    body: type[BaseModel] | None = None
    body_required: bool = True
    body_types: Sequence[str] = ("application/json",)
    public: bool = False


def document(
    *,
    title: str,
    version: str,
    description: str,
    operations: Iterable[Operation],
    security_schemes: Mapping[str, Any],
) -> dict[str, Any]:
    """The document as plain JSON values. Every operation that is not public needs all of the schemes."""
    described = list(operations)
    names, schemas = _schemas(described)
    paths: dict[str, dict[str, Any]] = {}
    for operation in described:
        shown = _operation(operation, names)
        if operation.public:
            shown["security"] = []
        paths.setdefault(operation.path, {})[operation.method.lower()] = shown
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": version, "description": description},
        "servers": [{"url": "/"}],
        "security": [{name: [] for name in security_schemes}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": dict(security_schemes)},
    }


_Names = Mapping[tuple[Any, JsonSchemaMode], dict[str, Any]]


def _schemas(operations: Iterable[Operation]) -> tuple[_Names, dict[str, Any]]:
    """Where each model's schema stands, and all of them."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
    for operation in operations:
        if operation.body is not None:
            wanted[operation.body, "validation"] = None
        for answer in operation.answers:
            if answer.model is not None:
                wanted[answer.model, "serialization"] = None
    names, together = models_json_schema(list(wanted), ref_template=_SCHEMAS)
    schemas = dict(sorted(together.get("$defs", {}).items()))
    for schema in schemas.values():
        for described in schema.get("properties", {}).values():
            described.pop("title", None)  # made of the name, and says nothing more
    return names, schemas


def _operation(operation: Operation, names: _Names) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
    }
    if operation.description:
        shown["description"] = operation.description
    if operation.parameters:
        shown["parameters"] = [parameter.shown() for parameter in operation.parameters]
    if operation.body is not None:
        schema = names[operation.body, "validation"]
        shown["requestBody"] = {
            "required": operation.body_required,
            "content": {type_: {"schema": schema} for type_ in operation.body_types},
        }
    shown["responses"] = {str(answer.status): _answer(answer, names) for answer in operation.answers}
    return shown


def _answer(answer: Answer, names: _Names) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": answer.description}
    schema: dict[str, Any] | None = dict(answer.schema) if answer.schema is not None else None
    if answer.model is not None:
        schema = dict(names[answer.model, "serialization"])
        if answer.many:
            schema = {"type": "array", "items": schema}
        if answer.envelope is not None:
            properties = {**answer.envelope, "data": schema}
            schema = {"type": "object", "properties": properties, "required": list(properties)}
    if schema is not None:
        media: dict[str, Any] = {"schema": schema}
        if answer.examples:
            media["examples"] = {str(number): {"value": v} for number, v in enumerate(answer.examples, 1)}
        shown["content"] = {answer.media_type: media}
    if answer.headers:
        shown["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()
        }
    return shown


__all__ = ["VERSION", "Answer", "Operation", "Parameter", "document"]
