"""A Postman collection that runs all five flows on both ways of calling, and its environment.

Postman's format, version 2.1.0. Requests run from top to bottom; each folder books a day, adds one, and takes
both back. The second folder knows nothing of this service: it runs the workflows of an organisation just as
well, with that organisation's address and token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from deploy.genesys.place import Place

from timeoff_balance.flows.compatible import BASE as COMPATIBLE
from timeoff_balance.flows.contract import FLOWS, Flow
from timeoff_balance.routes import TOKEN_PATH

_SCHEMA: Final = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
#: A run that is not over after so many looks is not waited for any longer; milliseconds between two.
_LOOKS: Final = 200
_PAUSE: Final = 300

_VARIABLES: Final[Mapping[str, str]] = {
    "clientId": "genesys",
    "clientSecret": "",
    "token": "",
    "agentId": "452",
    "typeId": "83",
    "firstDate": "",
    "secondDate": "",
    "minutes": "480",
}

#: Dates that nobody has given: ahead of the first day that may be booked, whenever the run is made.
_DAYS_AHEAD: Final[Mapping[str, int]] = {"firstDate": 60, "secondDate": 61}

#: What has to be true of the outputs of a flow beside their state.
_CHECKS: Final[Mapping[str, tuple[str, ...]]] = {
    "get-agents": (
        'pm.expect(outputs["Flow.emails"]).to.be.an("array").that.is.not.empty;',
        'pm.expect(outputs["Flow.externalIds"]).to.have.lengthOf(outputs["Flow.emails"].length);',
        'pm.expect(outputs["Flow.externalIds"]).to.include(pm.environment.get("agentId"));',
    ),
    "get-timeoff-types": (
        'pm.expect(outputs["Flow.names"]).to.be.an("array").that.is.not.empty;',
        'pm.expect(outputs["Flow.ids"]).to.have.lengthOf(outputs["Flow.names"].length);',
        'pm.expect(outputs["Flow.ids"]).to.include(pm.environment.get("typeId"));',
    ),
    "get-balance": (
        'pm.expect(outputs["Flow.dates"]).to.eql([pm.variables.get("firstDate")]);',
        'pm.expect(outputs["Flow.timeOffTypeIds"]).to.eql([pm.environment.get("typeId")]);',
        'pm.expect(outputs["Flow.balanceMinutesPerDay"]).to.have.lengthOf(1);',
        'pm.expect(outputs["Flow.balanceMinutesPerDay"][0]).to.match(/^-?[0-9]+$/);',
    ),
    "insert-timeoff": (
        'pm.expect(outputs["Flow.timeOffRequestId"]).to.be.a("string").that.is.not.empty;',
        'pm.environment.set("timeOffRequestId", outputs["Flow.timeOffRequestId"]);',
    ),
    "update-timeoff": (
        'pm.expect(outputs["Flow.timeOffRequestId"]).to.be.a("string").that.is.not.empty;',
        'pm.environment.set("timeOffRequestId", outputs["Flow.timeOffRequestId"]);',
    ),
}

_BALANCE: Final[Mapping[str, Any]] = {
    "Flow.agentId": "{{agentId}}",
    "Flow.inputDates": ["{{firstDate}}"],
    "Flow.inputTimeOffTypeIds": ["{{typeId}}"],
}


def _booking(*dates: str, status: str = "APPROVED", **more: str) -> dict[str, Any]:
    return {
        "Flow.agentId": "{{agentId}}",
        "Flow.dates": list(dates),
        "Flow.minDate": dates[0],
        "Flow.maxDate": dates[-1],
        "Flow.timeOffStatus": status,
        "Flow.timeOffTypeId": "{{typeId}}",
        "Flow.payableMinutes": ["{{minutes}}"] * len(dates),
        # What a careless writer of JSON breaks on.
        "Flow.notes": 'Added by Postman: "quotes", a \\ and\na second line',
        **{f"Flow.{name}": value for name, value in more.items()},
    }


#: Name, flow and inputs of each run, in order.
_RUNS: Final[tuple[tuple[str, str, Mapping[str, Any]], ...]] = (
    ("Get-Agents", "get-agents", {}),
    ("Get-TimeOff-Types", "get-timeoff-types", {}),
    ("Get-Balance", "get-balance", _BALANCE),
    ("Insert-TimeOff", "insert-timeoff", _booking("{{firstDate}}")),
    (
        "Update-TimeOff, a day more",
        "update-timeoff",
        _booking("{{firstDate}}", "{{secondDate}}", inputTimeOffRequestId="{{timeOffRequestId}}"),
    ),
    (
        "Update-TimeOff, taken back",
        "update-timeoff",
        _booking(
            "{{firstDate}}",
            "{{secondDate}}",
            status="CANCELED",
            inputTimeOffRequestId="{{timeOffRequestId}}",
        ),
    ),
)


def collection(place: Place) -> dict[str, Any]:
    return {
        "info": {
            "name": "timeoff-sync",
            "description": "The five time-off flows on both ways of calling.",
            "schema": _SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "event": [_script("prerequest", _dates())],
        "item": [
            {"name": "Token", "item": [_token()]},
            {"name": "Plain", "item": [_plain(place, *run) for run in _RUNS]},
            {
                "name": "Compatible",
                "item": [request for run in _RUNS for request in _compatible(place, *run)],
            },
        ],
    }


def environment(place: Place) -> dict[str, Any]:
    secrets = ("clientSecret", "token")
    return {
        "name": "timeoff-sync",
        "values": [
            {
                "key": key,
                "value": value,
                "type": "secret" if key in secrets else "default",
                "enabled": True,
            }
            for key, value in {"baseUrl": place.url(""), **_VARIABLES}.items()
        ],
        "_postman_variable_scope": "environment",
    }


def _dates() -> list[str]:
    """The first request sets the dates, for this run only: the environment would keep them for ever."""
    return [
        f"for (const [name, ahead] of Object.entries({json.dumps(_DAYS_AHEAD)})) {{",
        "  if (!pm.variables.get(name)) {",
        "    const day = new Date(Date.now() + ahead * 86400000);",
        "    pm.variables.set(name, day.toISOString().slice(0, 10));",
        "  }",
        "}",
    ]


# -- requests ------------------------------------------------------------------------------------------


def _token() -> dict[str, Any]:
    """Like the custom auth action of the data actions."""
    made = _request(
        "Token",
        "POST",
        TOKEN_PATH,
        [
            _test("status is 200", "pm.response.to.have.status(200);"),
            _test(
                "there is a bearer token",
                'pm.expect(pm.response.json().token_type).to.eql("Bearer");',
                'pm.expect(pm.response.json().access_token).to.be.a("string").that.is.not.empty;',
                'pm.environment.set("token", pm.response.json().access_token);',
            ),
        ],
    )
    made["request"]["auth"] = {
        "type": "basic",
        "basic": [
            {"key": "username", "value": "{{clientId}}", "type": "string"},
            {"key": "password", "value": "{{clientSecret}}", "type": "string"},
        ],
    }
    made["request"]["body"] = {
        "mode": "urlencoded",
        "urlencoded": [{"key": "grant_type", "value": "client_credentials", "type": "text"}],
    }
    return made


def _plain(place: Place, name: str, flow_name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    flow = FLOWS[flow_name]
    return _request(
        f"{name}: plain",
        "POST",
        place.plain(flow),
        [
            _test("status is 200", "pm.response.to.have.status(200);"),
            "const outputs = pm.response.json();",
            *_outputs(flow),
        ],
        body=inputs,
    )


def _compatible(place: Place, name: str, flow_name: str, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    flow = FLOWS[flow_name]
    title = place.title(flow)
    find = _request(
        f"{name}: find",
        "GET",
        f"{COMPATIBLE}?name={quote(title)}",
        [
            _test("status is 200", "pm.response.to.have.status(200);"),
            _test(
                "there is one workflow of this name",
                "const found = pm.response.json().entities;",
                f"pm.expect(found.map(each => each.name)).to.eql([{json.dumps(title)}]);",
                'pm.environment.set("flowId", found[0].id);',
            ),
        ],
    )
    launch = _request(
        f"{name}: launch",
        "POST",
        f"{COMPATIBLE}/executions",
        [
            _test("status is 200", "pm.response.to.have.status(200);"),
            _test(
                "the run has an id",
                'pm.expect(pm.response.json().id).to.be.a("string").that.is.not.empty;',
                'pm.environment.set("executionId", pm.response.json().id);',
                'pm.environment.set("looks", 0);',
            ),
        ],
        body={
            "flowId": "{{flowId}}",
            "name": f"try_{flow.name.replace('-', '_')}",
            **({"inputData": inputs} if inputs else {}),
        },
    )
    result = _request(
        f"{name}: result",
        "GET",
        f"{COMPATIBLE}/executions/{{{{executionId}}}}",
        [
            "const run = pm.response.json();",
            'const looks = Number(pm.environment.get("looks")) + 1;',
            'pm.environment.set("looks", looks);',
            f'if (run.status === "RUNNING" && looks < {_LOOKS}) {{',
            "  pm.execution.setNextRequest(pm.info.requestId);",
            f"  setTimeout(() => {{}}, {_PAUSE});",
            "} else {",
            "  const outputs = run.outputData || {};",
            *(
                f"  {line}"
                for line in _test("the run is over", 'pm.expect(run.status).to.eql("COMPLETED");').split("\n")
            ),
            *(f"  {line}" for block in _outputs(flow) for line in block.split("\n")),
            "}",
        ],
    )
    return [find, launch, result]


def _request(
    name: str, method: str, path: str, tests: list[str], *, body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    request: dict[str, Any] = {"method": method, "header": [], "url": "{{baseUrl}}" + path}
    if body is not None:
        request["header"] = [{"key": "Content-Type", "value": "application/json"}]
        request["body"] = {"mode": "raw", "raw": json.dumps(body, indent=2)}
    lines = [line for block in tests for line in block.split("\n")]
    return {"name": name, "event": [_script("test", lines)], "request": request}


def _script(listen: str, lines: list[str]) -> dict[str, Any]:
    return {"listen": listen, "script": {"type": "text/javascript", "exec": lines}}


def _outputs(flow: Flow) -> list[str]:
    """Numbers come as texts on the compatible way. The message is compared first: a failure shows it."""
    keys = json.dumps([variable.key for variable in flow.outputs])
    return [
        _test("every output is there", f"pm.expect(outputs).to.have.all.keys({keys});"),
        _test(
            "the run says Complete and 200",
            "const state = name => String(outputs[`Flow.${name}`]);",
            'pm.expect(state("errorMsg"), "errorMsg").to.eql("null");',
            'pm.expect(state("status"), "status").to.eql("Complete");',
            'pm.expect(state("statusCode"), "statusCode").to.eql("200");',
        ),
        _test("the outputs make sense", *_CHECKS[flow.name]),
    ]


def _test(name: str, *lines: str) -> str:
    return "\n".join([f'pm.test("{name}", () => {{', *(f"  {line}" for line in lines), "});"])


__all__ = ["collection", "environment"]
