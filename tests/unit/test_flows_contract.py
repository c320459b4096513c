"""The contract of the five workflows: what the published flows declare, without contradictions."""

from __future__ import annotations

import jsonschema
import pytest

from timeoff_balance.flows.contract import (
    FLOWS,
    GET_AGENTS,
    GET_BALANCE,
    GET_TIMEOFF_TYPES,
    INSERT_TIMEOFF,
    UPDATE_TIMEOFF,
    Flow,
    Kind,
    Status,
    input_schema,
    output_schema,
)
from timeoff_balance.flows.results import Result, complete, failed, outputs

#: Inputs and outputs that the published flows and data actions declare, all but the buckets of Get-Agents.
_BOOKING = (
    "agentId dates startDateTimes minDate maxDate timeOffStatus timeOffTypeId timeOffTypeId2 payableMinutes"
    " durationMinutes notes"
)
PUBLISHED = {
    "get-agents": ("", None),
    "get-timeoff-types": ("", "statusCode status errorMsg ids names id2s"),
    "get-balance": (
        "agentId inputDates inputTimeOffTypeIds inputTimeOffTypeId2s",
        "statusCode status errorMsg dates timeOffTypeIds balanceMinutesPerDay timeOffTypeId2s",
    ),
    "insert-timeoff": (_BOOKING, "statusCode status errorMsg timeOffRequestId error"),
    "update-timeoff": (
        _BOOKING + " inputTimeOffRequestId",
        "statusCode status errorMsg timeOffRequestId error",
    ),
}
COLLECTIONS = {
    "dates",
    "startDateTimes",
    "payableMinutes",
    "durationMinutes",
    "inputDates",
    "inputTimeOffTypeIds",
    "inputTimeOffTypeId2s",
    "ids",
    "names",
    "id2s",
    "timeOffTypeIds",
    "balanceMinutesPerDay",
    "timeOffTypeId2s",
}

every_flow = pytest.mark.parametrize("flow", FLOWS.values(), ids=lambda flow: flow.name)


@every_flow
def test_a_flow_has_the_variables_that_are_published(flow: Flow) -> None:
    inputs, declared = PUBLISHED[flow.name]
    assert {variable.name for variable in flow.inputs} == set(inputs.split())
    if declared is not None:
        assert {variable.name for variable in flow.outputs} == set(declared.split())
    for variable in (*flow.inputs, *flow.outputs):
        if variable.name == "statusCode":
            assert variable.kind is Kind.INTEGER
        elif variable.name in COLLECTIONS or variable.name.startswith(("emails", "externalIds")):
            assert variable.kind is Kind.STRINGS, variable.name
        else:
            assert variable.kind is Kind.STRING, variable.name


def test_get_agents_has_53_outputs() -> None:
    """Three that say how it ended, and 25 pairs of lists, the first without a number."""
    names = [variable.key for variable in GET_AGENTS.outputs]
    assert len(names) == len(set(names)) == 53
    expected = [f"Flow.{name}{n or ''}" for n in range(25) for name in ("emails", "externalIds")]
    assert names[3:] == expected


@every_flow
def test_every_run_begins_as_a_failure(flow: Flow) -> None:
    """A run that is cut off before it did anything must not read as a success (defect 7)."""
    initial = outputs(flow, Result())
    assert initial["Flow.statusCode"] == 500
    assert initial["Flow.status"] == "Error"
    for variable in flow.outputs:
        unset = variable.unset
        assert initial[variable.key] == (list(unset) if isinstance(unset, tuple) else unset)


@every_flow
@pytest.mark.parametrize("as_text", [False, True])
def test_what_is_answered_fits_the_schema_of_the_contract(flow: Flow, as_text: bool) -> None:
    schema = output_schema(flow, integers_as_text=as_text)
    for result in (Result(), failed(404, "gone"), complete({}), Result(Status.NOT_ALLOWED, 403)):
        answer = outputs(flow, result, integers_as_text=as_text)
        jsonschema.validate(answer, schema)
        assert isinstance(answer["Flow.statusCode"], str if as_text else int)


@pytest.mark.parametrize(
    ("status", "code", "values"),
    [
        (Status.COMPLETE, 500, {}),
        (Status.COMPLETE, 408, {}),
        (Status.ERROR, 200, {}),
        (Status.INSUFFICIENT_BALANCE, 409, {}),
        (Status.NOT_ALLOWED, 200, {}),
        (Status.ERROR, 500, {"ids": ("83",)}),
    ],
)
def test_code_and_status_cannot_contradict_each_other(
    status: Status, code: int, values: dict[str, tuple[str, ...]]
) -> None:
    with pytest.raises(ValueError):
        Result(status, code, None, values)


def test_more_than_2000_items_and_unknown_outputs_are_faults_of_ours() -> None:
    many = tuple(map(str, range(2001)))
    with pytest.raises(ValueError, match="2001 items"):
        outputs(GET_TIMEOFF_TYPES, complete({"ids": many}))
    with pytest.raises(ValueError, match="emails"):
        outputs(GET_TIMEOFF_TYPES, complete({"emails": ()}))


def test_a_message_is_never_longer_than_architect_takes() -> None:
    answer = outputs(GET_BALANCE, failed(400, "x" * 40_000))
    assert len(answer["Flow.errorMsg"]) == 32_000
    assert answer["Flow.errorMsg"].endswith("…")


def test_the_printed_inputs_fit_the_schema() -> None:
    printed = {
        "Flow.agentId": "452",
        "Flow.notes": "Testing timeoff",
        "Flow.dates": ["2025-03-29", "2025-03-30", "2025-03-31"],
        "Flow.minDate": "2025-03-29",
        "Flow.maxDate": "2025-03-31",
        "Flow.timeOffStatus": "APPROVED",
        "Flow.timeOffTypeId": "83",
        "Flow.payableMinutes": ["480", "480", "480"],
    }
    jsonschema.validate(printed, input_schema(INSERT_TIMEOFF))
    jsonschema.validate({**printed, "Flow.inputTimeOffRequestId": "4828"}, input_schema(UPDATE_TIMEOFF))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"Flow.inputDates": ["2025-06-01"]}, input_schema(GET_BALANCE))


def test_ids_of_workflows_never_change() -> None:
    """They stand in the settings of an integration."""
    assert GET_AGENTS.id("main") == "987b7f01-79d7-5d86-844d-dc52a182c233"
    ids = {flow.id(target) for flow in FLOWS.values() for target in ("main", "other")}
    assert len(ids) == 10
