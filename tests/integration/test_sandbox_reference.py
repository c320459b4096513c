"""The sandbox's reference HRIS itself: wire, options, faults, and the ground truth of its admin side.

What each mode does with records is judged through the adapter in test_hris_reference.py.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from timeoff_sandbox.app import Sandbox
from timeoff_sandbox.genesys.errors import ApiError
from timeoff_sandbox.reference import DEFAULT_KEY
from timeoff_sandbox.world import WorldOptions

DAY = {"date": "2030-01-07", "amount": "8"}
ENTRY = {"employeeId": "101", "typeId": "83", "status": "approved", "days": [DAY]}


@dataclass
class Bench:
    sandbox: Sandbox
    http: aiohttp.ClientSession

    async def call(
        self, method: str, path: str, body: object = None, *, key: str = DEFAULT_KEY
    ) -> tuple[int, Any]:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        url = f"{self.sandbox.url}/reference/v1{path}"
        async with self.http.request(method, url, data=data, headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if text.startswith("{") else text

    async def create(self, **fields: object) -> Any:
        status, document = await self.call("POST", "/entries", {**ENTRY, **fields})
        assert status in (201, 202), (status, document)
        return document

    async def admin(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        url = f"{self.sandbox.url}/admin{path}"
        async with self.http.request(method, url, json=body) as response:
            assert response.status == status, (response.status, await response.text())
            return await response.json()

    async def options(self, **options: object) -> None:
        await self.admin("PUT", "/options", {"reference": options})

    async def truth(self) -> dict[str, Any]:
        return {each["id"]: each for each in (await self.admin("GET", "/reference/entries"))["entries"]}


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    sandbox = Sandbox()
    sandbox.make_world(WorldOptions(agents=2))
    await sandbox.start()
    async with aiohttp.ClientSession() as http:
        yield Bench(sandbox, http)
    sandbox.reference.faults.clear()
    await sandbox.stop()


async def test_it_has_the_people_and_types_of_the_world(bench: Bench) -> None:
    """Changing the adapter and its settings is all that a test or demo has to do."""
    world = bench.sandbox.describe()
    _, people = await bench.call("GET", "/employees")
    assert people["employees"] == [
        {"id": agent["employeeId"], "email": agent["email"]} for agent in world["agents"]
    ]
    _, types = await bench.call("GET", "/types")
    assert [(each["id"], each["name"], each["unit"]) for each in types["types"]] == [
        (each["id"], each["name"], each["units"]) for each in world["types"]
    ]
    assert world["referenceKey"] == DEFAULT_KEY


async def test_a_call_needs_the_key(bench: Bench) -> None:
    for path in ("/me", "/employees", "/entries?from=2030-01-01&to=2030-02-01"):
        assert (await bench.call("GET", path, key="wrong"))[0] == 401
        assert (await bench.call("GET", path))[0] == 200
    assert (await bench.call("POST", "/entries", ENTRY, key="wrong"))[0] == 401
    assert await bench.truth() == {}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"employeeId": "999"}, 404, "notFound"),
        ({"typeId": "999"}, 404, "notFound"),
        ({"employeeId": None}, 400, "invalid"),
        ({"status": "cancelled"}, 400, "invalid"),
        ({"days": []}, 400, "invalid"),
        ({"days": [DAY, DAY]}, 400, "invalid"),
        ({"days": [{**DAY, "date": "2030-02-30"}]}, 400, "invalid"),
        ({"days": [{**DAY, "amount": 8.5}]}, 400, "invalid"),
        ({"days": [{**DAY, "amount": "-8"}]}, 400, "invalid"),
        ({"days": [{**DAY, "amount": "NaN"}]}, 400, "invalid"),
        ({"days": [{**DAY, "start": "24:00"}]}, 400, "invalid"),
        ({"note": 5}, 400, "invalid"),
    ],
)
async def test_what_is_wrong_is_refused_and_not_booked(
    bench: Bench, change: dict[str, object], status: int, code: str
) -> None:
    answer, document = await bench.call("POST", "/entries", {**ENTRY, **change})
    assert (answer, document["error"]["code"]) == (status, code)
    assert await bench.truth() == {}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_refused(bench: Bench, body: bytes) -> None:
    assert (await bench.call("POST", "/entries", body))[0] == 400


async def test_options_are_checked_kept_and_shown(bench: Bench) -> None:
    await bench.options(update="replaceNewId", externalKey="unique")
    await bench.options(cancel="delete")
    shown = (await bench.admin("GET", "/options"))["reference"]
    assert (shown["update"], shown["externalKey"], shown["cancel"]) == ("replaceNewId", "unique", "delete")
    for wrong in ({"update": "in_place"}, {"acceptedLater": -1}, {"units": {"83": "weeks"}}, {"typo": 1}):
        await bench.admin("PUT", "/options", {"reference": wrong}, status=400)
    assert (await bench.admin("GET", "/options"))["reference"] == shown
    with pytest.raises(ApiError):
        Sandbox({"reference": {"typo": 1}})


async def test_what_an_option_leaves_out_answers_405(bench: Bench) -> None:
    entry = await bench.create()
    await bench.options(cancel="none", balance="none")
    for update in ("none", "cancelAndCreate"):
        await bench.options(update=update)
        assert (await bench.call("PATCH", f"/entries/{entry['id']}", ENTRY))[0] == 405
    assert (await bench.call("POST", f"/entries/{entry['id']}/cancel", {}))[0] == 405
    assert (await bench.call("GET", "/balances?employeeId=101&on=2030-01-01"))[0] == 405
    assert (await bench.truth())[entry["id"]]["status"] == "approved"


async def test_units_are_those_of_the_options(bench: Bench) -> None:
    await bench.options(units={"83": "minutes", "84": "hours"})
    _, types = await bench.call("GET", "/types")
    assert {each["id"]: each["unit"] for each in types["types"]} == {
        "83": "minutes",
        "84": "hours",
        "85": "hours",
    }


async def test_a_key_is_dropped_where_none_is_kept(bench: Bench) -> None:
    assert (await bench.create(key="r/1"))["key"] is None
    assert (await bench.call("GET", "/entries?key=r/1"))[0] == 400
    await bench.options(externalKey="searchable")
    assert (await bench.create(key="r/1"))["key"] == "r/1"
    _, found = await bench.call("GET", "/entries?key=r/1")
    assert [each["id"] for each in found["entries"]] == ["5001"]


async def test_an_upsert_overwrites_the_record_even_a_cancelled_one(bench: Bench) -> None:
    """Whoever repeats an insert late brings a cancelled record back: a danger to know of."""
    await bench.options(externalKey="upsert")
    first = await bench.create(key="r/1")
    await bench.call("POST", f"/entries/{first['id']}/cancel", {})
    again = await bench.create(key="r/1", days=[{**DAY, "amount": "4"}])
    assert (again["id"], again["status"], again["days"][0]["amount"]) == (first["id"], "approved", "4.00")
    assert len(await bench.truth()) == 1


async def test_a_deleted_record_is_gone_but_the_truth_remembers(bench: Bench) -> None:
    await bench.options(cancel="delete")
    entry = await bench.create()
    assert (await bench.call("POST", f"/entries/{entry['id']}/cancel", {}))[0] == 200
    _, found = await bench.call("GET", "/entries?from=2030-01-01&to=2030-01-31")
    assert found["entries"] == []
    assert (await bench.call("POST", f"/entries/{entry['id']}/cancel", {}))[0] == 404
    truth = (await bench.truth())[entry["id"]]
    assert (truth["status"], truth["live"]) == ("deleted", False)


async def test_counter_entries_are_records_of_their_own_and_the_truth_is_net(bench: Bench) -> None:
    await bench.options(cancel="counterEntry", externalKey="searchable")
    entry = await bench.create(key="r/1")
    for _ in range(2):
        status, counter = await bench.call("POST", f"/entries/{entry['id']}/cancel", {"key": "r/1/cancel"})
        assert status == 201
        assert (counter["counterOf"], counter["days"][0]["amount"]) == (entry["id"], "-8.00")
    truth = await bench.truth()
    assert [(each["status"], each["live"]) for each in truth.values()] == [
        ("cancelled", False),
        ("counter", False),
        ("approved", True),
    ]
    assert (await bench.admin("GET", "/reference/live-by-key"))["live"] == {"r/1": 0, "r/1/cancel": 1}


async def test_an_entry_holds_one_day_by_option(bench: Bench) -> None:
    await bench.options(entryPerDay=True)
    two = [DAY, {**DAY, "date": "2030-01-08"}]
    status, document = await bench.call("POST", "/entries", {**ENTRY, "days": two})
    assert (status, document["error"]["code"]) == (422, "oneDay")
    entry = await bench.create()
    assert (await bench.call("PATCH", f"/entries/{entry['id']}", {**ENTRY, "days": two}))[0] == 422
    assert [each["end"] for each in (await bench.truth()).values()] == ["2030-01-07"]


async def test_overlap_is_refused_by_option_and_ends_with_a_counter_entry(bench: Bench) -> None:
    await bench.options(rejectOverlap=True, cancel="counterEntry")
    entry = await bench.create()
    status, document = await bench.call("POST", "/entries", ENTRY)
    assert (status, document["error"]["code"]) == (409, "overlap")
    await bench.call("POST", f"/entries/{entry['id']}/cancel", {})
    await bench.create()


async def test_a_change_of_days_and_status_at_once_is_refused_by_option(bench: Bench) -> None:
    await bench.options(statusWithDays=False)
    entry = await bench.create(status="requested")
    both = {**ENTRY, "days": [{**DAY, "amount": "4"}]}
    assert (await bench.call("PATCH", f"/entries/{entry['id']}", both))[0] == 422
    assert (await bench.call("PATCH", f"/entries/{entry['id']}", ENTRY))[0] == 200
    assert (await bench.call("PATCH", f"/entries/{entry['id']}", both))[0] == 200


async def test_accepted_writes_take_effect_when_their_time_comes(bench: Bench) -> None:
    """By the sandbox's own stopwatch, so that nothing has to call it in between."""
    stopwatch = 1000.0
    bench.sandbox.reference.book._monotonic = lambda: stopwatch
    await bench.options(acceptedLater=60)
    status, entry = await bench.call("POST", "/entries", ENTRY)
    assert (status, entry["status"], entry["changing"]) == (202, "requested", True)
    stopwatch += 59
    assert (await bench.truth())[entry["id"]]["changing"]
    stopwatch += 2
    truth = (await bench.truth())[entry["id"]]
    assert (truth["status"], truth["changing"]) == ("approved", False)
    await bench.admin("POST", f"/reference/entries/{entry['id']}/settle", {"how": "effect"}, status=409)


