"""The examples of the Genesys Cloud blueprint for WFM and an HRIS that read, on both ways of calling.

Those that write are in test_blueprint_booking.py. The sandbox holds what the printed answers show, and its
clock stands on the day of the printed runs, 26 March 2025. Each test that names a defect shows that the
published flows' defect is not here; numbers are those of docs/reference/flows.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import pytest
from tests.support.balance import at_once
from tests.support.flows import COMPATIBLE, PLAIN, TITLES, Blueprint, Json, blueprint

from timeoff_balance import directory

PRINTED_QUESTION = {
    "Flow.inputDates": ["2025-06-01"],
    "Flow.inputTimeOffTypeIds": ["83", "90", "85"],
    "Flow.agentId": "452",
}
BUCKETS = [f"Flow.{name}{n}" for n in range(1, 25) for name in ("emails", "externalIds")]
NO_ROWS: Json = {
    "Flow.dates": [],
    "Flow.timeOffTypeIds": [],
    "Flow.balanceMinutesPerDay": [],
    "Flow.timeOffTypeId2s": [],
}

both_ways = pytest.mark.parametrize("way", [PLAIN, COMPATIBLE])


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Blueprint]:
    async with blueprint(database_url) as running:
        yield running


def state(answer: Json) -> tuple[int, str]:
    return int(answer["Flow.statusCode"]), answer["Flow.status"]


def rows(answer: Json) -> list[tuple[str, str, str]]:
    names = ("dates", "timeOffTypeIds", "balanceMinutesPerDay")
    return list(zip(*(answer[f"Flow.{name}"] for name in names), strict=True))


# -- the printed examples ------------------------------------------------------------------------------


@both_ways
async def test_get_agents_as_printed(place: Blueprint, way: str) -> None:
    assert await place.run(way, "get-agents") == {
        "Flow.statusCode": "200" if way == COMPATIBLE else 200,
        "Flow.status": "Complete",
        "Flow.errorMsg": None,
        "Flow.emails": [
            "user.one@companydomain.com",
            "user.two@companydomain.com",
            "user.three@companydomain.com",
        ],
        "Flow.externalIds": ["313", "332", "452"],
        **{key: [] for key in BUCKETS},
    }


@both_ways
async def test_get_timeoff_types_as_printed(place: Blueprint, way: str) -> None:
    assert await place.run(way, "get-timeoff-types") == {
        "Flow.statusCode": "200" if way == COMPATIBLE else 200,
        "Flow.status": "Complete",
        "Flow.errorMsg": None,
        "Flow.ids": ["83", "90", "85"],
        "Flow.names": ["Open Time Off", "Study Day", "Budgeted days"],
        "Flow.id2s": [],
    }


@both_ways
async def test_get_balance_as_printed_but_for_what_was_not_asked(place: Blueprint, way: str) -> None:
    """The printed answer has a row of type 84, which came from the filter that was missing; 90 and 85 have no
    balance, and that is said."""
    assert await place.run(way, "get-balance", PRINTED_QUESTION) == {
        "Flow.statusCode": "200" if way == COMPATIBLE else 200,
        "Flow.status": "Complete",
        "Flow.errorMsg": "unlimited, no balance is kept: 90, 85",
        "Flow.dates": ["2025-06-01"],
        "Flow.timeOffTypeIds": ["83"],
        "Flow.balanceMinutesPerDay": ["9600"],
        "Flow.timeOffTypeId2s": [],
    }


async def test_a_run_is_launched_and_followed_as_printed(place: Blueprint) -> None:
    launched = await place.launch("get-balance", PRINTED_QUESTION, name="try_get_balance")
    id, flow = launched["id"], await place.flow_id("get-balance")
    assert launched == {
        "id": id,
        "name": "try_get_balance",
        "flowVersion": {"id": "1.0", "name": "1.0", "selfUri": f"/api/v2/flows/{flow}/versions/1.0"},
        "selfUri": f"/api/v2/flows/executions/{id}",
    }
    followed = await place.follow(id)
    version = followed.pop("flowVersion")
    assert (version["id"], version["selfUri"]) == ("1.0", f"/api/v2/flows/{flow}/versions/1.0")
    assert followed.pop("outputData")["Flow.status"] == "Complete"
    launched_at, completed_at = followed.pop("dateLaunched"), followed.pop("dateCompleted")
    assert len(launched_at) == len("2025-03-26T19:50:17.823Z")
    assert launched_at.endswith("Z")
    assert launched_at <= completed_at
    assert followed == {
        "id": id,
        "name": "try_get_balance",
        "status": "COMPLETED",
        "completionReason": "Success",
        "selfUri": f"/api/v2/flows/executions/{id}",
    }


async def test_a_run_begins_whatever_it_is_given(place: Blueprint) -> None:
    """What the requests of the published Postman collection expect: 200 and an id that is a string."""
    for flow in TITLES:
        ended = 200 if flow in ("get-agents", "get-timeoff-types") else 400
        for body in ({}, {"inputData": {}}, {"inputData": None}):
            reply = await place.post(
                "/api/v2/flows/executions", {"flowId": await place.flow_id(flow), **body}
            )
            assert reply.status == 200
            assert isinstance(reply.json["id"], str)
            outputs = (await place.follow(reply.json["id"]))["outputData"]
            assert state(outputs) == (ended, "Complete" if ended == 200 else "Error")


async def test_workflows_are_found_by_name_and_by_id(place: Blueprint) -> None:
    """The collection sends the name in quotes."""
    for query in ('name="HRIS-Get-Balance"', "name=hris-get-balance", "name=HRIS-*Balance"):
        found = (await place.get(f"/api/v2/flows?{query}")).json
        assert [flow["name"] for flow in found["entities"]] == ["HRIS-Get-Balance"]
        assert (found["total"], found["pageCount"], found["pageNumber"]) == (1, 1, 1)
    flow = found["entities"][0]
    assert (await place.get(f"/api/v2/flows/{flow['id']}")).json == flow
    assert flow["selfUri"] == f"/api/v2/flows/{flow['id']}"
    assert flow["type"] == "WORKFLOW"


async def test_the_five_workflows_are_there(place: Blueprint) -> None:
    listed = (await place.get("/api/v2/flows?type=workflow&pageSize=3")).json
    more = (await place.get("/api/v2/flows?type=workflow&pageSize=3&pageNumber=2")).json
    names = [flow["name"] for page in (listed, more) for flow in page["entities"]]
    assert names == list(TITLES.values())
    assert "nextUri" in listed
    assert "nextUri" not in more


REFUSED: list[tuple[str, str, Any, int]] = [
    ("POST", "/api/v2/flows/executions", {"flowId": "00000000-0000-4000-8000-000000000000"}, 404),
    ("POST", "/api/v2/flows/executions", {}, 400),
    ("POST", "/api/v2/flows/executions", {"flowId": 7}, 400),
    ("POST", "/api/v2/flows/executions", "{", 400),
    ("POST", "/api/v2/flows/executions", "[]", 400),
    ("GET", "/api/v2/flows/nonsense", None, 404),
    ("GET", "/api/v2/flows/executions/00000000-0000-4000-8000-000000000000", None, 404),
    ("GET", "/api/v2/flows/executions/nonsense", None, 404),
    ("GET", "/api/v2/flows?pageSize=0", None, 400),
    ("GET", "/api/v2/flows?pageNumber=x", None, 400),
]


async def test_what_cannot_be_answered_is_refused_as_genesys_does(place: Blueprint) -> None:
    flow = {"flowId": await place.flow_id("get-agents")}
    wrong = [
        ("POST", "/api/v2/flows/executions", {**flow, **more}, 400)
        for more in ({"inputData": []}, {"inputData": "{}"}, {"name": {}}, {"name": "x" * 257})
    ]
    for method, path, body, status in (*REFUSED, *wrong):
        reply = await place.call(method, path, body)
        assert reply.status == status, (method, path, body, reply.text)
        assert (reply.json["status"], reply.json["details"]) == (status, [])
        assert reply.json["message"]
        assert reply.json["code"]
        assert reply.headers["ININ-Correlation-Id"] == reply.json["contextId"]


# -- what a caller may send ----------------------------------------------------------------------------


OTHER_WORDS: list[Json] = [
    {"Flow.agentId": 452, "Flow.inputDates": "2025-06-01", "Flow.inputTimeOffTypeIds": 83},
    {"Flow.agentId": "452", "Flow.inputDates": '["2025-06-01"]', "Flow.inputTimeOffTypeIds": "[83]"},
    {
        "Flow.agentId": " 452 ",
        "Flow.inputDates": ["2025-06-01", "2025-06-01"],
        "Flow.inputTimeOffTypeIds": ["83"],
        "Flow.inputTimeOffTypeId2s": [None],
        "Flow.somethingNew": {"of": "Genesys"},
    },
]


@both_ways
async def test_the_same_question_in_other_words(place: Blueprint, way: str) -> None:
    for question in OTHER_WORDS:
        answer = await place.run(way, "get-balance", question)
        assert rows(answer) == [("2025-06-01", "83", "9600")], question


WRONG: list[tuple[Json, int, str]] = [
    ({"Flow.agentId": None}, 400, "Flow.agentId is missing"),
    ({"Flow.inputDates": []}, 400, "Flow.inputDates is missing"),
    ({"Flow.inputDates": ["2025-02-29"]}, 400, "a date that does not exist: 2025-02-29"),
    ({"Flow.inputDates": ["2025-06-01"] * 2001}, 400, "2,001 items, at most 2,000"),
    ({"Flow.inputTimeOffTypeIds": None}, 400, "Flow.inputTimeOffTypeIds is missing"),
    ({"Flow.inputTimeOffTypeIds": {"id": 83}}, 400, "is not a text"),
    ({"Flow.inputTimeOffTypeId2s": ["x"]}, 400, "has 1 items"),
    ({"Flow.agentId": "999"}, 404, "The HRIS knows no such employee."),
    ({"Flow.agentId": "Ann Lee"}, 404, "The HRIS knows no such employee."),
]


@both_ways
async def test_a_wrong_question_has_a_defined_answer(place: Blueprint, way: str) -> None:
    for changes, code, message in WRONG:
        answer = await place.run(way, "get-balance", {**PRINTED_QUESTION, **changes})
        assert state(answer) == (code, "Error"), changes
        assert message in answer["Flow.errorMsg"]
        assert {key: answer[key] for key in NO_ROWS} == NO_ROWS


@both_ways
async def test_a_type_that_is_none_has_no_row_and_is_named(place: Blueprint, way: str) -> None:
    answer = await place.run(
        way, "get-balance", {**PRINTED_QUESTION, "Flow.inputTimeOffTypeIds": ["83", "no-type"]}
    )
    assert state(answer) == (200, "Complete")
    assert rows(answer) == [("2025-06-01", "83", "9600")]
    assert answer["Flow.errorMsg"] == "not a type of the HRIS: no-type"


async def test_only_json_itself_can_be_wrong_on_the_plain_call(place: Blueprint) -> None:
    for body in ("{", "[]", '"text"', "7", '{"a": NaN}', "\ud800".encode(errors="surrogatepass")):
        reply = await place.post("/v1/flows/get-agents", body)
        assert reply.status == 400, body
        assert reply.headers["Content-Type"].startswith("application/problem+json")


async def test_a_plain_call_needs_no_body_for_a_flow_without_inputs(place: Blueprint) -> None:
    reply = await place.post("/v1/flows/get-timeoff-types", None)
    assert (reply.status, state(reply.json)) == (200, (200, "Complete"))


async def test_nothing_is_told_without_a_token(place: Blueprint) -> None:
    for method, path in (
        ("POST", "/v1/flows/get-agents"),
        ("GET", "/api/v2/flows"),
        ("POST", "/api/v2/flows/executions"),
    ):
        assert (await place.call(method, path, None, token=None)).status == 401
        assert (await place.call(method, path, None, token="wrong")).status == 401


async def test_a_flow_that_is_not_there_is_not_found(place: Blueprint) -> None:
    for name in ("get-all", "HRIS-Get-Agents", "delete-timeoff"):
        assert (await place.post(f"/v1/flows/{name}", {})).status == 404


async def test_a_body_has_a_limit(database_url: str) -> None:
    async with blueprint(database_url, balance={"body_limit": 2000}) as place:
        large: Json = {"name": "x" * 2000, "flowId": await place.flow_id("get-agents")}
        for path in ("/v1/flows/get-agents", "/api/v2/flows/executions"):
            assert (await place.post(path, large)).status == 413


async def test_without_its_database_no_run_is_launched(place: Blueprint) -> None:
    """A run that nobody could follow must not seem to have begun."""
    flow = {"flowId": await place.flow_id("get-agents")}
    assert place.service is not None
    await place.service.parts.pool.close()
    for reply in (
        await place.post("/api/v2/flows/executions", flow),
        await place.get("/api/v2/flows/executions/00000000-0000-4000-8000-000000000000"),
    ):
        assert (reply.status, reply.json["code"]) == (503, "service.unavailable")
        assert reply.headers["Retry-After"]


# -- the defects that these flows can have -------------------------------------------------------------


@both_ways
async def test_defect_2_a_balance_in_days_is_counted_by_the_length_of_a_day(
    place: Blueprint, way: str
) -> None:
    place.give_type(84, "Volunteering", "days", "manual", opening=10)
    answer = await place.run(way, "get-balance", {**PRINTED_QUESTION, "Flow.inputTimeOffTypeIds": "84"})
    assert rows(answer) == [("2025-06-01", "84", "4800")]


@both_ways
async def test_defect_9_a_later_date_that_fails_leaves_no_rows(place: Blueprint, way: str) -> None:
    place.fault("calculator", "refuse", skip=1, times=None)
    answer = await place.run(
        way, "get-balance", {**PRINTED_QUESTION, "Flow.inputDates": ["2025-06-01", "2025-06-02"]}
    )
    assert state(answer) == (502, "Error")
    assert {key: answer[key] for key in NO_ROWS} == NO_ROWS
    assert "2025-06-0" in answer["Flow.errorMsg"]


@pytest.mark.parametrize(("upstream", "code"), [(401, 401), (403, 403), (404, 404), (429, 429), (503, 503)])
async def test_defect_10_failures_of_the_hris_are_told_apart(
    place: Blueprint, upstream: int, code: int
) -> None:
    """A list of types that is not there is no missing employee: 502."""
    place.fault("directory|types", "throttle" if upstream == 429 else "refuse", status=upstream, times=None)
    for way in (PLAIN, COMPATIBLE):
        for flow in ("get-agents", "get-timeoff-types"):
            expected = 502 if (flow, upstream) == ("get-timeoff-types", 404) else code
            answer = await place.run(way, flow)
            assert state(answer) == (expected, "Error")
            assert not any(value for value in answer.values() if isinstance(value, list))
            assert answer["Flow.errorMsg"]


async def test_old_lists_are_not_given_for_those_of_today(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WFM would take them for the truth; after a failure it asks again."""
    monkeypatch.setattr(directory, "TRIED_EVERY", 0.01)
    async with blueprint(database_url, balance={"lists_fresh": 0.01}) as place:
        for flow in ("get-agents", "get-timeoff-types"):
            assert state(await place.run(PLAIN, flow)) == (200, "Complete")
        place.fault("directory|types", "refuse", status=403, times=None)
        for flow in ("get-agents", "get-timeoff-types"):
            await place.until_state(flow, (403, "Error"))


