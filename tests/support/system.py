"""The whole product in one process, against the sandbox: what acceptance tests stand on.

    async with running_system(database_url, tmp_path) as system:
        request = await system.submit(system.agents[0], in_days(14))
        await system.quiet()
        entry = await system.the_entry(request)

Sandbox, PostgreSQL, event log, listener and sync are the real ones; only their processes are shared. What
the HRIS holds is read from the sandbox, never from the product.
"""

from __future__ import annotations

import asyncio
import io
import json
import uuid
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from tests.support.system_settings import as_toml, merged, settings_table

import timeoff_listener.app
import timeoff_sync.app
from timeoff.eventlog import EventLog, LogRecord, Message
from timeoff.ledger import Ledger
from timeoff.settings.load import load
from timeoff.settings.model import Settings
from timeoff.vocabulary import EntryKey
from timeoff_cli.opening import open_event_log, open_ledger
from timeoff_sandbox.app import Sandbox
from timeoff_sandbox.world import WorldOptions

Json = dict[str, Any]

VACATION, DAY_OFF, SICK, UNMAPPED = "5", "6", "7", "8"
#: Operations of the sandbox's call log that write.
WRITES = ("create", "status")
LIVE = ("approved", "requested")
#: Far above what a test needs; a machine under load may be slow.
PATIENCE = 40.0


def in_days(days: int) -> str:
    """A date so many days from today, as Genesys writes it."""
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


@dataclass(frozen=True)
class Agent:
    agent_id: str
    employee_id: str | None
    unit_id: str
    zone: str
    email: str


@dataclass(frozen=True)
class Standing:
    """How the ledger says that a request stands."""

    state: str
    reason: str | None
    detail: Json


class App:
    """Listener or sync, run as a task; `stop` ends it as SIGTERM would."""

    def __init__(
        self, name: str, task: asyncio.Task[None], stop: asyncio.Event, ledger: Ledger | None
    ) -> None:
        self.name = name
        self.task = task
        self.ledger = ledger
        self._stop = stop

    async def stop(self) -> None:
        self._stop.set()
        async with asyncio.timeout(PATIENCE):
            await self.task