async def test_an_accepted_write_is_refused_by_hand(bench: Bench) -> None:
    await bench.options(acceptedLater=3600)
    entry = await bench.create()
    settled = await bench.admin("POST", f"/reference/entries/{entry['id']}/settle", {"how": "refuse"})
    assert (settled["status"], settled["changing"], settled["live"]) == ("denied", False, False)
    await bench.admin("POST", f"/reference/entries/{entry['id']}/settle", {"how": "perhaps"}, status=400)


async def test_what_a_person_does_stands_against_a_write_that_waits(bench: Bench) -> None:
    await bench.options(acceptedLater=3600)
    entry = await bench.create()
    edited = await bench.admin("PATCH", f"/reference/entries/{entry['id']}", {"status": "cancelled"})
    assert (edited["status"], edited["changing"]) == ("cancelled", False)
    await bench.admin("POST", f"/reference/entries/{entry['id']}/settle", {"how": "effect"}, status=409)


async def test_an_effect_is_read_one_lag_after_it_whenever_somebody_looks(bench: Bench) -> None:
    stopwatch = 1000.0
    bench.sandbox.reference.book._monotonic = lambda: stopwatch
    await bench.options(acceptedLater=60, readLagMs=5000)
    await bench.create()
    stopwatch += 65
    _, found = await bench.call("GET", "/entries?from=2030-01-01&to=2030-01-31")
    assert [(each["status"], each["changing"]) for each in found["entries"]] == [("approved", False)]