@both_ways
@pytest.mark.parametrize(
    ("kind", "code"), [("refuse", 502), ("throttle", 429), ("unavailable", 429), ("error_before_commit", 503)]
)
async def test_defect_21_a_balance_that_the_hris_does_not_tell_is_never_a_number(
    place: Blueprint, way: str, kind: str, code: int
) -> None:
    """A 503 with Retry-After is this vendor's way to throttle, until September 2026."""
    place.fault("calculator", kind, times=None)
    answer = await place.run(way, "get-balance", PRINTED_QUESTION)
    assert state(answer) == (code, "Error")
    assert {key: answer[key] for key in NO_ROWS} == NO_ROWS


@both_ways
async def test_defect_21_the_last_known_number_stands_in_and_says_so(database_url: str, way: str) -> None:
    async with blueprint(database_url, balance={"fresh": 0.001}) as place:
        await place.run(way, "get-balance", PRINTED_QUESTION)
        place.fault("calculator", "error_before_commit", times=None)
        answer = await place.run(way, "get-balance", PRINTED_QUESTION)
        assert state(answer) == (200, "Complete")
        assert rows(answer) == [("2025-06-01", "83", "9600")]
        assert "the HRIS does not answer now, known since 20" in answer["Flow.errorMsg"]


@both_ways
async def test_defect_21_an_hris_that_hangs_has_a_defined_answer(database_url: str, way: str) -> None:
    async with blueprint(database_url, balance={"lookup_timeout": 0.3}) as place:
        place.fault("calculator", "hang", times=None, seconds=30)
        answer = await place.run(way, "get-balance", PRINTED_QUESTION)
        assert state(answer) == (408, "Error")
        assert {key: answer[key] for key in NO_ROWS} == NO_ROWS
        place.sandbox.bamboohr.faults.clear()


