"""What is deployed to Genesys Cloud: data actions and Architect workflows.

Promise: they import, and with them WFM gets from the balance service what the contract says, whatever stands
in a note and whatever goes wrong on the way.

There is no organisation here. In its place stand the documented rules: templates are rendered by a Velocity
engine, bodies go to the real service, answers come back through JSONPath and the output contract, and the
workflows are read and carried out, action by action. What Genesys Cloud itself makes of the files nobody has
seen yet; docs/how-to/genesys-workflows.md says so.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import airspeed
import jsonpath
import jsonschema
import pytest
import yaml
from deploy.genesys import generate
from tests.support.balance import sha256
from tests.support.flows import EVENTS, FLOWS, Blueprint, Json, blueprint

from timeoff_balance.flows import contract
from timeoff_balance.flows.contract import Kind

SECRET: Final = "0f6c2a"
#: Quotes, a backslash, line breaks, a control character, what looks like Velocity, and other scripts.
NOTE: Final = 'He said "no", then \\n;\nsecond line\r\tend\u0001 ${input.agentId} $esc #if(1) #end Grüße 休暇'

TITLES: Final = {
    "get-agents": "HRIS-Get-Agents",
    "get-timeoff-types": "HRIS-Get-TimeOff-Types",
    "get-balance": "HRIS-Get-Balance",
    "insert-timeoff": "HRIS-Insert-TimeOff",
    "update-timeoff": "HRIS-Update-TimeOff",
}
each_flow = pytest.mark.parametrize("name", TITLES)


def action_of(name: str) -> Json:
    path = generate.HERE / "data-actions" / f"{TITLES[name]}.custom.json"
    return dict(json.loads(path.read_text()))


def auth_action() -> Json:
    return dict(json.loads((generate.HERE / "data-actions" / "custom-auth-action.json").read_text()))


def workflow_of(name: str) -> Json:
    document = yaml.safe_load((generate.HERE / "flows" / f"{TITLES[name]}.yaml").read_text())
    assert list(document) == ["workflow"]
    return dict(document["workflow"])


# -- current -------------------------------------------------------------------------------------------


def test_the_files_are_what_the_contract_makes_of_them() -> None:
    assert generate.main(["--check"]) == 0, "run `make genesys-files`"


def test_a_file_that_is_changed_missing_or_left_over_is_not_current(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main(["--into", str(tmp_path)]) == 0
    assert generate.main(["--check", "--into", str(tmp_path)]) == 0
    changed = tmp_path / "flows" / "HRIS-Get-Balance.yaml"
    changed.write_text(changed.read_text() + "\n")
    missing = tmp_path / "data-actions" / "HRIS-Get-Agents.custom.json"
    missing.unlink()
    left_over = tmp_path / "flows" / "HRIS-Old.yaml"
    shutil.copy(changed, left_over)
    assert generate.main(["--check", "--into", str(tmp_path)]) == 1
    said = capsys.readouterr().err.split()
    assert [path for path in said if path.startswith("/")] == [str(missing), str(changed), str(left_over)]


def test_files_for_another_place_name_it_everywhere(tmp_path: Path) -> None:
    place = ["--address", "https://hr.acme.example/timeoff/", "--integration", "HR: time off"]
    assert generate.main(["--into", str(tmp_path), *place, "--division", "Europe", "--target", "a b"]) == 0
    action = json.loads((tmp_path / "data-actions" / "HRIS-Get-Balance.custom.json").read_text())
    url = action["config"]["request"]["requestUrlTemplate"]
    assert url == "https://hr.acme.example/timeoff/v1/flows/get-balance?target=a+b"
    assert action["name"] == "HRIS-Get-Balance (a b)"
    auth = json.loads((tmp_path / "data-actions" / "custom-auth-action.json").read_text())
    assert auth["credentialFields"]["loginUrl"] == "https://hr.acme.example/timeoff/oauth/token"
    flow = yaml.safe_load((tmp_path / "flows" / "HRIS-Get-Balance.yaml").read_text())["workflow"]
    assert (flow["name"], flow["division"]) == ("HRIS-Get-Balance (a b)", "Europe")
    assert list(call_of(flow)["category"]) == ["HR: time off"]
    assert list(call_of(flow)["category"]["HR: time off"]["dataAction"]) == ["HRIS-Get-Balance (a b)"]
    values = json.loads((tmp_path / "postman" / "timeoff-sync.postman_environment.json").read_text())[
        "values"
    ]
    assert {"https://hr.acme.example/timeoff"} == {v["value"] for v in values if v["key"] == "baseUrl"}
    requests = (tmp_path / "postman" / "timeoff-sync.postman_collection.json").read_text()
    assert "/v1/flows/get-balance?target=a+b" in requests
    assert "/api/v2/flows?name=HRIS-Get-Balance%20%28a%20b%29" in requests


@pytest.mark.parametrize(
    "address",
    ["balance.example.com", "http://a.example", "ftp://a.example", "https://a/${x}", "https://a?b=c"],
)
def test_an_address_that_is_none_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as refused:
        generate.main(["--into", str(tmp_path), "--address", address])
    assert refused.value.code == 2
    assert not list(tmp_path.iterdir())


# -- data actions: the rules of the format -------------------------------------------------------------

#: What an exported custom action of a Web Services Data Actions integration is made of.
EXPORT: Final[Json] = {
    "type": "object",
    "required": ["name", "integrationType", "actionType", "config", "contract", "secure"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 256},
        "integrationType": {"const": "custom-rest-actions"},
        "actionType": {"const": "custom"},
        "secure": {"type": "boolean"},
        "config": {
            "type": "object",
            "required": ["request", "response"],
            "additionalProperties": False,
            "properties": {
                "timeoutSeconds": {"type": "integer", "minimum": 1, "maximum": 60},
                "request": {
                    "type": "object",
                    "required": ["requestUrlTemplate", "requestType", "requestTemplate"],
                    "additionalProperties": False,
                    "properties": {
                        "requestUrlTemplate": {"type": "string", "pattern": "^https?://"},
                        "requestType": {"enum": ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]},
                        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                        "requestTemplate": {"type": "string"},
                    },
                },
                "response": {
                    "type": "object",
                    "required": ["translationMap", "translationMapDefaults", "successTemplate"],
                    "additionalProperties": False,
                    "properties": {
                        "translationMap": {"type": "object", "additionalProperties": {"type": "string"}},
                        "translationMapDefaults": {
                            "type": "object",
                            "additionalProperties": {"type": "string"},
                        },
                        "successTemplate": {"type": "string"},
                    },
                },
            },
        },
        "contract": {
            "type": "object",
            "required": ["input", "output"],
            "properties": {
                "input": {"type": "object", "required": ["inputSchema"]},
                "output": {"type": "object", "required": ["successSchema"]},
            },
        },
    },
}
RESERVED: Final = {"orgId", "integrationId", "rawRequest"}
REFERENCE: Final = re.compile(r"\$!?\{?([A-Za-z][\w.]*)")


def depth(value: Any) -> int:
    if isinstance(value, dict | list):
        return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


def references(template: str) -> list[str]:
    """Names that a template reads, without the tools of Genesys Cloud."""
    return [name for name in REFERENCE.findall(template) if name.split(".")[0] not in {"esc", "encoding"}]


@each_flow
def test_a_data_action_has_the_form_of_an_export(name: str) -> None:
    action = action_of(name)
    jsonschema.validate(action, EXPORT)
    assert action["name"] == TITLES[name]
    assert action["config"]["request"]["requestType"] == "POST"
    assert depth(action) <= 50


@each_flow
def test_inputs_are_flat_and_are_those_of_the_flow(name: str) -> None:
    schema = action_of(name)["contract"]["input"]["inputSchema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    flow = contract.FLOWS[name]
    assert list(schema["properties"]) == [variable.name for variable in flow.inputs]
    assert schema["required"] == [variable.name for variable in flow.inputs if variable.mandatory]
    for input_name, shape in schema["properties"].items():
        assert shape["type"] == "string"
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", input_name)
        assert input_name not in RESERVED


@each_flow
def test_templates_read_only_what_is_declared_and_all_of_it(name: str) -> None:
    action = action_of(name)
    request, response = action["config"]["request"], action["config"]["response"]
    declared = {f"input.{each}" for each in action["contract"]["input"]["inputSchema"]["properties"]}
    assert set(references(request["requestTemplate"])) == declared
    assert not references(request["requestUrlTemplate"])
    headers = [found for header in request["headers"].values() for found in references(header)]
    assert headers == ["authResponse.access_token"]
    outputs = action["contract"]["output"]["successSchema"]["properties"]
    assert set(references(response["successTemplate"])) == set(response["translationMap"]) == set(outputs)


@each_flow
def test_every_input_is_escaped(name: str) -> None:
    template = action_of(name)["config"]["request"]["requestTemplate"]
    unescaped = re.sub(r'"\$!esc\.jsonString\(\$\{input\.\w+\}\)"', "", template)
    assert "$" not in unescaped


@each_flow
def test_outputs_are_those_of_the_flow(name: str) -> None:
    action, flow = action_of(name), contract.FLOWS[name]
    schema = action["contract"]["output"]["successSchema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    shapes = {Kind.STRING: "string", Kind.INTEGER: "integer", Kind.STRINGS: "array"}
    assert {n: s["type"] for n, s in schema["properties"].items()} == {
        variable.name: shapes[variable.kind] for variable in flow.outputs
    }
    assert all(
        s["items"] == {"type": "string"} for s in schema["properties"].values() if s["type"] == "array"
    )
    paths = action["config"]["response"]["translationMap"]
    answer = {variable.key: f"value of {variable.name}" for variable in flow.outputs}
    assert {n: jsonpath.findall(path, answer) for n, path in paths.items()} == {
        variable.name: [answer[variable.key]] for variable in flow.outputs
    }


@each_flow
def test_defaults_fit_the_output_contract_and_say_failure(name: str) -> None:
    action = action_of(name)
    defaults = {
        key: json.loads(text) for key, text in action["config"]["response"]["translationMapDefaults"].items()
    }
    jsonschema.validate(defaults, action["contract"]["output"]["successSchema"])
    assert (defaults["statusCode"], defaults["status"]) == (500, "Error")
    assert all(value == [] for value in defaults.values() if isinstance(value, list))


def test_get_agents_hands_on_all_53_outputs() -> None:
    assert len(action_of("get-agents")["config"]["response"]["translationMap"]) == 53


def test_the_auth_action_reads_its_credential_and_nothing_else() -> None:
    action = auth_action()
    request, response = action["config"]["request"], action["config"]["response"]
    assert "timeoutSeconds" not in action["config"]
    texts = [request["requestUrlTemplate"], request["requestTemplate"], *request["headers"].values()]
    read = {found for text in texts for found in references(text)}
    assert read == {f"credentials.{each}" for each in action["credentialFields"]}
    assert references(response["successTemplate"]) == list(response["translationMap"]) == ["access_token"]


# -- workflows: every variable -------------------------------------------------------------------------

TEXT, NUMBER, TEXTS = "stringVariable", "integerVariable", "stringCollectionVariable"
#: An initial value of nothing.
UNSET: Final = {"noValue": True}

# Typed from a description of the published flows, not from the code. Initial values of ours are those of
# `statusCode` (published: 200) and `status` (published: `Complete` for insert and update), which have to say
# failure, and those of `timeOffStatus` and `notes` (published: a value of their own; ours has none).
STATE: Final = [
    ("Flow.statusCode", NUMBER, {"lit": 500}),
    ("Flow.status", TEXT, {"lit": "Error"}),
    ("Flow.errorMsg", TEXT, UNSET),
]
BOOKING: Final = [
    ("Flow.agentId", TEXT),
    ("Flow.dates", TEXTS),
    ("Flow.minDate", TEXT),
    ("Flow.maxDate", TEXT),
    ("Flow.timeOffStatus", TEXT),
    ("Flow.timeOffTypeId", TEXT),
    ("Flow.payableMinutes", TEXTS),
    ("Flow.notes", TEXT),
    ("Flow.startDateTimes", TEXTS),
    ("Flow.durationMinutes", TEXTS),
    ("Flow.timeOffTypeId2", TEXT),
]
INPUTS: Final = {
    "get-agents": [],
    "get-timeoff-types": [],
    "get-balance": [
        ("Flow.agentId", TEXT),
        ("Flow.inputDates", TEXTS),
        ("Flow.inputTimeOffTypeIds", TEXTS),
        ("Flow.inputTimeOffTypeId2s", TEXTS),
    ],
    "insert-timeoff": BOOKING,
    "update-timeoff": [*BOOKING, ("Flow.inputTimeOffRequestId", TEXT)],
}
BOOKED: Final = [*STATE, ("Flow.timeOffRequestId", TEXT, UNSET), ("Flow.error", TEXT, UNSET)]
OUTPUTS: Final = {
    "get-agents": [
        *STATE,
        ("Flow.emails", TEXTS, UNSET),
        ("Flow.externalIds", TEXTS, UNSET),
        *(
            (f"Flow.{what}{number}", TEXTS, UNSET)
            for number in range(1, 25)
            for what in ("emails", "externalIds")
        ),
    ],
    "get-timeoff-types": [
        *STATE,
        ("Flow.ids", TEXTS, UNSET),
        ("Flow.names", TEXTS, UNSET),
        ("Flow.id2s", TEXTS, UNSET),
    ],
    "get-balance": [
        *STATE,
        ("Flow.dates", TEXTS, UNSET),
        ("Flow.timeOffTypeIds", TEXTS, UNSET),
        ("Flow.balanceMinutesPerDay", TEXTS, UNSET),
        ("Flow.timeOffTypeId2s", TEXTS, UNSET),
    ],
    "insert-timeoff": BOOKED,
    "update-timeoff": BOOKED,
}


def variables(declared: list[Json]) -> Iterator[tuple[str, Json]]:
    for each in declared:
        ((kind, variable),) = each.items()
        yield kind, variable


@each_flow
def test_a_workflow_declares_each_variable_as_the_published_one_does(name: str) -> None:
    declared = list(variables(workflow_of(name)["variables"]))
    found = {
        direction: sorted(
            (variable["name"], kind, json.dumps(variable["initialValue"]))
            for kind, variable in declared
            if (variable["isInput"], variable["isOutput"]) == flags
        )
        for direction, flags in (("in", (True, False)), ("out", (False, True)))
    }
    assert found == {
        "in": sorted((key, kind, json.dumps(UNSET)) for key, kind in INPUTS[name]),
        "out": sorted((key, kind, json.dumps(initial)) for key, kind, initial in OUTPUTS[name]),
    }
    assert len(declared) == len(INPUTS[name]) + len(OUTPUTS[name])


@each_flow
def test_a_workflow_declares_each_variable_as_the_contract_does(name: str) -> None:
    kinds = {Kind.STRING: TEXT, Kind.INTEGER: NUMBER, Kind.STRINGS: TEXTS}
    flow = contract.FLOWS[name]
    wanted = [
        (
            kinds[variable.kind],
            {
                "name": variable.key,
                "description": variable.about,
                "initialValue": UNSET if variable.initial is None else {"lit": variable.initial},
                "isInput": variable in flow.inputs,
                "isOutput": variable in flow.outputs,
            },
        )
        for variable in (*flow.inputs, *flow.outputs)
    ]
    assert list(variables(workflow_of(name)["variables"])) == wanted


@each_flow
def test_a_workflow_starts_in_its_state_and_ends_on_an_error(name: str) -> None:
    flow = workflow_of(name)
    (state,) = (each["state"] for each in flow["states"])
    assert flow["startUpRef"] == f"/workflow/states/state[{state['refId']}]"
    assert flow["settingsErrorHandling"] == {"errorHandling": {"endWorkflow": {"none": True}}}
    assert [next(iter(action)) for action in state["actions"]][-2:] == ["callData", "endWorkflow"]


def call_of(flow: Json) -> Json:
    (state,) = (each["state"] for each in flow["states"])
    (call,) = (action["callData"] for action in state["actions"] if "callData" in action)
    return dict(call)


@each_flow
def test_a_workflow_calls_its_data_action_with_all_inputs_and_takes_over_all_outputs(name: str) -> None:
    call, action = call_of(workflow_of(name)), action_of(name)
    (category,) = call["category"].values()
    assert list(category["dataAction"]) == [action["name"]]
    bound = category["dataAction"][action["name"]]
    assert set(bound.get("inputs", {})) == set(action["contract"]["input"]["inputSchema"]["properties"])
    assert bound["successOutputs"] == {
        each: {"var": f"Flow.{each}"} for each in action["contract"]["output"]["successSchema"]["properties"]
    }
    # What else a failure tells may quote the call.
    read = {key for key, value in bound["failureOutputs"].items() if value != UNSET}
    assert read == {"errorCode", "status"}


# -- both, carried out ---------------------------------------------------------------------------------


class Escapes:
    """The tools of Genesys Cloud's templates, `esc` and `encoding`."""

    def jsonString(self, text: str | None) -> str | None:
        return None if text is None else json.dumps(text, ensure_ascii=False)[1:-1]

    def base64(self, text: str) -> str:
        return base64.b64encode(text.encode()).decode()