class System:
    """The product and its world, with the hands of agents, supervisors, HR and operators."""

    def __init__(
        self, sandbox: Sandbox, settings: Settings, config: Path, session: aiohttp.ClientSession
    ) -> None:
        self.sandbox = sandbox
        self.settings = settings
        self.config = config
        self.world = sandbox.describe()
        self.agents = [
            Agent(a["agentId"], a["employeeId"], a["managementUnitId"], a["timeZone"], a["email"])
            for a in self.world["agents"]
        ]
        self.ledger: Ledger
        self.log: EventLog
        self.listeners: list[App] = []
        self.syncs: list[App] = []
        self._session = session

    # -- the product ---------------------------------------------------------------------------------

    async def start_sync(self) -> App:
        app = await self._start("sync", timeoff_sync.app.run, lambda ledger: ledger)
        self.syncs.append(app)
        return app

    async def start_listener(self) -> App:
        app = await self._start("listener", timeoff_listener.app.run, lambda ledger: ledger.listener)
        self.listeners.append(app)
        return app

    async def _start(self, name: str, run: Any, part: Any) -> App:
        opened, stop = asyncio.Event(), asyncio.Event()
        ledgers: list[Ledger] = []

        async def whole() -> None:
            async with open_ledger(self.settings, name) as ledger, open_event_log(self.settings) as log:
                ledgers.append(ledger)
                opened.set()
                await run(self.settings, part(ledger), log, stop)

        task = asyncio.create_task(whole(), name=name)
        waiting = asyncio.create_task(opened.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        return App(name, task, stop, ledgers[0])

    async def stop_syncs(self) -> None:
        apps, self.syncs = self.syncs, []
        await asyncio.gather(*(app.stop() for app in apps))

    async def stop_listeners(self) -> None:
        apps, self.listeners = self.listeners, []
        await asyncio.gather(*(app.stop() for app in apps))

    async def restart_sync(self) -> None:
        """Also the quickest way to have plans, types and employees read again."""
        await self.stop_syncs()
        await self.start_sync()

    async def stop(self) -> None:
        await self.stop_listeners()
        await self.stop_syncs()

    async def go_live(self, *pilots: str) -> None:
        await self.ledger.deployment.go_live(pilots, pilots)

    async def retry(self, *requests: str) -> list[str]:
        return await self.ledger.deployment.retry(requests or None, None)

    # -- waiting -------------------------------------------------------------------------------------

    async def until(self, what: str, condition: Any, within: float = PATIENCE) -> Any:
        """Poll an async `condition` until it is true; a part that ended fails the test at once."""
        answer = None
        try:
            async with asyncio.timeout(within):
                while True:
                    self._alive()
                    if answer := await condition():
                        return answer
                    await asyncio.sleep(0.02)
        except TimeoutError:
            rows = await self.ledger.pool.fetch(_STANDING)
            raise AssertionError(f"never: {what}; ledger: {[dict(row) for row in rows][:10]}") from None

    def _alive(self) -> None:
        for app in (*self.listeners, *self.syncs):
            if app.task.done():
                app.task.result()
                raise AssertionError(f"{app.name} ended by itself")

    async def quiet(self, *, ignoring: Collection[str] = (), within: float = PATIENCE) -> None:
        """Until every version that Genesys holds is in the ledger and nothing is left to do."""
        versions = {
            request["id"]: request["version"]
            for request in await self.genesys_requests()
            if request["id"] not in ignoring
        }
        left: Json = {}

        async def nothing_left() -> bool:
            nonlocal left
            rows = await self.ledger.pool.fetch("SELECT request_id, version FROM ledger.requests")
            known = {row["request_id"]: row["version"] or 0 for row in rows}
            behind = [each for each, version in versions.items() if known.get(each, 0) < version]
            row = await self.ledger.pool.fetchrow(QUIET)
            left = {name: count for name, count in dict(row or {}).items() if count} | (
                {"behind": behind} if behind else {}
            )
            return not left

        await self.until("quiet", _twice(nothing_left), within)

    async def state(self, request_id: str, state: str, reason: str | None = None) -> Standing:
        """Wait until the request stands so; returns how it stands."""

        async def stands() -> Standing | None:
            standing = await self.standing(request_id)
            fits = standing and standing.state == state and reason in (None, standing.reason)
            return standing if fits else None

        return await self.until(f"{request_id} {state} {reason}", stands)  # type: ignore[no-any-return]

    # -- the ledger ----------------------------------------------------------------------------------

    async def standing(self, request_id: str) -> Standing | None:
        row = await self.ledger.pool.fetchrow(f"{_STANDING} WHERE request_id = $1", request_id)
        if row is None:
            return None
        return Standing(row["state"], row["reason"], json.loads(row["detail"]) if row["detail"] else {})

    async def waiting_for_people(self) -> dict[str, str]:
        """Reason by request of all held and failed ones."""
        rows = await self.ledger.reports.waiting_for_people(["held", "failed"])
        return {row["request_id"]: row["reason"] for row in rows}

    async def chain(self, request_id: str) -> list[str]:
        """Ids that the request's entry had in the HRIS, oldest first."""
        rows = await self.ledger.pool.fetch(
            "SELECT chain FROM ledger.entries JOIN ledger.requests USING (request_pk)"
            " WHERE request_id = $1 ORDER BY entries.booking",
            request_id,
        )
        return [vendor_id for row in rows for vendor_id in row["chain"]]

    async def everything_in_tables(self) -> str:
        """Every row of every table of the ledger as one text."""
        names = await self.ledger.pool.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'ledger'"
        )
        texts = []
        for name in names:
            rows = await self.ledger.pool.fetch(f"SELECT to_jsonb(t)::text AS row FROM {name['name']} t")
            texts += [row["row"] for row in rows]
        # JSON holds binary columns in hexadecimal digits.
        outgoing = await self.ledger.pool.fetch("SELECT data FROM ledger.outbox")
        return "\n".join([*texts, *(str(bytes(row["data"])) for row in outgoing)])

    async def everything_on_topics(self) -> str:
        """Every record of every topic as one text."""
        names = self.settings.log
        topics = (names.requests_topic, names.outcomes_topic, names.dead_letters_topic)
        records = [record for topic in topics for record in await self.records(topic)]
        return "\n".join(f"{record.key} {record.value!r} {record.headers!r}" for record in records)

    # -- the log -------------------------------------------------------------------------------------

    async def records(self, topic: str) -> list[LogRecord]:
        bounds = await self.log.bounds(topic)
        first = {partition: found.low for partition, found in bounds.items()}
        last = {partition: found.high for partition, found in bounds.items()}
        return [record async for record in self.log.read(topic, first, last)]

    async def letters(self) -> list[Json]:
        return [
            json.loads(record.value) for record in await self.records(self.settings.log.dead_letters_topic)
        ]

    async def outcomes(self) -> list[Json]:
        return [json.loads(record.value) for record in await self.records(self.settings.log.outcomes_topic)]

    async def append(self, *messages: Message) -> None:
        await self.log.append(self.settings.log.requests_topic, messages)

    # -- Genesys -------------------------------------------------------------------------------------

    async def admin(self, method: str, path: str, body: object = None) -> Any:
        data = io.BytesIO(json.dumps(body).encode()) if body is not None else None
        url = f"{self.sandbox.url}/admin{path}"
        headers = {"Content-Type": "application/json"}
        async with self._session.request(method, url, data=data, headers=headers) as answer:
            text = await answer.text()
            assert answer.status < 300, f"{method} {path}: {answer.status} {text[:500]}"
            return json.loads(text) if text else None

    async def submit(self, agent: Agent, *dates: str, **fields: Any) -> str:
        """A request, approved unless `status` says otherwise. Fields as the admin API names them."""
        body: Json = {"agentId": agent.agent_id, "activityCodeId": VACATION, "status": "APPROVED", **fields}
        if dates:
            body["dates"] = list(dates)
        return str((await self.admin("POST", "/genesys/requests", body))["id"])

    async def change(self, request_id: str, **fields: Any) -> Json:
        return await self.admin("PATCH", f"/genesys/requests/{request_id}", fields)  # type: ignore[no-any-return]

    async def genesys_requests(self) -> list[Json]:
        return list((await self.admin("GET", "/genesys/requests"))["requests"])

    async def genesys_request(self, request_id: str) -> Json:
        return await self.admin("GET", f"/genesys/requests/{request_id}")  # type: ignore[no-any-return]

    async def integration_status(self, request_id: str) -> str | None:
        return (await self.genesys_request(request_id))["integrationStatus"]  # type: ignore[no-any-return]

    async def set_by_hand(self, request_id: str, status: str) -> None:
        await self.admin("POST", "/genesys/integration-status", {"requestId": request_id, "status": status})

    async def notification(self, request_id: str, **changed: Any) -> Json:
        """The notification that Genesys would send for a request now, with some fields replaced."""
        request = self.sandbox.genesys.book.get(request_id)
        return request.notification(omit_empty_arrays=False) | changed

    async def send(self, agent: Agent, body: object) -> None:
        """One frame to the agent's sockets: a notification's body, or a text as it is."""
        frame = body
        if not isinstance(body, str):
            topic = f"v2.users.{agent.agent_id}.workforcemanagement.timeoffrequests"
            frame = json.dumps({"topicName": topic, "version": "2", "eventBody": body, "metadata": {}})
        answer = await self.admin("POST", "/genesys/send", {"agentId": agent.agent_id, "frame": frame})
        assert answer["sent"] == 1, "no socket listens for this agent"

    async def options(self, **options: Any) -> None:
        await self.admin("PUT", "/options", options)

    async def delivery(self, **settings: Any) -> None:
        await self.admin("PUT", "/genesys/delivery", settings)

    async def plan_of(self, code: str) -> str:
        return next(str(plan["id"]) for plan in self.world["plans"] if code in plan["activityCodeIds"])

    async def genesys_calls(self, part: str) -> list[Json]:
        calls = (await self.admin("GET", "/genesys/calls"))["calls"]
        return [call for call in calls if part in f"{call['method']} {call['path']}"]

    # -- the HRIS ------------------------------------------------------------------------------------

    async def entries(self) -> list[Json]:
        return list((await self.admin("GET", "/hris/entries"))["entries"])

    async def live_entries(self, request_id: str) -> list[Json]:
        """All live records in the HRIS of this request: by the ledger's chains or by their marker."""
        chain = set(await self.chain(request_id))
        deployment = (await self.ledger.deployment.read()).deployment_id
        markers = [EntryKey(deployment, self.settings.org, request_id, n).marker for n in range(1, 10)]
        return [
            entry
            for entry in await self.entries()
            if entry["status"] in LIVE
            and (entry["id"] in chain or any(mark in str(entry["notes"]) for mark in markers))
        ]

    async def the_entry(self, request_id: str) -> Json:
        """The one live record of this request; fails if there is none or more than one."""
        found = await self.live_entries(request_id)
        assert len(found) == 1, f"{len(found)} live records of {request_id}: {found}"
        return found[0]

    async def amounts(self, request_id: str) -> dict[str, Decimal]:
        """What the HRIS holds on each date for this request."""
        return {
            on: Decimal(value)
            for on, value in (await self.the_entry(request_id))["dates"].items()
            if Decimal(value)
        }

    async def booked_by_hand(self, agent: Agent, amounts: Mapping[str, str], type_id: int = 83) -> str:
        body = {"employeeId": int(agent.employee_id or 0), "typeId": type_id, "dates": dict(amounts)}
        return str((await self.admin("POST", "/hris/entries", body))["id"])

    async def edited_by_hand(self, entry_id: str, **changes: Any) -> None:
        """HR edits a record. Not sooner than the declared read lag after the product wrote it."""
        lag = self.settings.hris["acme"].settings["read_lag"]

        async def settled() -> bool:
            return not await self.ledger.pool.fetchval(
                "SELECT count(*) FROM ledger.entries WHERE now() - updated_at < make_interval(secs => $1)",
                float(lag) * 2,
            )

        await self.until("entries older than the read lag", settled)
        await self.admin("PATCH", f"/hris/entries/{entry_id}", changes)

    async def fault(self, on: str, kind: str, **more: Any) -> None:
        await self.admin("POST", "/hris/faults", {"rules": [{"on": on, "kind": kind, **more}]})

    async def calls(self, *operations: str) -> list[Json]:
        calls = (await self.admin("GET", "/hris/calls"))["calls"]
        return [call for call in calls if not operations or call["operation"] in operations]

    async def writes(self) -> list[str]:
        """Write operations that reached the HRIS, in order."""
        return [call["operation"] for call in await self.calls(*WRITES)]