async def test_defect_17_one_call_for_each_date_and_many_at_once(place: Blueprint) -> None:
    place.sandbox.bamboohr.set_options({"latencyMs": 200})
    days = [(date(2025, 6, 1) + timedelta(days=n)).isoformat() for n in range(30)]
    answer = await place.run(
        PLAIN,
        "get-balance",
        {"Flow.agentId": "452", "Flow.inputDates": days, "Flow.inputTimeOffTypeIds": ["83", "90", "85"]},
    )
    assert [row[0] for row in rows(answer)] == days
    calls = [c for c in place.sandbox.bamboohr.calls.document()["calls"] if c["operation"] == "calculator"]
    assert len(calls) == 30
    assert at_once(calls) >= 10


@both_ways
async def test_defect_18_rows_beyond_2000_are_said(place: Blueprint, way: str) -> None:
    for id in range(200, 220):
        place.give_type(id, f"Type {id}", "hours", "manual", opening=1)
    days = [(date(2025, 6, 1) + timedelta(days=n)).isoformat() for n in range(101)]
    answer = await place.run(
        way,
        "get-balance",
        {"Flow.agentId": "452", "Flow.inputDates": days, "Flow.inputTimeOffTypeIds": list(range(200, 220))},
    )
    assert state(answer) == (200, "Complete")
    assert len(rows(answer)) == 2000
    assert answer["Flow.dates"] == [day for day in days[:100] for _ in range(20)]
    assert (
        "2,020 rows, 2,000 can be answered: dates from 2025-09-09 on are left out" in answer["Flow.errorMsg"]
    )