def rendered(template: str, **names: Any) -> str:
    tools = Escapes()
    return str(airspeed.Template(template).merge({"esc": tools, "encoding": tools, **names}))


class DataActionFailed(Exception):
    """The branch *failure*; `status` is what the branch is told."""

    def __init__(self, status: int | None, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class DataActionTimedOut(Exception):
    """The branch *timeout*."""


@dataclass
class Organisation:
    """Genesys Cloud as far as it is documented: runs workflows, and the data actions that they call."""

    address: str
    http: aiohttp.ClientSession
    secret: str = SECRET
    sent: list[Json] = field(default_factory=list)
    #: instead of an answer
    trouble: Exception | None = None

    async def token(self) -> str:
        config = auth_action()["config"]
        fields = {
            "loginUrl": f"{self.address}/oauth/token",
            "clientId": "genesys",
            "clientSecret": self.secret,
        }
        request = config["request"]
        async with self.http.request(
            request["requestType"],
            rendered(request["requestUrlTemplate"], credentials=fields),
            headers={name: rendered(text, credentials=fields) for name, text in request["headers"].items()},
            data=rendered(request["requestTemplate"], credentials=fields),
        ) as response:
            if response.status != 200:
                raise DataActionFailed(response.status, "bad.gateway")
            answer = await response.json()
        return str(translated(config["response"], answer)["access_token"])

    async def execute(self, action: Json, inputs: Mapping[str, Any]) -> Json:
        """The outputs. Raises as the branches of *Call Data Action*."""
        if self.trouble is not None:
            raise self.trouble
        schema = action["contract"]["input"]["inputSchema"]
        try:
            jsonschema.validate(dict(inputs), schema)
        except jsonschema.ValidationError:
            raise DataActionFailed(400, "bad.request") from None
        request = action["config"]["request"]
        names = {"input": dict(inputs), "authResponse": {"access_token": await self.token()}}
        body = rendered(request["requestTemplate"], **names)
        self.sent.append(json.loads(body))
        url = rendered(request["requestUrlTemplate"], **names)
        async with self.http.request(
            request["requestType"],
            url.replace("https://balance.example.com", self.address),
            headers={name: rendered(text, **names) for name, text in request["headers"].items()},
            data=body.encode(),
        ) as response:
            if response.status >= 300:
                raise DataActionFailed(response.status, "bad.gateway")
            answer = await response.json()
        outputs = translated(action["config"]["response"], answer)
        try:
            jsonschema.validate(outputs, action["contract"]["output"]["successSchema"])
        except jsonschema.ValidationError:
            raise DataActionFailed(200, "invalid.response") from None
        return outputs

    async def run(self, name: str, inputs: Mapping[str, Any] | None = None) -> Json:
        return await Run(self, name, inputs or {}).outputs()


def translated(response: Json, answer: Any) -> Json:
    """What is found becomes JSON text, a null too; what is not found has its default, or no value."""
    values = dict(response["translationMapDefaults"])
    for name, path in response["translationMap"].items():
        found = jsonpath.findall(path, answer)
        if found:
            values[name] = json.dumps(found[0], ensure_ascii=False)
    return dict(json.loads(rendered(response["successTemplate"], **values)))


class Named(dict[str, Any]):
    """Variables behind a prefix, as expressions read them."""

    __getattr__ = dict.__getitem__


#: The functions that the expressions use. A value that is not set is None.
FUNCTIONS: Final[Mapping[str, Any]] = {
    "If": lambda condition, yes, no: yes if condition else no,
    "IsNotSetOrEmpty": lambda value: value is None or len(value) == 0,
    "Count": len,
    "GetAt": lambda values, index: values[index] if index < len(values) else None,
    "ToString": str,
}


class Run:
    """One run of a workflow. Expressions of the files are Python too, with the functions above; one that
    cannot be computed ends the run, as `endWorkflow` of the error handling has it.
    """

    def __init__(self, org: Organisation, name: str, inputs: Mapping[str, Any]) -> None:
        self._org, self._name = org, name
        self._flow = workflow_of(name)
        (state,) = (each["state"] for each in self._flow["states"])
        self._actions = state["actions"]
        self._values = {"Flow": Named(), "State": Named()}
        for _, variable in variables([*self._flow["variables"], *state["variables"]]):
            self._assign(variable["name"], variable["initialValue"].get("lit"))
        declared = {v["name"] for _, v in variables(self._flow["variables"]) if v["isInput"]}
        assert inputs.keys() <= declared
        for key, value in inputs.items():
            self._assign(key, value)

    async def outputs(self) -> Json:
        try:
            await self._all(self._actions)
        except (TypeError, KeyError, IndexError):
            pass
        declared = [(k, v["name"]) for k, v in variables(self._flow["variables"]) if v["isOutput"]]
        shown = {key: self._values["Flow"][key.removeprefix("Flow.")] for _, key in declared}
        return {key: [] if kind == TEXTS and shown[key] is None else shown[key] for kind, key in declared}

    async def _all(self, actions: list[Json]) -> None:
        for each in actions:
            ((kind, action),) = each.items()
            match kind:
                case "updateData":
                    for statement in action["statements"]:
                        ((_, set_),) = statement.items()
                        self._assign(set_["variable"], self._value(set_["value"]))
                case "loop":
                    for index in range(self._value(action["loopCount"])):
                        self._assign(action["currentIndex"]["var"], index)
                        await self._all(action["outputs"]["loop"]["actions"])
                case "decision":
                    branch = "yes" if self._value(action["condition"]) else "no"
                    await self._all(action["outputs"].get(branch, {"actions": []})["actions"])
                case "callData":
                    await self._call(action)
                case _:
                    assert kind == "endWorkflow"

    async def _call(self, call: Json) -> None:
        (category,) = call["category"].values()
        ((title, bound),) = category["dataAction"].items()
        action = action_of(self._name)
        assert action["name"] == title
        given = {name: self._value(value) for name, value in bound.get("inputs", {}).items()}
        try:
            outputs = await self._org.execute(action, {k: v for k, v in given.items() if v is not None})
        except DataActionFailed as error:
            told = {"errorCode": error.code, "status": error.status}
            for name, where in bound["failureOutputs"].items():
                if "var" in where:
                    self._assign(where["var"], told[name])
            await self._all(call["outputs"]["failure"]["actions"])
        except DataActionTimedOut:
            await self._all(call["outputs"]["timeout"]["actions"])
        else:
            for name, where in bound["successOutputs"].items():
                self._assign(where["var"], outputs.get(name))

    def _value(self, value: Json) -> Any:
        if "lit" in value:
            return value["lit"]
        return eval(value["exp"], {"__builtins__": {}, **FUNCTIONS, **self._values})

    def _assign(self, name: str, value: Any) -> None:
        scope, _, rest = name.partition(".")
        self._values[scope][rest] = value


CLIENTS: Final = [{"client_id": "genesys", "secret_sha256": sha256(SECRET), "access": "read-write"}]


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Blueprint]:
    async with blueprint(database_url, balance={"clients": CLIENTS}) as running:
        yield running


