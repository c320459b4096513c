"""Promises of the integration "WFM Time-off HRIS" in the sandbox: what it calls, when, and what it makes of
the answers. A server that records calls stands for the workflows: the contract is the sandbox's own.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from tests.support.genesys_sandbox import GenesysClient, Json, next_frame, running_sandbox, topic
from tests.support.native import INSERT, UPDATE, Native

from timeoff_sandbox.world import WorldOptions

TOKEN = "token of the workflows"
TITLES = {
    "HRIS-Get-Agents": "get-agents",
    "HRIS-Get-TimeOff-Types": "get-timeoff-types",
    "HRIS-Get-Balance": "get-balance",
    "HRIS-Insert-TimeOff": INSERT,
    "HRIS-Update-TimeOff": UPDATE,
}
DAY = 86_400
both_ways = pytest.mark.parametrize("way", ["plain", "compatible"])

Told = Json | Callable[[], web.Response]


def complete(id: str | None = None, **more: Any) -> Json:
    return {
        "Flow.statusCode": 200,
        "Flow.status": "Complete",
        "Flow.errorMsg": None,
        "Flow.timeOffRequestId": id,
        **{f"Flow.{name}": value for name, value in more.items()},
    }


def failed(code: int | str = 500, status: str = "Error") -> Json:
    return {"Flow.statusCode": code, "Flow.status": status, "Flow.timeOffRequestId": None}


def insufficient() -> Json:
    return failed(200, "InsufficientBalance")


class Recorder:
    """Answers the five workflows on both ways of calling: first what it was told to, then `Complete`."""

    def __init__(self) -> None:
        self.url = ""
        self.prefix = ""
        self.ran: list[tuple[str, Json]] = []
        self.answers: list[Told] = []
        self.headers: list[str | None] = []
        self.queries: list[str] = []
        self.ids = itertools.count(1)
        self.arrived = asyncio.Event()
        #: Answers wait for it.
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.most_at_once: Counter[str] = Counter()
        self._now: Counter[str] = Counter()
        self._executions: dict[str, asyncio.Task[Told]] = {}

    @property
    def flows(self) -> list[str]:
        return [flow for flow, _ in self.ran]

    @property
    def inputs(self) -> list[Json]:
        return [inputs for _, inputs in self.ran]

    async def stand_still(self) -> None:
        self.arrived.clear()
        self.may_answer.clear()

    async def until_called(self) -> None:
        async with asyncio.timeout(10):
            await self.arrived.wait()
        self.arrived.clear()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/flows/{flow}", self._plain)
        app.router.add_get("/api/v2/flows", self._find)
        app.router.add_post("/api/v2/flows/executions", self._launch)
        app.router.add_get("/api/v2/flows/executions/{id}", self._follow)
        return app

    async def _run(self, flow: str, inputs: Json) -> Told:
        agent = str(inputs.get("Flow.agentId"))
        self.ran.append((flow, inputs))
        self._now[agent] += 1
        self.most_at_once[agent] = max(self.most_at_once[agent], self._now[agent])
        told: Told = self.answers.pop(0) if self.answers else complete(str(next(self.ids)))
        self.arrived.set()
        try:
            await self.may_answer.wait()
        finally:
            self._now[agent] -= 1
        return told

    async def _plain(self, request: web.Request) -> web.Response:
        self.headers.append(request.headers.get("Authorization"))
        self.queries.append(request.query_string)
        told = await self._run(request.match_info["flow"], await request.json())
        return told() if callable(told) else web.json_response(told)

    async def _find(self, request: web.Request) -> web.Response:
        self.headers.append(request.headers.get("Authorization"))
        self.queries.append(request.query["name"])
        entities = [{"id": f"id of {flow}", "name": title} for title, flow in TITLES.items()]
        return web.json_response({"entities": entities})

    async def _launch(self, request: web.Request) -> web.Response:
        body = await request.json()
        id = f"run {len(self._executions)}"
        run = self._run(body["flowId"].removeprefix("id of "), body.get("inputData", {}))
        self._executions[id] = asyncio.create_task(run)
        return web.json_response({"id": id, "name": body["name"]})

    async def _follow(self, request: web.Request) -> web.Response:
        run = self._executions[request.match_info["id"]]
        if not run.done():
            return web.json_response({"status": "RUNNING"})
        told = run.result()
        if callable(told):
            return told()
        outputs = {**told, "Flow.statusCode": str(told["Flow.statusCode"])}
        return web.json_response({"status": "COMPLETED", "outputData": outputs})

    def cut(self) -> None:
        """The next call is carried out, and its connection breaks."""
        self.answers.append(_Cut())


class _Cut:
    def __call__(self) -> web.Response:
        raise ConnectionResetError


@web.middleware
async def _cut_connections(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ConnectionResetError:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


@asynccontextmanager
async def recorder() -> AsyncIterator[Recorder]:
    server = Recorder()
    app = server.app()
    app.middlewares.append(_cut_connections)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        server.may_answer.set()
        await runner.cleanup()


@pytest.fixture
async def hris() -> AsyncIterator[Recorder]:
    async with recorder() as server:
        yield server


@pytest.fixture
async def genesys() -> AsyncIterator[GenesysClient]:
    async with running_sandbox(WorldOptions(agents=6, external_ids=6)) as client:
        yield client


@pytest.fixture
async def native(genesys: GenesysClient, hris: Recorder) -> Native:
    async def admin(method: str, path: str, body: object = None) -> Any:
        return await genesys.ok(method, f"/admin{path}", body)

    native = Native(admin)
    await native.turn_on(hris.url, TOKEN, retrySeconds=[])
    return native


async def truth(genesys: GenesysClient, request: Json) -> Json:
    return dict(await genesys.ok("GET", f"/admin/genesys/requests/{request['id']}"))


async def status_of(genesys: GenesysClient, request: Json) -> str | None:
    status: str | None = (await truth(genesys, request))["integrationStatus"]
    return status


async def notified(genesys: GenesysClient) -> int:
    return int((await genesys.ok("GET", "/admin/genesys/delivery"))["notified"])


# -- what is called, and with what -----------------------------------------------------------------------


@both_ways
async def test_a_new_request_runs_insert_and_a_change_runs_update(
    genesys: GenesysClient, native: Native, hris: Recorder, way: str
) -> None:
    await native.options(way=way)
    request = await genesys.create(
        genesys.agents[0], dates=["2026-06-09", "2026-06-08"], minutes=[240, 480], notes="Family visit"
    )
    await native.settled()
    assert (await truth(genesys, request))["hrisRequestId"] == "1"
    await genesys.patch(request, dates=["2026-06-10"], minutes=[480], payableMinutes=[300])
    await native.settled()
    employee = genesys.agents[0]["employeeId"]
    assert hris.ran == [
        (
            INSERT,
            {
                "Flow.agentId": employee,
                "Flow.dates": ["2026-06-08", "2026-06-09"],
                "Flow.minDate": "2026-06-08",
                "Flow.maxDate": "2026-06-09",
                "Flow.timeOffStatus": "APPROVED",
                "Flow.timeOffTypeId": "83",
                "Flow.durationMinutes": ["480", "240"],
                "Flow.payableMinutes": ["480", "240"],
                "Flow.notes": "Family visit",
            },
        ),
        (
            UPDATE,
            {
                "Flow.agentId": employee,
                "Flow.dates": ["2026-06-10"],
                "Flow.minDate": "2026-06-10",
                "Flow.maxDate": "2026-06-10",
                "Flow.timeOffStatus": "APPROVED",
                "Flow.timeOffTypeId": "83",
                "Flow.durationMinutes": ["480"],
                "Flow.payableMinutes": ["300"],
                "Flow.notes": "Family visit",
                "Flow.inputTimeOffRequestId": "1",
            },
        ),
    ]
    after = await truth(genesys, request)
    assert (after["hrisRequestId"], after["integrationStatus"]) == ("2", "AutomaticallyComplete")
    assert set(hris.headers) == {f"Bearer {TOKEN}"}


async def test_the_id_of_the_last_answer_goes_into_the_next_update(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    hris.answers += [complete("4828"), complete("4829"), complete(None), complete("4830")]
    request = await genesys.create(genesys.agents[0], status="PENDING")
    for status in ("APPROVED", "DENIED", "CANCELED"):
        await native.settled()
        await genesys.patch(request, status=status)
    await native.settled()
    assert [
        (inputs["Flow.timeOffStatus"], inputs.get("Flow.inputTimeOffRequestId")) for inputs in hris.inputs
    ] == [("PENDING", None), ("APPROVED", "4828"), ("DENIED", "4829"), ("CANCELED", "4829")]
    assert (await truth(genesys, request))["hrisRequestId"] == "4830"


async def test_genesys_does_not_show_the_id_to_listeners(genesys: GenesysClient, native: Native) -> None:
    agent = genesys.agents[0]
    socket = await genesys.listen(agent)
    await native.options(order="callFirst")
    request = await genesys.create(agent)
    body = (await next_frame(socket))["eventBody"]
    assert "hrisRequestId" not in body
    assert "hrisRequestId" not in await genesys.ok("GET", genesys.requests_of(agent, request))


@pytest.mark.parametrize(
    ("agent", "starts", "minutes", "payable", "expected"),
    [
        pytest.param(
            0,
            ["2026-06-10T13:00:00Z"],
            [120],
            [90],
            (["2026-06-10"], ["120"], ["90"], ["2026-06-10T15:00:00"]),
            id="Berlin",
        ),
        pytest.param(
            1,
            ["2026-06-11T02:00:00Z"],
            [240],
            [120],
            (["2026-06-10", "2026-06-11"], ["120", "120"], ["60", "60"], ["2026-06-10T22:00:00"]),
            id="New York, across midnight",
        ),
        pytest.param(
            2,
            ["2026-06-10T20:00:00Z", "2026-06-10T03:30:00Z"],
            [60, 30],
            [60, 30],
            (
                ["2026-06-10", "2026-06-11"],
                ["30", "60"],
                ["30", "60"],
                ["2026-06-10T09:00:00", "2026-06-11T01:30:00"],
            ),
            id="Kolkata, two parts",
        ),
        pytest.param(
            0,
            ["2026-10-24T21:00:00Z"],
            [300],
            [100],
            (["2026-10-24", "2026-10-25"], ["60", "240"], ["20", "80"], ["2026-10-24T23:00:00"]),
            id="Berlin, into the night with 25 hours",
        ),
        pytest.param(
            0,
            ["2026-06-10T21:00:00Z"],
            [180],
            [100],
            (["2026-06-10", "2026-06-11"], ["60", "120"], ["33", "67"], ["2026-06-10T23:00:00"]),
            id="shares add up to the whole",
        ),
        pytest.param(
            0,
            ["2026-06-10T13:00:00Z"],
            [0],
            [0],
            (["2026-06-10"], ["0"], ["0"], ["2026-06-10T15:00:00"]),
            id="no minutes",
        ),
        pytest.param(
            0,
            ["2026-06-10T20:00:00Z"],
            [120],
            [120],
            (["2026-06-10"], ["120"], ["120"], ["2026-06-10T22:00:00"]),
            id="up to midnight",
        ),
    ],
)
async def test_parts_of_days_are_told_in_the_units_zone(
    genesys: GenesysClient,
    native: Native,
    hris: Recorder,
    agent: int,
    starts: list[str],
    minutes: list[int],
    payable: list[int],
    expected: tuple[list[str], ...],
) -> None:
    await genesys.create(genesys.agents[agent], partialStarts=starts, minutes=minutes, payableMinutes=payable)
    await native.settled()
    (inputs,) = hris.inputs
    dates, durations, payables, local = expected
    assert inputs["Flow.dates"] == dates
    assert inputs["Flow.durationMinutes"] == durations
    assert inputs["Flow.payableMinutes"] == payables
    assert inputs["Flow.startDateTimes"] == local
    assert (inputs["Flow.minDate"], inputs["Flow.maxDate"]) == (dates[0], dates[-1])


async def test_a_secondary_type_id_travels_along(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    plan = genesys.world["plans"][0]["id"]
    type_ = {"id": "leave", "name": "Leave", "secondaryId": "rule 7"}
    await genesys.ok("PATCH", f"/admin/genesys/plans/{plan}", {"hrisType": type_})
    await genesys.create(genesys.agents[0])
    await native.settled()
    (inputs,) = hris.inputs
    assert (inputs["Flow.timeOffTypeId"], inputs["Flow.timeOffTypeId2"]) == ("leave", "rule 7")
    await native.balance(genesys.agents[0]["agentId"], "2026-06-08", codes=("5", "6"))
    assert hris.inputs[-1]["Flow.inputTimeOffTypeIds"] == ["leave", "84"]
    assert hris.inputs[-1]["Flow.inputTimeOffTypeId2s"] == ["rule 7", ""]


async def test_only_plans_that_run_it_are_told(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    vacation, day_off = (plan["id"] for plan in genesys.world["plans"][:2])
    unmapped = await genesys.create(genesys.agents[0], activityCodeId="8")
    await native.options(plans=[day_off])
    left_out = await genesys.create(genesys.agents[0], activityCodeId="5")
    await genesys.create(genesys.agents[0], activityCodeId="6")
    await native.options(plans=None)
    await genesys.ok("PATCH", f"/admin/genesys/plans/{vacation}", {"enabled": False})
    disabled = await genesys.create(genesys.agents[0], activityCodeId="5")
    await native.turn_off()
    off = await genesys.create(genesys.agents[0], activityCodeId="6")
    await native.settled()
    assert [inputs["Flow.timeOffTypeId"] for inputs in hris.inputs] == ["84"]
    for request in (unmapped, left_out, disabled, off):
        assert await status_of(genesys, request) is None
    assert await notified(genesys) == 5


async def test_an_agent_without_an_id_is_not_told_of(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    agent = genesys.agents[0]
    await native.link(agent["agentId"], None)
    request = await genesys.create(agent)
    await native.settled()
    assert (await status_of(genesys, request), hris.ran) == ("Error", [])
    await native.link(agent["agentId"], "452")
    await genesys.patch(request, notes="again")
    await native.settled()
    assert [(flow, inputs["Flow.agentId"]) for flow, inputs in hris.ran] == [(INSERT, "452")]


async def test_the_id_counts_only_if_the_integration_is_selected(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    agent = genesys.agents[0]
    link = {"integrationId": genesys.world["hrisIntegrationId"], "agentExternalId": "452", "locked": False}
    path = f"/api/v2/workforcemanagement/agents/{agent['agentId']}/integrations/hris"
    await genesys.ok("PUT", path, {"associatedIntegrations": [link]})
    request = await genesys.create(agent)
    await native.settled()
    assert (await status_of(genesys, request), hris.ran) == ("Error", [])


async def test_changes_over_rest_and_silent_ones_are_told_too(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    agent = genesys.agents[0]
    created = await genesys.ok(
        "POST",
        genesys.unit_path(agent, "/timeoffrequests"),
        {
            "status": "APPROVED",
            "users": [{"id": agent["agentId"]}],
            "activityCodeId": "5",
            "fullDayManagementUnitDates": ["2026-06-08"],
            "dailyDurationMinutes": 480,
        },
    )
    (request,) = created["timeOffRequests"]
    await native.settled()
    patch = {"metadata": {"version": 1}, "status": "DENIED"}
    await genesys.ok("PATCH", genesys.requests_of(agent, request), patch)
    await native.settled()
    before = await notified(genesys)
    await genesys.patch(request, status="APPROVED", silent=True)
    await native.settled()
    assert hris.flows == [INSERT, UPDATE, UPDATE]
    assert await notified(genesys) == before


async def test_a_status_that_the_sync_sets_runs_nothing(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await genesys.options(integrationStatusEmits=True)
    await native.options(plans=[])
    agent = genesys.agents[0]
    request = await genesys.create(agent)
    await native.options(plans=None)
    path = f"/timeoffrequests/{request['id']}/users/{agent['agentId']}/integrationstatus"
    await genesys.ok("PATCH", genesys.unit_path(agent, path), {"integrationStatus": "Error"})
    await native.settled()
    assert (hris.ran, await notified(genesys)) == ([], 2)


async def test_where_there_are_several_hris_one_is_named(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    TITLES["HRIS-Insert-TimeOff (acme)"] = INSERT
    try:
        await native.options(target="acme")
        await genesys.create(genesys.agents[0])
        await native.settled()
        await native.options(way="compatible")
        await genesys.create(genesys.agents[0])
        await native.settled()
    finally:
        del TITLES["HRIS-Insert-TimeOff (acme)"]
    assert (hris.flows, hris.queries) == ([INSERT, INSERT], ["target=acme", "HRIS-Insert-TimeOff (acme)"])


# -- answers ---------------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (complete("7"), "AutomaticallyComplete"),
        (complete(None), "AutomaticallyComplete"),
        (failed(201, "Complete"), "AutomaticallyComplete"),
        (insufficient(), "AutomaticallyComplete"),
        (failed(500), "Error"),
        (failed(408), "Error"),
        (failed(300, "Complete"), "Error"),
        (failed(200, "Error"), "Error"),
        (failed(403, "NotAllowed"), "Error"),
        (failed(200, "NotAllowed"), "Error"),
        (failed("three", "Complete"), "Error"),
    ],
    ids=str,
)
async def test_the_answer_decides_the_status(
    genesys: GenesysClient, native: Native, hris: Recorder, way: str, answer: Json, expected: str
) -> None:
    await native.options(way=way)
    hris.answers.append(answer)
    request = await genesys.create(genesys.agents[0])
    await native.settled()
    assert await status_of(genesys, request) == expected


async def test_the_status_is_processing_while_the_call_lasts(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await hris.stand_still()
    request = await genesys.create(genesys.agents[0])
    await hris.until_called()
    assert await status_of(genesys, request) == "Processing"
    hris.may_answer.set()
    await native.settled()
    statuses = (await genesys.ok("GET", "/admin/genesys/calls"))["integrationStatuses"]
    assert [(each["status"], each["by"]) for each in statuses] == [
        ("Processing", "native"),
        ("AutomaticallyComplete", "native"),
    ]


@both_ways
async def test_a_call_that_is_refused_is_a_failure(
    genesys: GenesysClient, native: Native, hris: Recorder, way: str
) -> None:
    await native.options(way=way, retrySeconds=[0])
    hris.answers.append(lambda: web.json_response({"status": 401}, status=401))
    request = await genesys.create(genesys.agents[0])
    await native.settled()
    (call,) = await native.calls(request["id"])
    assert (call["outcome"], call["httpStatus"], call["problem"]) == ("answered", 401, "HTTP 401")
    assert await status_of(genesys, request) == "Error"


async def test_what_is_no_answer_of_a_workflow_is_a_failure(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    for told in (
        lambda: web.Response(text="<html>"),
        lambda: web.json_response([]),
        lambda: web.json_response({}),
    ):
        hris.answers.append(told)
        request = await genesys.create(genesys.agents[0])
        await native.settled()
        assert await status_of(genesys, request) == "Error"
    await native.options(way="compatible", target="nobody")
    request = await genesys.create(genesys.agents[0])
    await native.settled()
    assert (await native.calls(request["id"]))[0]["problem"] == "no such workflow"
    await native.options(target="")
    hris.answers.append(lambda: web.json_response({"status": "FAILED"}))
    request = await genesys.create(genesys.agents[0])
    await native.settled()
    assert (await native.calls(request["id"]))[0]["problem"] == "the run ended as FAILED"


async def test_a_change_after_a_failed_insert_is_an_insert_again(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    hris.answers += [failed(503), complete("1"), failed(503), complete("2")]
    request = await genesys.create(genesys.agents[0], status="PENDING")
    for status in ("APPROVED", "DENIED", "APPROVED"):
        await native.settled()
        await genesys.patch(request, status=status)
    await native.settled()
    assert [(flow, inputs.get("Flow.inputTimeOffRequestId")) for flow, inputs in hris.ran] == [
        (INSERT, None),
        (INSERT, None),
        (UPDATE, "1"),
        (UPDATE, "1"),
    ]
    assert (await truth(genesys, request))["hrisRequestId"] == "2"


@pytest.mark.parametrize(("ended", "flows"), [(True, [INSERT, INSERT]), (False, [INSERT])])
async def test_whether_insert_runs_for_what_has_ended_is_a_switch(
    genesys: GenesysClient, native: Native, hris: Recorder, ended: bool, flows: list[str]
) -> None:
    await native.options(insertEnded=ended, order="callFirst")
    hris.answers.append(failed(503))
    request = await genesys.create(genesys.agents[0], status="PENDING")
    await native.settled()
    await genesys.patch(request, status="CANCELED")
    await native.settled()
    assert hris.flows == flows
    assert await status_of(genesys, request) == ("AutomaticallyComplete" if ended else "Error")
    assert await notified(genesys) == 2


# -- approval by Genesys itself --------------------------------------------------------------------------


@both_ways
async def test_what_was_inserted_as_pending_is_approved(
    genesys: GenesysClient, native: Native, hris: Recorder, way: str
) -> None:
    await native.options(way=way, autoApprove=True)
    socket = await genesys.listen(genesys.agents[0])
    request = await genesys.create(genesys.agents[0], status="PENDING")
    await native.settled()
    assert [(flow, inputs["Flow.timeOffStatus"]) for flow, inputs in hris.ran] == [
        (INSERT, "PENDING"),
        (UPDATE, "APPROVED"),
    ]
    assert hris.inputs[1]["Flow.inputTimeOffRequestId"] == "1"
    after = await truth(genesys, request)
    assert (after["status"], after["substatus"], after["version"]) == ("APPROVED", "AutoApproved", 2)
    frames = [(await next_frame(socket))["eventBody"] for _ in range(2)]
    assert [(each["status"], each["modifiedBy"]) for each in frames] == [
        ("PENDING", genesys.agents[0]["agentId"]),
        ("APPROVED", "System"),
    ]


async def test_whether_its_own_approval_runs_update_is_a_switch(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await native.options(autoApprove=True, updateAfterAutoApproval=False)
    request = await genesys.create(genesys.agents[0], status="PENDING")
    await native.settled()
    assert ((await truth(genesys, request))["status"], hris.flows) == ("APPROVED", [INSERT])
    assert await notified(genesys) == 2


async def test_too_small_a_balance_stops_the_approval(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await native.options(autoApprove=True)
    hris.answers.append(insufficient())
    request = await genesys.create(genesys.agents[0], status="PENDING")
    await native.settled()
    after = await truth(genesys, request)
    assert (after["status"], after["substatus"]) == ("PENDING", "InsufficientBalance")
    assert (after["integrationStatus"], after["hrisRequestId"]) == ("AutomaticallyComplete", None)
    await genesys.patch(request, status="APPROVED")
    await native.settled()
    assert [(flow, inputs["Flow.timeOffStatus"]) for flow, inputs in hris.ran] == [
        (INSERT, "PENDING"),
        (INSERT, "APPROVED"),
    ]


@pytest.mark.parametrize("answer", [failed(503), None], ids=["failure", "no answer"])
async def test_a_failure_approves_nothing(
    genesys: GenesysClient, native: Native, hris: Recorder, answer: Json | None
) -> None:
    await native.options(autoApprove=True)
    if answer is None:
        hris.cut()
    else:
        hris.answers.append(answer)
    request = await genesys.create(genesys.agents[0], status="PENDING")
    await native.settled()
    after = await truth(genesys, request)
    assert (after["status"], after["integrationStatus"], hris.flows) == ("PENDING", "Error", [INSERT])


async def test_only_an_insert_is_followed_by_an_approval(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    request = await genesys.create(genesys.agents[0], status="PENDING")
    await native.settled()
    await native.options(autoApprove=True)
    await genesys.patch(request, notes="Dentist")
    await native.settled()
    assert ((await truth(genesys, request))["status"], hris.flows) == ("PENDING", [INSERT, UPDATE])


async def test_what_was_withdrawn_meanwhile_is_not_approved(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await native.options(autoApprove=True)
    await hris.stand_still()
    request = await genesys.create(genesys.agents[0], status="PENDING")
    await hris.until_called()
    await genesys.patch(request, status="CANCELED")
    hris.may_answer.set()
    await native.settled()
    assert [(flow, inputs["Flow.timeOffStatus"]) for flow, inputs in hris.ran] == [
        (INSERT, "PENDING"),
        (UPDATE, "CANCELED"),
    ]
    assert (await truth(genesys, request))["status"] == "CANCELED"


# -- order -----------------------------------------------------------------------------------------------


async def test_call_first_notifies_when_the_call_has_ended(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await native.options(order="callFirst")
    socket = await genesys.listen(genesys.agents[0])
    await hris.stand_still()
    request = await genesys.create(genesys.agents[0], status="PENDING")
    await hris.until_called()
    await genesys.patch(request, status="APPROVED")
    assert await notified(genesys) == 0
    hris.may_answer.set()
    await native.settled()
    # Each as the request stood then, though both went out later.
    assert [(await next_frame(socket))["eventBody"]["status"] for _ in range(2)] == ["PENDING", "APPROVED"]


async def test_event_first_notifies_so_long_before_the_call(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await native.options(order="eventFirst", leadSeconds=3600)
    socket = await genesys.listen(genesys.agents[0])
    await genesys.create(genesys.agents[0])
    await next_frame(socket)
    # A read does not wait, and shows that the call could have been made by now.
    await native.balance(genesys.agents[0]["agentId"], "2026-06-08")
    await native.options(leadSeconds=0.01)
    request = await genesys.create(genesys.agents[0])
    async with asyncio.timeout(10):
        while len(hris.ran) < 2:
            await hris.until_called()
    assert hris.flows == ["get-balance", INSERT]
    assert [call["flow"] for call in await native.calls(request["id"])] == [INSERT]
    assert (await genesys.ok("GET", "/admin/genesys/native"))["underWay"] >= 1


async def test_together_notifies_while_the_call_lasts(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await native.options(order="together")
    socket = await genesys.listen(genesys.agents[0])
    await hris.stand_still()
    request = await genesys.create(genesys.agents[0])
    await hris.until_called()
    assert (await next_frame(socket))["topicName"] == topic(genesys.agents[0])
    assert await status_of(genesys, request) == "Processing"
    hris.may_answer.set()
    await native.settled()


async def test_calls_wait_while_they_are_held(genesys: GenesysClient, native: Native, hris: Recorder) -> None:
    await native.options(hold=True)
    request = await genesys.create(genesys.agents[0])
    await genesys.patch(request, status="CANCELED")
    # A read is not held, and shows that calls could be made by now.
    await native.balance(genesys.agents[0]["agentId"], "2026-06-08")
    assert (hris.flows, await notified(genesys)) == (["get-balance"], 2)
    assert (await genesys.ok("GET", "/admin/genesys/native"))["underWay"] == 2
    await native.options(hold=False)
    await native.settled()
    assert hris.flows == ["get-balance", INSERT, UPDATE]


async def test_calls_of_one_request_go_one_after_the_other(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await hris.stand_still()
    request = await genesys.create(genesys.agents[0], status="PENDING")
    for status in ("APPROVED", "DENIED", "APPROVED", "CANCELED"):
        await genesys.patch(request, status=status)
    await genesys.create(genesys.agents[1])
    async with asyncio.timeout(10):
        while len(hris.ran) < 2:
            await hris.until_called()
    hris.may_answer.set()
    await native.settled()
    first = [inputs for inputs in hris.inputs if inputs["Flow.agentId"] == genesys.agents[0]["employeeId"]]
    assert [inputs["Flow.timeOffStatus"] for inputs in first] == [
        "PENDING",
        "APPROVED",
        "DENIED",
        "APPROVED",
        "CANCELED",
    ]
    assert hris.most_at_once[genesys.agents[0]["employeeId"]] == 1
    # Another request does not wait for it.
    assert hris.inputs[1]["Flow.agentId"] == genesys.agents[1]["employeeId"]


# -- lost answers, retries, doubles ----------------------------------------------------------------------


@both_ways
async def test_a_lost_answer_is_followed_by_the_same_call(
    genesys: GenesysClient, native: Native, hris: Recorder, way: str
) -> None:
    await native.options(way=way, retrySeconds=[0, 0], loseAnswers=2)
    request = await genesys.create(genesys.agents[0], notes="Family visit")
    await native.settled()
    assert hris.flows == [INSERT] * 3
    assert hris.inputs[0] == hris.inputs[1] == hris.inputs[2]
    calls = await native.calls(request["id"])
    assert [
        (call["attempt"], call["outcome"], call["answer"]["Flow.timeOffRequestId"]) for call in calls
    ] == [
        (1, "lost", "1"),
        (2, "lost", "2"),
        (3, "answered", "3"),
    ]
    after = await truth(genesys, request)
    assert (after["hrisRequestId"], after["integrationStatus"]) == ("3", "AutomaticallyComplete")
    assert (await native.options())["loseAnswers"] == 0


async def test_without_an_answer_after_all_retries_the_status_is_error(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await native.options(retrySeconds=[0], loseAnswers=2)
    request = await genesys.create(genesys.agents[0])
    await native.settled()
    assert (await status_of(genesys, request), len(hris.ran)) == ("Error", 2)
    await genesys.patch(request, status="DENIED")
    await native.settled()
    assert hris.flows == [INSERT, INSERT, INSERT]


async def test_a_connection_that_breaks_is_no_answer(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await native.options(retrySeconds=[0])
    hris.cut()
    request = await genesys.create(genesys.agents[0])
    await native.settled()
    calls = await native.calls(request["id"])
    assert [(call["attempt"], call["outcome"]) for call in calls] == [(1, "noAnswer"), (2, "answered")]
    assert hris.flows == [INSERT, INSERT]


@both_ways
async def test_a_call_that_takes_too_long_is_no_answer(
    genesys: GenesysClient, native: Native, hris: Recorder, way: str
) -> None:
    await native.options(way=way, timeoutSeconds=0.2)
    await hris.stand_still()
    request = await genesys.create(genesys.agents[0])
    await native.settled()
    (call,) = await native.calls(request["id"])
    assert (call["outcome"], call["answer"]) == ("timeout", None)
    assert await status_of(genesys, request) == "Error"


async def test_an_address_where_nobody_is_gives_no_answer(genesys: GenesysClient, native: Native) -> None:
    async with recorder() as gone:
        address = gone.url
    await native.options(address=address)
    request = await genesys.create(genesys.agents[0])
    await native.settled()
    (call,) = await native.calls(request["id"])
    assert (call["outcome"], await status_of(genesys, request)) == ("noAnswer", "Error")


@pytest.mark.parametrize(
    ("again", "calls", "status"), [(False, 1, "Error"), (True, 2, "AutomaticallyComplete")]
)
async def test_whether_a_failure_is_tried_again_is_a_switch(
    genesys: GenesysClient, native: Native, hris: Recorder, again: bool, calls: int, status: str
) -> None:
    await native.options(retrySeconds=[0], retryFailures=again)
    hris.answers.append(failed(503))
    request = await genesys.create(genesys.agents[0])
    await native.settled()
    assert (len(hris.ran), await status_of(genesys, request)) == (calls, status)


async def test_a_double_is_the_same_call_twice_at_once(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await native.options(doubleCalls=1)
    await hris.stand_still()
    request = await genesys.create(genesys.agents[0])
    async with asyncio.timeout(10):
        while len(hris.ran) < 2:
            await hris.until_called()
    hris.may_answer.set()
    await native.settled()
    assert hris.most_at_once[genesys.agents[0]["employeeId"]] == 2
    assert hris.inputs[0] == hris.inputs[1]
    calls = await native.calls(request["id"])
    assert [(call["attempt"], call["twin"]) for call in calls] == [(1, False), (1, True)]
    assert (await truth(genesys, request))["hrisRequestId"] == calls[0]["answer"]["Flow.timeOffRequestId"]
    await genesys.patch(request, status="CANCELED")
    await native.settled()
    assert len(hris.ran) == 3


async def test_of_a_double_with_one_lost_answer_the_other_counts(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await native.options(doubleCalls=1, loseAnswers=1)
    request = await genesys.create(genesys.agents[0])
    await native.settled()
    kept = [call for call in await native.calls(request["id"]) if call["outcome"] == "answered"]
    assert len(kept) == 1
    assert (await truth(genesys, request))["hrisRequestId"] == kept[0]["answer"]["Flow.timeOffRequestId"]


async def test_reads_lose_no_answers_and_are_not_doubled(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await native.options(loseAnswers=1, doubleCalls=1)
    answer = await native.balance(genesys.agents[0]["agentId"], "2026-06-08")
    assert (answer["accepted"], len(hris.ran)) == (True, 1)


# -- record and options ----------------------------------------------------------------------------------


async def test_the_record_says_everything_but_notes(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    request = await genesys.create(genesys.agents[0], notes="Dentist")
    await native.settled()
    record = await genesys.call("GET", "/admin/genesys/native/calls")
    assert "Dentist" not in record.text
    (call,) = record.body["calls"]
    sent = dict(hris.inputs[0])
    assert sent.pop("Flow.notes") == "Dentist"
    assert call["inputs"] == sent
    assert (call["flow"], call["requestId"], call["version"], call["way"]) == (
        INSERT,
        request["id"],
        1,
        "plain",
    )
    assert call["answer"]["Flow.status"] == "Complete"
    assert call["durationMs"] >= 0
    assert call["httpStatus"] == 200


async def test_options_are_changed_one_by_one_and_checked(genesys: GenesysClient, native: Native) -> None:
    before = await native.options()
    after = await native.options(order="eventFirst", retrySeconds=[1, 2])
    assert after == before | {"order": "eventFirst", "retrySeconds": [1, 2]}
    for wrong in (
        {"address": "hris.example.com"},
        {"order": "first"},
        {"timeoutSeconds": 0},
        {"retrySeconds": [-1]},
        {"unknown": 1},
    ):
        reply = await genesys.call("PUT", "/admin/options", {"native": {**wrong, "token": "other"}})
        assert reply.status == 400, wrong
    assert await native.options() == after


async def test_a_new_world_forgets_what_is_under_way(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await hris.stand_still()
    await genesys.create(genesys.agents[0])
    await hris.until_called()
    await genesys.ok("POST", "/admin/world", {"agents": 1, "externalIds": 1})
    # The old call still waits for its answer, and nobody for it.
    await native.settled()
    assert await native.calls() == []
    hris.may_answer.set()
    assert (await native.options())["address"] == hris.url
    world = await genesys.ok("GET", "/admin/world")
    await genesys.create(world["agents"][0])
    await native.settled()
    assert [call["number"] for call in await native.calls()] == [1]


# -- agents, types, balances -----------------------------------------------------------------------------


async def external_ids(genesys: GenesysClient) -> list[str | None]:
    """Of all agents. The integration is selected for those who have one, and for nobody else."""
    ids = [agent["agentId"] for agent in genesys.agents]
    found = await genesys.ok(
        "POST", "/api/v2/workforcemanagement/agents/integrations/hris/query", {"agentIds": ids}
    )
    entities = found["entities"]
    assert all(bool(each["associatedIntegrations"]) == ("selectedIntegration" in each) for each in entities)
    return [
        next((link["agentExternalId"] for link in each["associatedIntegrations"]), None) for each in entities
    ]


@both_ways
async def test_the_agent_sync_links_by_address_and_unlinks_who_is_missing(
    genesys: GenesysClient, native: Native, hris: Recorder, way: str
) -> None:
    await native.options(way=way)
    emails = [agent["email"] for agent in genesys.agents]
    await native.link(genesys.agents[4]["agentId"], None)
    locked = {"agentId": genesys.agents[5]["agentId"], "externalId": "by hand", "locked": True}
    await genesys.ok("POST", "/admin/genesys/link-agent", locked)
    hris.answers.append(
        complete(
            emails=[emails[0], emails[1].upper()],
            externalIds=["901", "902"],
            emails1=[emails[3], "nobody@example.com"],
            externalIds1=[genesys.agents[3]["employeeId"], "904"],
            emails24=[emails[4], emails[5]],
            externalIds24=["905", "906"],
        )
    )
    assert await native.sync_agents() == {"succeeded": True, "linked": 2, "unlinked": 2}
    assert hris.ran == [("get-agents", {})]
    kept = genesys.agents[3]["employeeId"]
    assert await external_ids(genesys) == ["901", None, None, kept, "905", "by hand"]
    request = await genesys.create(genesys.agents[4])
    await native.settled()
    assert (await native.calls(request["id"]))[0]["inputs"]["Flow.agentId"] == "905"


@pytest.mark.parametrize(
    "answer",
    [failed(503), failed(200), complete(emails=["a@example.com"], externalIds=[]), None],
    ids=["failure", "status Error", "lists out of step", "no answer"],
)
async def test_an_agent_sync_that_fails_changes_nothing(
    genesys: GenesysClient, native: Native, hris: Recorder, answer: Json | None
) -> None:
    before = await external_ids(genesys)
    if answer is None:
        hris.cut()
    else:
        hris.answers.append(answer)
    assert (await native.sync_agents())["succeeded"] is False
    assert await external_ids(genesys) == before


async def test_the_agent_sync_runs_once_a_day_by_the_sandboxes_clock(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    integration = genesys.sandbox.genesys.native
    integration.sync_agents_if_due()
    hris.answers.append(complete(emails=[], externalIds=[]))
    await genesys.turn_clock(DAY - 60)
    integration.sync_agents_if_due()
    await native.settled()
    assert hris.ran == []
    await genesys.turn_clock(DAY)
    integration.sync_agents_if_due()
    integration.sync_agents_if_due()
    await native.settled()
    assert hris.flows == ["get-agents"]
    await genesys.login()
    assert await external_ids(genesys) == [None] * 6
    state = await genesys.ok("GET", "/admin/genesys/native")
    assert state["nextAgentSync"] > (await genesys.ok("GET", "/admin/world"))["now"]
    await native.options(agentSyncSeconds=None)
    await genesys.turn_clock(3 * DAY)
    integration.sync_agents_if_due()
    await native.settled()
    assert hris.flows == ["get-agents"]


async def test_the_sandbox_looks_by_itself_whether_a_sync_is_due(
    genesys: GenesysClient, native: Native, hris: Recorder
) -> None:
    await native.options(agentSyncSeconds=0.1)
    await hris.until_called()
    assert hris.flows[0] == "get-agents"


async def types_of(genesys: GenesysClient, native: Native) -> Json:
    base = "/api/v2/workforcemanagement/integrations/hris"
    started = await genesys.ok("POST", f"{base}/{genesys.world['hrisIntegrationId']}/timeofftypes/jobs")
    assert started["job"]["status"] == "Processing"
    await native.settled()
    return dict(await genesys.ok("GET", f"{base}/timeofftypes/jobs/{started['job']['id']}"))


@both_ways
async def test_the_types_job_answers_what_the_workflow_says(
    genesys: GenesysClient, native: Native, hris: Recorder, way: str
) -> None:
    await native.options(way=way)
    hris.answers += [
        complete(ids=["83", "90"], names=["Open Time Off", "Study Day"], id2s=[]),
        complete(ids=["83", "90"], names=["Open Time Off", "Study Day"], id2s=["a", ""]),
    ]
    assert await types_of(genesys, native) == {
        "status": "Complete",
        "entities": [{"id": "83", "name": "Open Time Off"}, {"id": "90", "name": "Study Day"}],
    }
    assert (await types_of(genesys, native))["entities"][0]["secondaryId"] == "a"
    assert hris.ran == [("get-timeoff-types", {})] * 2


async def test_a_types_job_that_fails_says_so(genesys: GenesysClient, native: Native, hris: Recorder) -> None:
    hris.answers += [
        failed(503),
        complete(ids=["83"], names=[]),
        complete(ids=["83"], names=["a"], id2s=["b", "c"]),
    ]
    hris.cut()
    for _ in range(4):
        assert await types_of(genesys, native) == {"status": "Error"}
    await native.turn_off()
    assert await types_of(genesys, native) == {"status": "Error"}
    base = "/api/v2/workforcemanagement/integrations/hris"
    assert (await genesys.call("POST", f"{base}/unknown/timeofftypes/jobs")).status == 404
    assert (await genesys.call("GET", f"{base}/timeofftypes/jobs/unknown")).status == 404


@both_ways
async def test_a_request_form_shows_what_the_workflow_says(
    genesys: GenesysClient, native: Native, hris: Recorder, way: str
) -> None:
    await native.options(way=way)
    agent = genesys.agents[0]
    rows = complete(dates=["2026-06-08"], timeOffTypeIds=["83"], balanceMinutesPerDay=["9600"])
    hris.answers += [rows, failed(503)]
    shown = await native.balance(agent["agentId"], "2026-06-08", "2026-06-09", codes=("5", "6"))
    assert (shown["accepted"], shown["answer"]["Flow.balanceMinutesPerDay"]) == (True, ["9600"])
    assert hris.ran == [
        (
            "get-balance",
            {
                "Flow.agentId": agent["employeeId"],
                "Flow.inputDates": ["2026-06-08", "2026-06-09"],
                "Flow.inputTimeOffTypeIds": ["83", "84"],
            },
        )
    ]
    failure = await native.balance(agent["agentId"], "2026-06-08")
    assert (failure["accepted"], failure["answer"]["Flow.status"]) == (False, "Error")
    hris.cut()
    assert await native.balance(agent["agentId"], "2026-06-08") == {"accepted": False, "answer": None}


async def test_a_form_that_runs_no_workflow_is_refused(genesys: GenesysClient, native: Native) -> None:
    path, agent = "/admin/genesys/native/balance", genesys.agents[0]["agentId"]
    form = {"agentId": agent, "activityCodeIds": ["5"], "dates": ["2026-06-08"]}
    assert (await genesys.call("POST", path, form)).status == 200
    for name, wrong in (("activityCodeIds", ["8"]), ("activityCodeIds", []), ("dates", ["2026-06-31"])):
        assert (await genesys.call("POST", path, {**form, name: wrong})).status == 400
    await native.link(agent, None)
    assert (await genesys.call("POST", path, form)).status == 400
    await native.turn_off()
    assert (await genesys.call("POST", path, form)).status == 400
    assert (await genesys.call("POST", "/admin/genesys/native/sync-agents")).status == 400