@both_ways
async def test_defects_19_and_20_all_agents_and_only_those_with_an_address(
    place: Blueprint, way: str
) -> None:
    for number in range(1000, 3000):
        place.sandbox.bamboohr.add_employee(number, f"{number}@companydomain.com", f"No {number}")
    place.sandbox.bamboohr.add_employee(500, None, "Without Address")
    answer = await place.run(way, "get-agents")
    assert state(answer) == (200, "Complete")
    pairs = [
        pair
        for n in range(25)
        for pair in zip(answer[f"Flow.emails{n or ''}"], answer[f"Flow.externalIds{n or ''}"], strict=True)
    ]
    assert sorted(pairs) == sorted(
        (person.email, str(person.id))
        for person in place.sandbox.bamboohr.company.people.values()
        if person.email
    )
    assert [len(answer[f"Flow.emails{n}"]) for n in ("", 1, 2)] == [2000, 3, 0]
    assert answer["Flow.errorMsg"] == "left out without an e-mail address: 1"


@both_ways
async def test_defect_23_no_id_leads_anywhere_else(place: Blueprint, way: str) -> None:
    for agent in ("452/../313", "../452", "452?end=2020-01-01", "452%2F", "0"):
        answer = await place.run(way, "get-balance", {**PRINTED_QUESTION, "Flow.agentId": agent})
        assert state(answer) == (404, "Error"), agent
    calls = place.sandbox.bamboohr.calls.document()["calls"]
    assert not any(call["operation"] == "calculator" for call in calls)


@both_ways
async def test_defect_26_the_finest_balance_is_read_and_rounded_once(place: Blueprint, way: str) -> None:
    """1.0083 h are 60 minutes; shown with two decimals it would be 1.01 h, or 61 minutes."""
    place.give_type(84, "Fractions", "hours", "manual", opening="1.0083")
    answer = await place.run(way, "get-balance", {**PRINTED_QUESTION, "Flow.inputTimeOffTypeIds": "84"})
    assert rows(answer) == [("2025-06-01", "84", "60")]