@pytest.fixture
async def org(place: Blueprint) -> Organisation:
    return Organisation(place.url, place.http)


def booking(*dates: str, **changes: Any) -> Json:
    return {
        "Flow.agentId": "452",
        "Flow.dates": list(dates),
        "Flow.minDate": dates[0],
        "Flow.maxDate": dates[-1],
        "Flow.timeOffStatus": "APPROVED",
        "Flow.timeOffTypeId": "83",
        "Flow.payableMinutes": ["480"] * len(dates),
        **{f"Flow.{name}": value for name, value in changes.items()},
    }


def state(outputs: Json) -> tuple[int, str]:
    return outputs["Flow.statusCode"], outputs["Flow.status"]


async def test_lists_of_who_and_what_arrive_whole(place: Blueprint, org: Organisation) -> None:
    for name in ("get-agents", "get-timeoff-types"):
        outputs = await org.run(name)
        assert outputs == await place.run("plain", name)
        assert state(outputs) == (200, "Complete")
        assert outputs["Flow.errorMsg"] is None, "a null that is found leaves the output not set"


async def test_a_balance_arrives_with_what_it_leaves_out(place: Blueprint, org: Organisation) -> None:
    asked = {
        "Flow.agentId": "452",
        "Flow.inputDates": ["2025-06-01", "2025-06-02"],
        "Flow.inputTimeOffTypeIds": ["83", "90"],
    }
    outputs = await org.run("get-balance", asked)
    assert outputs == await place.run("plain", "get-balance", asked)
    assert outputs["Flow.dates"] == ["2025-06-01", "2025-06-02"]
    assert "90" in outputs["Flow.errorMsg"]
    assert json.loads(org.sent[0]["Flow.inputDates"]) == ["2025-06-01", "2025-06-02"]


