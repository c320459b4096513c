"""Data actions of a Web Services Data Actions integration, one for each flow, from the contract.

Format: what Genesys Cloud exports as `*.custom.json`. Facts that shape it (Genesys Cloud Resource Center,
"Add contracts to custom actions", "Request configuration for data actions", "Velocity macros for data
actions"):

* Inputs are flat: a list travels as the JSON text of an array, which the plain call reads. Names of inputs
  have letters, digits, `-` and `_` only, so `Flow.` is left off.
* `${x}` of something that is not there stays in the text as it is; `$!{x}` is empty.
* `translationMapDefaults` stand in for what is not found, not for a null that is found. A null would not fit
  the output contract, so the template leaves such an output out: for a flow it is then not set.
* An answer that does not fit the output contract is a failure of the action, with HTTP status 200.
"""

from __future__ import annotations

import json
from typing import Any, Final

from deploy.genesys.place import Place

from timeoff_balance.flows.contract import Flow, Kind, Status, Variable
from timeoff_balance.routes import TOKEN_PATH

#: The longest that Genesys Cloud allows; the service ends a run a little earlier.
TIMEOUT_SECONDS: Final = 60
_NOT_OURS: Final = "the address answers, but not as the balance service does"
#: For an answer without the output. None: there is no default, the output is left out.
_DEFAULTS: Final[dict[str, Any]] = {"statusCode": 500, "status": str(Status.ERROR), "errorMsg": _NOT_OURS}


def data_action(flow: Flow, place: Place) -> dict[str, Any]:
    title = place.title(flow)
    return {
        "name": title,
        "integrationType": "custom-rest-actions",
        "actionType": "custom",
        "config": {
            "request": {
                "requestUrlTemplate": place.url(place.plain(flow)),
                "requestType": "POST",
                "headers": {
                    "Accept": "application/json",
                    "Authorization": "Bearer ${authResponse.access_token}",
                    "Content-Type": "application/json",
                },
                "requestTemplate": _request_template(flow),
            },
            "response": {
                "translationMap": {variable.name: f"$['{variable.key}']" for variable in flow.outputs},
                "translationMapDefaults": _defaults(flow),
                "successTemplate": _success_template(flow),
            },
            "timeoutSeconds": TIMEOUT_SECONDS,
        },
        "contract": {
            "input": {
                "inputSchema": {
                    "title": f"{title} inputs",
                    "description": flow.about,
                    "type": "object",
                    "properties": {variable.name: _input(variable) for variable in flow.inputs},
                    "required": [variable.name for variable in flow.inputs if variable.mandatory],
                    "additionalProperties": True,
                }
            },
            "output": {
                "successSchema": {
                    "title": f"{title} outputs",
                    "type": "object",
                    "properties": {variable.name: _output(variable) for variable in flow.outputs},
                    "required": [variable.name for variable in flow.outputs if not _may_be_null(variable)],
                    "additionalProperties": True,
                }
            },
        },
        "secure": False,
    }


def custom_auth_action(place: Place) -> dict[str, Any]:
    """The action that the credential type *User Defined (OAuth)* brings along; it is filled in, not imported.

    The fields of the credential are `loginUrl`, `clientId` and `clientSecret`. An auth action has no
    `timeoutSeconds`.
    """
    return {
        "credentialFields": {
            "loginUrl": place.url(TOKEN_PATH),
            "clientId": "client_id of one of [[balance.clients]]",
            "clientSecret": "its secret, not the hash of it",
        },
        "config": {
            "request": {
                "requestUrlTemplate": "${credentials.loginUrl}",
                "requestType": "POST",
                "headers": {
                    "Accept": "application/json",
                    "Authorization": (
                        'Basic $encoding.base64("${credentials.clientId}:${credentials.clientSecret}")'
                    ),
                    "Content-Type": "application/x-www-form-urlencoded",
                },
                "requestTemplate": "grant_type=client_credentials",
            },
            "response": {
                "translationMap": {"access_token": "$.access_token"},
                "translationMapDefaults": {},
                "successTemplate": '{"access_token": ${access_token}}',
            },
        },
    }


def _request_template(flow: Flow) -> str:
    lines = [f'  "{each.key}": "$!esc.jsonString(${{input.{each.name}}})"' for each in flow.inputs]
    return "{\n" + ",\n".join(lines) + "\n}" if lines else "{}"


def _success_template(flow: Flow) -> str:
    """One member a line; those that may be left out stand behind one that is always there."""
    always = [f'"{each.name}": ${{{each.name}}}' for each in flow.outputs if not _may_be_null(each)]
    perhaps = [
        f'#if(${each.name} && "${each.name}" != "null"),\n  "{each.name}": ${{{each.name}}}#end'
        for each in flow.outputs
        if _may_be_null(each)
    ]
    return "{\n  " + ",\n  ".join(always) + "".join(perhaps) + "\n}"


def _defaults(flow: Flow) -> dict[str, str]:
    """As JSON texts."""
    found: dict[str, Any] = {
        each.name: [] if each.kind is Kind.STRINGS else _DEFAULTS.get(each.name) for each in flow.outputs
    }
    return {name: json.dumps(value) for name, value in found.items() if value is not None}


def _may_be_null(variable: Variable) -> bool:
    return variable.kind is Kind.STRING and variable.initial is None


def _input(variable: Variable) -> dict[str, Any]:
    as_text = ", as the JSON text of an array" if variable.kind is Kind.STRINGS else ""
    return {"type": "string", "description": variable.about + as_text}


def _output(variable: Variable) -> dict[str, Any]:
    match variable.kind:
        case Kind.STRINGS:
            shape: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
        case Kind.INTEGER:
            shape = {"type": "integer"}
        case Kind.STRING:
            shape = {"type": "string"}
    return {**shape, "description": variable.about}


__all__ = ["TIMEOUT_SECONDS", "custom_auth_action", "data_action"]