_STANDING = "SELECT request_id, state, reason, detail::text AS detail, version, due_at FROM ledger.requests"
QUIET = """
SELECT (SELECT count(*) FROM ledger.requests WHERE due_at <= now()) AS due,
       (SELECT count(*) FROM ledger.requests
        WHERE state IN ('open', 'waiting') AND due_at IS NOT NULL
          AND reason IS DISTINCT FROM 'call_awaited') AS waiting,
       (SELECT count(*) FROM ledger.requests WHERE unconfirmed) AS unconfirmed,
       (SELECT count(*) FROM ledger.intents WHERE settled_at IS NULL) AS intents,
       (SELECT count(*) FROM ledger.gaps WHERE closed_at IS NULL) AS gaps,
       (SELECT count(*) FROM ledger.outbox) AS outgoing,
       (SELECT count(*) FROM ledger.requests WHERE report IS DISTINCT FROM reported) AS reports
"""


def _twice(condition: Any) -> Any:
    """True when true twice in a row: work may hide between two statements of the first look."""
    before = False

    async def both() -> bool:
        nonlocal before
        now = await condition()
        result, before = now and before, now
        return bool(result)

    return both


@asynccontextmanager
async def running_system(
    database_url: str,
    folder: Path,
    *,
    kafka: str | None = None,
    agents: int = 6,
    world: Mapping[str, Any] | None = None,
    sandbox: Mapping[str, Any] | None = None,
    live: bool = True,
    listen: bool = True,
    syncs: int = 1,
    before: Iterable[Any] = (),
    **changes: Any,
) -> AsyncIterator[System]:
    """Everything started, gaps of the start closed. `kafka` is the address of a broker, else PostgreSQL.

    `before` are async functions of the system that are awaited before listener and sync start; `changes`
    are settings (see `system_settings.tables`), `world` and `sandbox` options of the sandbox.
    """
    place = Sandbox(
        merged({"genesys": {"requestsPerMinute": 0}, "bamboohr": {"requestsPerMinute": None}}, sandbox or {})
    )
    place.make_world(WorldOptions(agents=agents, **(world or {})))
    async with AsyncExitStack() as opened:
        await place.start()
        opened.push_async_callback(place.stop)
        config = folder / f"settings-{uuid.uuid4().hex[:6]}.toml"
        config.write_text(as_toml(settings_table(database_url, place, kafka, changes)), "utf-8")
        settings = load(config, environ={})
        session = await opened.enter_async_context(aiohttp.ClientSession())
        system = System(place, settings, config, session)
        system.ledger = await opened.enter_async_context(open_ledger(settings, "test"))
        system.log = await opened.enter_async_context(open_event_log(settings))
        await system.ledger.deployment.ensure()
        opened.push_async_callback(system.stop)
        if live:
            await system.go_live()
        for step in before:
            await step(system)
        for _ in range(syncs):
            await system.start_sync()
        if listen:
            await system.start_listener()
            await system.until("the start's gap closes", lambda: system.ledger.pool.fetchval(_CLOSED))
        yield system


_CLOSED = "SELECT count(*) FROM ledger.gaps WHERE closed_at IS NOT NULL"