async def test_a_second_id_that_is_not_set_keeps_its_place(org: Organisation) -> None:
    asked = {
        "Flow.agentId": "452",
        "Flow.inputDates": ["2025-06-01"],
        "Flow.inputTimeOffTypeIds": ["90", "83"],
        "Flow.inputTimeOffTypeId2s": [None, ""],
    }
    outputs = await org.run("get-balance", asked)
    assert json.loads(org.sent[0]["Flow.inputTimeOffTypeId2s"]) == ["", ""]
    assert outputs["Flow.timeOffTypeIds"] == ["83"]


async def test_a_note_arrives_as_it_was_written(org: Organisation) -> None:
    inputs = booking(
        "2025-03-31", notes=NOTE, startDateTimes=["2025-03-31T09:00:00"], durationMinutes=["480"]
    )
    outputs = await org.run("insert-timeoff", inputs)
    assert state(outputs) == (200, "Complete"), outputs["Flow.errorMsg"]
    assert outputs["Flow.timeOffRequestId"]
    (sent,) = org.sent
    assert sent["Flow.notes"] == NOTE
    assert json.loads(sent["Flow.startDateTimes"]) == ["2025-03-31T09:00:00"]
    assert sent.keys() == {variable.key for variable in contract.FLOWS["insert-timeoff"].inputs}


