"""Architect workflows in Archy's YAML, one for each flow, from the contract.

A workflow begins as failed, writes its lists as JSON texts, calls the data action of its name, and takes over
every output. It decides nothing: what an output says is the balance service's word, or, where the call came
to nothing, that it did. If an expression cannot be computed the run ends as it began: `Error`, 500.

Shape of the file: workflows that Genesys publishes as Archy YAML. Actions, too, are only those that occur in
them; lists are therefore written in loops, and not by a function that may or may not take a collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from deploy.genesys.place import Place

from timeoff_balance.flows.contract import Flow, Kind, Status, Value, Variable
from timeoff_balance.flows.results import NO_ANSWER

_STATE: Final = "Initial State"
_TYPES: Final[Mapping[Kind, str]] = {
    Kind.STRING: "stringVariable",
    Kind.INTEGER: "integerVariable",
    Kind.STRINGS: "stringCollectionVariable",
}
_NO_VALUE: Final = {"noValue": True}
#: What the data action tells of a failure beside `errorCode` and `status`. `userMessage` and `details` may
#: quote the call, and with it a note.
_NOT_READ: Final = (
    "correlationId",
    "entityId",
    "entityName",
    "userMessage",
    "userParamsMessage",
    "userParams.key",
    "userParams.value",
    "details.errorCode",
    "details.fieldName",
    "details.entityId",
    "details.entityName",
)


def workflow(flow: Flow, place: Place) -> dict[str, Any]:
    lists = [variable for variable in flow.inputs if variable.kind is Kind.STRINGS]
    return {
        "workflow": {
            "name": place.title(flow),
            "description": flow.about,
            "division": place.division,
            "startUpRef": f"/workflow/states/state[{_STATE}_1]",
            "defaultLanguage": "en-us",
            "supportedLanguages": {"en-us": {"none": True}},
            "variables": [
                *(_declared(variable, is_input=True) for variable in flow.inputs),
                *(_declared(variable, is_input=False) for variable in flow.outputs),
            ],
            "settingsErrorHandling": {"errorHandling": {"endWorkflow": {"none": True}}},
            "states": [
                {
                    "state": {
                        "name": _STATE,
                        "refId": f"{_STATE}_1",
                        "variables": _state_variables(lists),
                        "actions": [
                            *(_written_as_text(variable) for variable in lists),
                            _call(flow, place),
                            {"endWorkflow": {"name": "End", "exitReason": _NO_VALUE}},
                        ],
                    }
                }
            ],
        }
    }


# -- variables -----------------------------------------------------------------------------------------


def _declared(variable: Variable, *, is_input: bool) -> dict[str, Any]:
    return _variable(
        variable.key,
        variable.kind,
        variable.initial,
        about=variable.about,
        is_input=is_input,
        is_output=not is_input,
    )


def _state_variables(lists: list[Variable]) -> list[dict[str, Any]]:
    texts = [_variable(_text_of(variable), Kind.STRING, "[") for variable in lists]
    return [
        _variable("State.errorCode", Kind.STRING, ""),
        _variable("State.failureStatus", Kind.INTEGER, 500),
        *([_variable("State.index", Kind.INTEGER, None)] if lists else []),
        *texts,
    ]


def _variable(
    name: str,
    kind: Kind,
    initial: Value,
    *,
    about: str | None = None,
    is_input: bool = False,
    is_output: bool = False,
) -> dict[str, Any]:
    return {
        _TYPES[kind]: {
            "name": name,
            **({"description": about} if about else {}),
            "initialValue": _NO_VALUE if initial is None else {"lit": initial},
            "isInput": is_input,
            "isOutput": is_output,
        }
    }


def _text_of(variable: Variable) -> str:
    return f"State.{variable.name}Text"


# -- actions -------------------------------------------------------------------------------------------


def _written_as_text(variable: Variable) -> dict[str, Any]:
    """`[` and the items, each in quotes. The items are dates, numbers and ids: nothing to be escaped. A list
    that is not set is never counted.
    """
    item = f"GetAt({variable.key}, State.index)"
    text = _text_of(variable)
    add = _update(
        f"Add an item of {variable.name}",
        _set(
            "string",
            text,
            exp=f'{text} + If(State.index == 0, "", ",") + "\\""'
            f' + If(IsNotSetOrEmpty({item}), "", {item}) + "\\""',
        ),
    )
    loop = {
        "loop": {
            "name": f"Write {variable.name} as text",
            "currentIndex": {"var": "State.index"},
            "loopCount": {"exp": f"Count({variable.key})"},
            "outputs": {"loop": {"actions": [add]}},
        }
    }
    return {
        "decision": {
            "name": f"Is {variable.name} empty?",
            "condition": {"exp": f"IsNotSetOrEmpty({variable.key})"},
            "outputs": {"no": {"actions": [loop]}},
        }
    }


def _call(flow: Flow, place: Place) -> dict[str, Any]:
    bound: dict[str, Any] = {}
    if flow.inputs:
        bound["inputs"] = {variable.name: {"exp": _passed(variable)} for variable in flow.inputs}
    bound["successOutputs"] = {variable.name: {"var": variable.key} for variable in flow.outputs}
    bound["failureOutputs"] = {
        "errorCode": {"var": "State.errorCode"},
        "status": {"var": "State.failureStatus"},
        **dict.fromkeys(_NOT_READ, _NO_VALUE),
    }
    return {
        "callData": {
            "name": f"Call {place.title(flow)}",
            "timeout": {"lit": {"minutes": 1}},
            "category": {place.integration: {"dataAction": {place.title(flow): bound}}},
            "outputs": {
                "failure": {"actions": _failed()},
                "timeout": {"actions": _not_answered(flow)},
            },
        }
    }


def _passed(variable: Variable) -> str:
    """Never not set: what is missing is for the balance service to name."""
    if variable.kind is Kind.STRINGS:
        return f'{_text_of(variable)} + "]"'
    return f'If(IsNotSetOrEmpty({variable.key}), "", {variable.key})'


def _failed() -> list[dict[str, Any]]:
    """The status of the failure; 502 where it is none, as when the answer did not fit the contract. The
    message comes in an action of its own: should it fail, the rest is already said.
    """
    return [
        _update(
            "Say that it failed",
            _set(
                "integer", "Flow.statusCode", exp="If(State.failureStatus >= 400, State.failureStatus, 502)"
            ),
            _set("string", "Flow.status", lit=str(Status.ERROR)),
        ),
        _update(
            "Say why",
            _set(
                "string",
                "Flow.errorMsg",
                exp='"the data action failed: " + State.errorCode'
                ' + ", HTTP status " + ToString(State.failureStatus)',
            ),
        ),
    ]


def _not_answered(flow: Flow) -> list[dict[str, Any]]:
    known = (
        "; whether it was booked is not known: the same call again is the same booking" if flow.writes else ""
    )
    return [
        _update(
            "Say that no answer came",
            _set("integer", "Flow.statusCode", lit=NO_ANSWER),
            _set("string", "Flow.status", lit=str(Status.ERROR)),
            _set("string", "Flow.errorMsg", lit=f"no answer within a minute{known}"),
        )
    ]


def _update(name: str, *statements: dict[str, Any]) -> dict[str, Any]:
    return {"updateData": {"name": name, "statements": list(statements)}}


def _set(kind: str, variable: str, **value: Any) -> dict[str, Any]:
    return {kind: {"variable": variable, "value": value}}


__all__ = ["workflow"]