async def test_reads_lag_and_the_truth_does_not(bench: Bench) -> None:
    stopwatch = 1000.0
    bench.sandbox.reference.book._monotonic = lambda: stopwatch
    await bench.options(readLagMs=5000)
    entry = await bench.create()
    listing = "/entries?from=2030-01-01&to=2030-01-31"
    assert (await bench.call("GET", listing))[1]["entries"] == []
    assert (await bench.truth())[entry["id"]]["live"]
    stopwatch += 5
    assert [each["id"] for each in (await bench.call("GET", listing))[1]["entries"]] == [entry["id"]]


async def test_people_book_and_edit_by_hand(bench: Bench) -> None:
    await bench.admin("POST", "/reference/employees", {"id": 900, "email": "new@example.com"})
    booked = await bench.admin(
        "POST", "/reference/entries", {"employeeId": 900, "typeId": 84, "dates": {"2030-01-07": "0.5"}}
    )
    assert (booked["by"], booked["dates"]) == ("hand", {"2030-01-07": "0.50"})
    path = f"/reference/entries/{booked['id']}"
    edited = await bench.admin("PATCH", path, {"dates": {"2030-01-08": "1"}})
    assert (edited["start"], edited["dates"]) == ("2030-01-08", {"2030-01-08": "1.00"})
    assert (await bench.admin("PATCH", path, {"status": "cancelled"}))["live"] is False
    await bench.admin("PATCH", path, {"typo": 1}, status=400)
    await bench.admin("PATCH", "/reference/entries/1", {"status": "denied"}, status=404)