@pytest.mark.parametrize("path", [EVENTS, FLOWS])
async def test_an_update_may_name_any_id_that_was_answered(database_url: str, path: str) -> None:
    async with blueprint(database_url, write_path=path, balance={"clients": CLIENTS}) as place:
        org = Organisation(place.url, place.http)
        inserted = await org.run("insert-timeoff", booking("2025-03-31", notes=NOTE))
        assert state(inserted) == (200, "Complete"), inserted["Flow.errorMsg"]
        first = inserted["Flow.timeOffRequestId"]
        more = booking("2025-03-31", "2025-04-01", inputTimeOffRequestId=first)
        updated = await org.run("update-timeoff", more)
        assert state(updated) == (200, "Complete"), updated["Flow.errorMsg"]
        assert json.loads(org.sent[-1]["Flow.payableMinutes"]) == ["480", "480"]
        if path == FLOWS:
            (entry,) = await place.entries("approved")
            assert list(entry["dates"]) == ["2025-03-31", "2025-04-01"]
        back = {**more, "Flow.timeOffStatus": "CANCELED"}
        assert state(await org.run("update-timeoff", back)) == (200, "Complete")
        assert await place.entries("approved") == []


async def test_want_of_balance_is_a_success_with_a_word(org: Organisation) -> None:
    days = [f"2025-04-{day:02}" for day in range(1, 31)]
    outputs = await org.run("insert-timeoff", booking(*days, timeOffStatus="PENDING"))
    assert state(outputs) == (200, "InsufficientBalance")
    assert outputs["Flow.timeOffRequestId"] is None


@pytest.mark.parametrize(
    ("name", "inputs", "missing"),
    [
        ("get-balance", {}, "Flow.agentId is missing"),
        ("insert-timeoff", {"Flow.agentId": "452"}, "Flow.dates is missing"),
        ("update-timeoff", booking("2025-03-31"), "Flow.inputTimeOffRequestId is missing"),
    ],
)
async def test_what_is_missing_is_named_by_the_service(
    org: Organisation, name: str, inputs: Json, missing: str
) -> None:
    outputs = await org.run(name, inputs)
    assert state(outputs) == (400, "Error")
    assert missing in outputs["Flow.errorMsg"]


# -- when the call comes to nothing --------------------------------------------------------------------


def nothing(name: str) -> Json:
    """The outputs of a failure beside its state."""
    return {
        variable.key: list(variable.unset) if isinstance(variable.unset, tuple) else variable.unset
        for variable in contract.FLOWS[name].outputs
        if variable.name not in ("statusCode", "status", "errorMsg")
    }


def rest(outputs: Json) -> Json:
    return {k: v for k, v in outputs.items() if k not in ("Flow.statusCode", "Flow.status", "Flow.errorMsg")}


def inputs_of(name: str) -> Json:
    if name == "get-balance":
        return {"Flow.agentId": "452", "Flow.inputDates": ["2025-06-01"], "Flow.inputTimeOffTypeIds": ["83"]}
    more = {"inputTimeOffRequestId": "1"} if name == "update-timeoff" else {}
    return booking("2025-03-31", notes=NOTE, **more) if contract.FLOWS[name].writes else {}