async def test_faults_spoil_the_calls_that_they_name_and_the_log_says_so(bench: Bench) -> None:
    rules = [
        {"on": "create", "kind": "throttle", "retryAfter": 7},
        {"on": "create|cancel", "kind": "error_before_commit"},
        {"on": "create", "kind": "commit_then_500"},
    ]
    await bench.admin("POST", "/reference/faults", {"rules": rules})
    url, headers = f"{bench.sandbox.url}/reference/v1/entries", {"Authorization": f"Bearer {DEFAULT_KEY}"}
    async with bench.http.post(url, json=ENTRY, headers=headers) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
    assert (await bench.call("GET", "/types"))[0] == 200
    assert (await bench.call("POST", "/entries", ENTRY))[0] == 500
    assert await bench.truth() == {}
    assert (await bench.call("POST", "/entries", {**ENTRY, "key": "r/1"}))[0] == 500
    assert [each["live"] for each in (await bench.truth()).values()] == [True]
    assert (await bench.call("POST", "/entries", ENTRY))[0] == 201
    calls = (await bench.admin("GET", "/reference/calls"))["calls"]
    assert [(c["operation"], c["status"], c["fault"], c["entryId"], c["key"]) for c in calls] == [
        ("create", 429, "throttle", None, None),
        ("types", 200, None, None, None),
        ("create", 500, "error_before_commit", None, None),
        ("create", 500, "commit_then_500", "5000", "r/1"),
        ("create", 201, None, "5001", None),
    ]
    left = (await bench.admin("GET", "/reference/faults"))["rules"]
    assert [(rule["times"], rule["fired"]) for rule in left] == [(0, 1)] * 3
    assert await bench.admin("DELETE", "/reference/faults") == {"rules": []}


async def test_a_reset_forgets_all_but_the_options(bench: Bench) -> None:
    await bench.options(update="none")
    await bench.create()
    await bench.admin("POST", "/reset")
    assert await bench.truth() == {}
    assert (await bench.call("GET", "/employees"))[1] == {"employees": []}
    assert (await bench.admin("GET", "/options"))["reference"]["update"] == "none"