@each_flow
async def test_a_refused_client_is_a_failure_with_its_status(org: Organisation, name: str) -> None:
    org.secret = "of somebody else"
    outputs = await org.run(name, inputs_of(name))
    assert state(outputs) == (401, "Error")
    assert "401" in outputs["Flow.errorMsg"]
    assert rest(outputs) == nothing(name)


@each_flow
@pytest.mark.parametrize(
    ("trouble", "wanted"),
    [
        (DataActionFailed(429, "too.many.requests"), (429, "Error")),
        (DataActionFailed(503, "service.unavailable"), (503, "Error")),
        # the answer did not fit the output contract
        (DataActionFailed(200, "invalid.response"), (502, "Error")),
        (DataActionTimedOut(), (408, "Error")),
        # Genesys Cloud told no status: the expressions cannot be computed
        (DataActionFailed(None, "unknown"), (500, "Error")),
        # an action of the workflow failed
        (TypeError("no such function"), (500, "Error")),
    ],
    ids=lambda value: str(value) if isinstance(value, Exception) else "",
)
async def test_no_answer_is_a_failure_whatever_the_cause(
    name: str, trouble: Exception, wanted: tuple[int, str]
) -> None:
    async with aiohttp.ClientSession() as http:
        outputs = await Organisation("http://127.0.0.1:9", http, trouble=trouble).run(name, inputs_of(name))
    assert state(outputs) == wanted
    assert rest(outputs) == nothing(name)
    assert NOTE not in str(outputs["Flow.errorMsg"])


@each_flow
async def test_an_answer_of_somebody_else_is_no_success(place: Blueprint, name: str) -> None:
    """JSON and 200, but not of the balance service: a wrong address, a page of a proxy."""
    action = action_of(name)
    outputs = translated(action["config"]["response"], {"status": "ok", "data": [], "statusCode": 200})
    jsonschema.validate(outputs, action["contract"]["output"]["successSchema"])
    assert (outputs["statusCode"], outputs["status"]) == (500, "Error")
    assert outputs["errorMsg"]


@each_flow
def test_every_answer_fits_whatever_may_be_null(name: str) -> None:
    """All that the contract lets be null is null, or all is there."""
    action, flow = action_of(name), contract.FLOWS[name]
    for full in (False, True):
        answer = {variable.key: example(variable.kind, variable.unset, full) for variable in flow.outputs}
        outputs = translated(action["config"]["response"], answer)
        jsonschema.validate(outputs, action["contract"]["output"]["successSchema"])
        assert outputs == {key.removeprefix("Flow."): v for key, v in answer.items() if v is not None}


def example(kind: Kind, unset: Any, full: bool) -> Any:
    if kind is Kind.STRINGS:
        return [NOTE, "null", ""] if full else []
    if kind is Kind.INTEGER:
        return 200
    # The word is no null.
    return "null" if full else unset


def test_a_flow_is_not_forgotten() -> None:
    assert {name: flow.title for name, flow in contract.FLOWS.items()} == TITLES
