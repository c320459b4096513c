"""What comes over HTTP, however wrong it is, is answered with a right status in the one shape; never with a
500."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import structlog
from tests.support.leave import Leave, served

from timeoff_leave import app, leave_types


@pytest.fixture
async def leave(database_url: str) -> AsyncIterator[Leave]:
    async with served(database_url) as leave:
        yield leave


async def word_for_word(leave: Leave, head: str, body: bytes = b"") -> tuple[bytes, bytes]:
    """Head and body of the answer to these bytes, until the service closes."""
    host = leave.url.removeprefix("http://")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    try:
        lines = f"{head}\nHost: {host}\nConnection: close\n\n".replace("\n", "\r\n")
        writer.write(lines.encode() + body)
        found, _, rest = (await asyncio.wait_for(reader.read(), 20)).partition(b"\r\n\r\n")
        return found, rest
    finally:
        writer.close()


ITEM: dict[str, Any] = {"name": "x", "region": 1, "leaveType": 8, "entitlementUnit": "DAYS"}


async def test_a_body_that_is_no_json_object_is_refused_for_every_call(leave: Leave) -> None:
    texts = (b"", b"  ", b"{", b"null", b'"x"', b"[1]", b"\xff\xfe", b'{"name": NaN}', b'{"a": 1, "a": 1}')
    for route in app.ROUTES:
        for text in texts if route.body is not None else ():
            if route.body_optional and not text.strip():
                continue
            path = route.path.replace("{id}", "1")
            refused = await leave.refused(route.method, path, text)
            assert list(refused) == [route.key], (path, text)


async def test_hostile_bodies_are_refused(leave: Leave) -> None:
    for text in (
        b"[" * 200_000,
        b'{"name":' * 50_000,
        b'{"name": "a\\u0000b"}',
        b'{"name": "\\ud800"}',
        b'{"name": ' + b"9" * 100_000 + b"}",
        b'{"name": 1e999999999999999999}',
        b'{"name": "x", "region": 1e400}',
        b'{"name": "x", "region": 123456789012345678901234567890}',
        b'{"name": {"a": 1}}',
        b'{"name": ["x"]}',
    ):
        assert await leave.refused("POST", "/leave-types", text), text[:40]


async def test_wrong_types_are_refused_field_by_field_for_every_body(leave: Leave) -> None:
    """Each field of each body once with each kind of value: what fits is taken, what does not is named."""
    policy = await leave.policy(items=[await leave.item()])
    await leave.assign(policy, await leave.employee())
    values = (True, 5, -5, 0.5, 10**30, "text", "", "\0", "x" * 5000, [], [1], [[]], {}, {"a": {}}, "\ud800")
    for route in app.ROUTES:
        if route.body is None:
            continue
        path = route.path.replace("{id}", "1")
        for field in route.body.model_fields.values():
            for value in values:
                reply = await leave.call(route.method, path, json.dumps({field.alias: value}))
                assert reply.status in (200, 400, 404), (path, field.alias, value, reply.text)
                if reply.status != 200:
                    reply.refused(reply.status)


async def test_unknown_fields_are_ignored_without_a_word(leave: Leave) -> None:
    sent = {"name": "New", "nope": {"deep": [1, None]}, "id": 999, "": 1, "status": "ARCHIVED"}
    assert await leave.post("/leave-types", sent) == {
        "name": "New",
        "region": None,
        "status": "ACTIVE",
        "id": 12,
    }


async def test_an_unknown_record_is_not_found_by_any_number(leave: Leave) -> None:
    for id in ("999", "0", "-1", "x", "1.0", "99999999999999999999", "%00", "%D9%A3", "1%20"):
        assert await leave.refused("GET", f"/leave-types/{id}", status=404) == {
            "leave-types": ["Leave type not found."]
        }
    assert await leave.refused(
        "POST", "/leave-policies/7/actions/assign-employees", {"employeesIds": [1]}, 404
    ) == {"leave-policies": ["Leave policy not found."]}


async def test_an_address_that_is_none_is_not_found(leave: Leave) -> None:
    assert await leave.refused("GET", "/nothing", status=404) == {"request": ["Not found."]}
    for path in (
        "/leave-types/",
        "/leave-types/1/",
        "/leave-types/1/actions",
        "/leave-types/1/actions/nothing",
    ):
        assert await leave.refused("GET", path, status=404) == {"leave-types": ["Not found."]}
    for path in ("/", "/rest", "/rest/v2/leave-types", "/favicon.ico"):
        assert (await leave.send("GET", path)).refused(404) == {"request": ["Not found."]}


async def test_a_method_that_is_not_allowed_names_those_that_are(leave: Leave) -> None:
    allowed: dict[str, set[str]] = {}
    for route in app.ROUTES:
        allowed.setdefault(route.path, set()).add(route.method)
    for path, methods in allowed.items():
        for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "GET", "POST"):
            if method in methods:
                continue
            reply = await leave.call(method, path.replace("{id}", "1"))
            assert reply.refused(405) == {path.split("/")[1]: ["Method not allowed."]}
            assert set(reply.headers["Allow"].split(", ")) - {"HEAD"} == methods
    reply = await leave.send("GET", "/rest/oauth2/access_token")
    assert reply.refused(405) == {"access_token": ["Method not allowed."]}
    assert reply.headers["Allow"] == "POST"


async def test_a_body_over_the_limit_is_too_large_whether_it_is_read_or_not(database_url: str) -> None:
    async with served(database_url, body_limit=1024) as leave:
        fits = {"name": "x", "padding": "y" * 900}
        assert await leave.post("/leave-types", fits)
        for path in ("/leave-types", "/leave-types/8/actions/archive"):
            large = json.dumps({"name": "z", "padding": "y" * 1100})
            assert await leave.refused("POST", path, large, 413) == {
                "leave-types": ["The body is too large."]
            }
        assert (await leave.get("/leave-types/8"))["status"] == "ACTIVE"
        form = "grant_type=password&username=" + "x" * 2000
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await leave.send("POST", "/rest/oauth2/access_token", form, headers)).refused(413)


async def test_a_body_of_another_media_type_is_refused(leave: Leave) -> None:
    for media in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "nonsense"):
        refused = await leave.refused(
            "POST", "/leave-types", b'{"name": "x"}', 415, headers={"Content-Type": media}
        )
        assert refused == {"leave-types": ["The body must be application/json."]}
    packed = io.BytesIO(gzip.compress(b'{"name": "' + b"x" * 5_000_000 + b'"}'))
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert await leave.refused("POST", "/leave-types", packed, 415, headers=headers)
    sent = {"Content-Type": "application/json; charset=utf-8"}
    assert (await leave.call("POST", "/leave-types", b'{"name": "x"}', headers=sent)).ok()


async def test_a_query_that_is_not_understood_is_refused_by_name(leave: Leave) -> None:
    for query, key in (
        ("nope=1", "nope"),
        ("name=%00", "name"),
        ("id=x", "id"),
        ("id:nope=1", "id:nope"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("sort=nope", "sort"),
        ("include=nope", "include"),
        ("fields=nope", "fields"),
        ("name=%FF", "leave-types"),
        ("name=%ED%A0%80", "leave-types"),
        ("%FF=1", "leave-types"),
    ):
        assert list(await leave.refused("GET", f"/leave-types?{query}")) == [key], query


async def test_two_of_one_name_at_once_make_one_record_and_one_clear_refusal(leave: Leave) -> None:
    replies = await asyncio.gather(
        *(leave.call("POST", "/leave-types", {"name": name}) for name in ("New", "new", "NEW"))
    )
    assert sorted(reply.status for reply in replies) == [200, 400, 400]
    for reply in replies:
        if reply.status == 400:
            assert reply.json == {"name": ["This value is already used."]}


async def test_what_must_be_unique_is_named_by_its_field(leave: Leave) -> None:
    policy = {"customId": "P", "name": "P", "region": 1, "effectiveStartDate": "2100-01-01T00:00:00Z"}
    item = {**ITEM, "customId": "I", "name": "I", "quantity": 1}
    employee = {"customId": "E", "firstName": "A", "lastName": "B", "region": 1}
    used = ["This value is already used."]
    for path, body in (("/leave-policies", policy), ("/leave-policy-items", item), ("/employees", employee)):
        await leave.post(path, body)
        assert await leave.refused("POST", path, {**body, "name": "other"}) == {"customId": used}
        if "name" in body:
            assert await leave.refused("POST", path, {**body, "customId": "other"}) == {"name": used}
            assert await leave.post(path, {**body, "customId": None, "name": "third"})
    assert await leave.refused("PATCH", "/leave-types/8", {"name": "Vacation"}) == {"name": used}


async def test_numbers_are_exact_and_written_without_idle_zeros(leave: Leave) -> None:
    for sent, written in ((b"18", "18"), (b"18.0", "18"), (b"0.1", "0.1"), (b"2.50", "2.5"), (b"1e2", "100")):
        body = b'{"name": "%s", "region": 1, "leaveType": 8, "entitlementUnit": "DAYS", "quantity": %s}'
        reply = await leave.call("POST", "/leave-policy-items", body % (sent, sent))
        assert f'"quantity": {written},' in reply.text
    total = await leave.context.pool.fetchval("SELECT sum(quantity) FROM leave_policy_items")
    assert str(total) == "138.60"
    refused = await leave.refused("POST", "/leave-policy-items", {**ITEM, "quantity": 0.00001})
    assert refused == {"quantity": ["This value should have 4 decimals or less."]}


async def test_every_field_of_a_policy_has_its_bounds(leave: Leave) -> None:
    good = {"name": "x", "region": 1, "effectiveStartDate": "2100-01-01T00:00:00+00:00"}
    for field, values in {
        "effectiveStartDate": ["2100-01-01", "2100-01-01T00:00:00", "x", 5, None],
        "status": ["ARCHIVED", "active", 1],
        "payHoursPerDay": [0, -1, 24.1, "8"],
        "balanceResetReferenceMonth": ["January", "SMARCH", 1],
        "balanceResetsPerYear": [0, 5, 13, 1.5, "1", True],
        "name": [None, "", 5],
        "region": [None, 99, "1"],
        "customId": ["", 5, "x" * 65],
    }.items():
        for value in values:
            refused = await leave.refused("POST", "/leave-policies", {**good, field: value})
            assert list(refused) == [field], (field, value)
    created = await leave.post("/leave-policies", {**good, "payHoursPerDay": None, "status": None})
    assert (created["payHoursPerDay"], created["status"]) == (8, "ACTIVE")
    assert (created["balanceResetReferenceMonth"], created["balanceResetsPerYear"]) == ("JANUARY", 1)
    assert (created["customId"], created["description"]) == (None, None)


async def test_an_employee_is_created_changed_and_listed(leave: Leave) -> None:
    created = await leave.post(
        "/employees",
        {"firstName": "Ann", "lastName": "Lee", "region": 1, "customId": "E1", "email": "ann@example.com"},
    )
    assert created == {
        "id": created["id"],
        "customId": "E1",
        "firstName": "Ann",
        "lastName": "Lee",
        "name": "Ann Lee",
        "email": "ann@example.com",
        "region": 1,
        "status": "ACTIVE",
        "jobTitle": None,
    }
    path = f"/employees/{created['id']}"
    changed = await leave.patch(path, {"lastName": "Ray", "email": None, "name": "ignored"})
    assert changed == {**created, "lastName": "Ray", "name": "Ann Ray", "email": None}
    assert await leave.patch(path, {}) == changed
    assert await leave.refused("PATCH", path, {"status": "GONE"}) == {
        "status": ["The value you selected is not a valid choice."]
    }
    for wrong in ("ann", "a@b@c", "ann lee@example.com", "ann@example.com\n", "@", "ann@"):
        said = await leave.refused("PATCH", path, {"email": wrong})
        assert said == {"email": ["This value should be an e-mail address."]}, wrong
    assert await leave.get("/employees?status=ACTIVE&fields=id,email,customId&limit=1000") == [
        {"id": created["id"], "email": None, "customId": "E1"}
    ]
    assert await leave.get("/employees?customId=e1&name:contains=ann r&fields=id") == [{"id": created["id"]}]


async def test_a_list_is_paged_sorted_filtered_and_picked(leave: Leave) -> None:
    assert len(await leave.get("/leave-types")) == 11
    paged = [
        record["id"]
        for offset in (0, 4, 8, 12)
        for record in await leave.get(f"/leave-types?limit=4&offset={offset}&sort=-id")
    ]
    assert paged == list(range(11, 0, -1))
    assert await leave.get("/leave-types?id:in=8,10&sort=-name&fields=name:label,id") == [
        {"label": "Vacation", "id": 10},
        {"label": "Personal Day", "id": 8},
    ]
    assert await leave.get("/leave-types?name=nothing") == []
    by_name = await leave.get("/leave-types?sort=name&limit=2&fields=name")
    assert [record["name"] for record in by_name] == ["Bereavement", "Family Obligations"]


async def test_an_envelope_is_put_around_answers_and_not_around_errors(database_url: str) -> None:
    async with served(database_url, envelope=True) as leave:
        page = await leave.get("/leave-types?limit=3&offset=1&status=ACTIVE")
        assert page["meta"] == {
            "resource": "leave-types",
            "count": 11,
            "itemCount": 3,
            "limit": 3,
            "offset": 1,
        }
        assert [record["id"] for record in page["data"]] == [2, 3, 4]
        one = await leave.get("/leave-types/8")
        assert one["data"]["name"] == "Personal Day"
        assert (await leave.get("/leave-types?name=none"))["data"] == []
        created = await leave.post("/leave-types", {"name": "x"})
        assert created["data"]["id"] == 12
        assert await leave.refused("GET", "/leave-types/99", status=404)
        schema = (await leave.send("GET", "/openapi.json")).ok()
        shown = schema["paths"]["/rest/v1/leave-types"]["get"]["responses"]["200"]["content"]
        assert set(shown["application/json"]["schema"]["properties"]) == {"meta", "data"}


async def test_includes_replace_ids_and_go_deeper(leave: Leave) -> None:
    item = await leave.item(leaveType=10)
    policy = await leave.policy(items=[item])
    employee = await leave.employee()
    await leave.assign(policy, employee)
    found = await leave.get(
        f"/employee-leave-policies?employee={employee}"
        "&include=employee,leavePolicy.leavePolicyItems.leaveType,leavePolicy.employees"
    )
    [entry] = found
    assert entry["employee"]["name"] == "Ann Lee"
    assert entry["leavePolicy"]["leavePolicyItems"][0]["leaveType"]["name"] == "Vacation"
    assert [person["id"] for person in entry["leavePolicy"]["employees"]] == [employee]
    plain = await leave.get(f"/employee-leave-policies/{entry['id']}")
    assert (plain["employee"], plain["leavePolicy"]) == (employee, policy)
    assert "leavePolicyItems" not in await leave.get(f"/leave-policies/{policy}")


async def test_a_list_costs_a_fixed_number_of_statements(leave: Leave) -> None:
    """However many records, and with all that can be included."""
    statements: list[str] = []

    def count(record: asyncpg.connection.LoggedQuery) -> None:
        statements.append(record.query)

    counts = []
    for size in (2, 20):
        for _ in range(size):
            await leave.assign(
                await leave.policy(items=[await leave.item(leaveType=8), await leave.item(leaveType=9)]),
                await leave.employee(),
            )
        pool = leave.context.pool
        held = [await pool.acquire() for _ in range(pool.get_size())]
        for connection in held:
            connection.add_query_logger(count)
        for connection in held:
            await pool.release(connection)
        statements.clear()
        found = await leave.get(
            "/leave-policies?limit=1000&include=leavePolicyItems.leaveType,leavePolicyItems.region,employees"
        )
        assert len(found) >= size
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert 5 < counts[0] < 12


async def test_a_database_that_is_away_is_a_503_and_comes_back(leave: Leave, database_url: str) -> None:
    """A statement that the server cuts off says nothing of the call: it may be tried again."""
    pool = leave.context.pool
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'timeoff-leave'"

    admin = await asyncpg.connect(database_url)
    try:
        async with pool.acquire() as holder, holder.transaction():
            await holder.execute("LOCK TABLE leave_types IN ACCESS EXCLUSIVE MODE")
            waiting = asyncio.create_task(leave.call("GET", "/leave-types"))
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            async with asyncio.timeout(20):
                while not await admin.fetchval(waits):
                    await asyncio.sleep(0)
            await admin.execute(cut + " AND wait_event_type = 'Lock'")
            reply = await waiting
        assert reply.refused(503) == {"leave-types": ["The service cannot reach its database."]}
        assert reply.headers["Retry-After"] == "1"
    finally:
        await admin.close()
    assert await leave.get("/leave-types/8")


async def test_what_nobody_foresaw_is_a_500_in_the_same_shape_whose_line_quotes_nothing(
    leave: Leave, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> bool:
        raise KeyError("a value of the call")

    monkeypatch.setattr(leave_types, "_is_root", fail)
    with structlog.testing.capture_logs() as lines:
        reply = await leave.call("POST", "/leave-types", {"name": "x"})
    assert reply.refused(500) == {"leave-types": ["The service failed."]}
    [line] = [line for line in lines if line["event"] == "call.failed"]
    assert isinstance(line["exc_info"], KeyError), "logs show the class of such an error, not its text"


async def test_a_log_line_has_ids_and_no_values(leave: Leave) -> None:
    with structlog.testing.capture_logs() as lines:
        body = {"firstName": "Secretname", "lastName": "Lee", "region": 1}
        reply = await leave.call("POST", "/employees", body)
    [line] = [line for line in lines if line["event"] == "call.answered"]
    assert (line["route"], line["status"], line["account"]) == ("/rest/v1/employees", 200, 1)
    assert reply.headers["X-Request-Id"]
    assert "Secretname" not in str(lines)


async def test_a_long_list_of_ids_fits_into_the_address(leave: Leave) -> None:
    many = ",".join(str(number) for number in range(1, 3000))
    assert len(await leave.get(f"/leave-types?id:in={many}")) == 11


async def test_no_call_fills_the_process_with_what_it_includes(leave: Leave) -> None:
    """A list of many who share a policy, each with all who share it."""
    policy = await leave.policy()
    await leave.context.pool.execute(
        "INSERT INTO employees (id, first_name, last_name, region)"
        " SELECT 1000 + n, 'A', 'B', 1 FROM generate_series(1, 1000) n"
    )
    await leave.context.pool.execute(
        "INSERT INTO assignments (employee, policy, started_on)"
        " SELECT id, $1, '2023-01-01' FROM employees WHERE id > 1000",
        policy,
    )
    said = "The answer would hold more than 20000 records: include less, or take a smaller limit."
    path = "/employee-leave-policies?include=leavePolicy.employees"
    assert await leave.refused("GET", f"{path}&limit=1000") == {"include": [said]}
    assert len((await leave.get(f"{path}&limit=10"))[9]["leavePolicy"]["employees"]) == 1000
    assert len((await leave.get(f"/leave-policies/{policy}?include=employees"))["employees"]) == 1000


async def test_whatever_else_is_expected_is_refused_in_the_one_shape(leave: Leave) -> None:
    for path in ("/rest/v1/leave-types", "/rest/oauth2/access_token"):
        head = f"POST {path} HTTP/1.1\nExpect: foo\nContent-Type: application/json\nContent-Length: 2"
        answered, body = await word_for_word(leave, head, b"{}")
        assert answered.split()[1] == b"417"
        assert json.loads(body) == {"request": ["Nothing but 100-continue can be expected."]}
    head = "POST /rest/v1/leave-types HTTP/1.1\nExpect: 100-continue\nContent-Length: 2"
    answered, body = await word_for_word(leave, head, b"{}")
    assert answered == b"HTTP/1.1 100 Continue"
    assert body.startswith(b"HTTP/1.1 401 ")


async def test_no_answer_tells_what_the_service_is_made_of(leave: Leave) -> None:
    for method, path in (
        ("GET", "/rest/v1/leave-types"),
        ("GET", "/nothing"),
        ("GET", "/web/login"),
        ("PUT", "/web"),
    ):
        assert (await leave.send(method, path)).headers["Server"] == "timeoff-leave"
    answered, _ = await word_for_word(leave, "GET /nothing HTTP/1.1\nExpect: foo")
    assert b"Python" not in answered
    assert b"Server: timeoff-leave" in answered


async def test_a_body_that_never_comes_is_given_up(database_url: str) -> None:
    async with served(database_url, body_timeout=0.2) as leave:
        for path, media, key in (
            ("/rest/oauth2/access_token", "application/json", "access_token"),
            ("/web/login", "application/x-www-form-urlencoded", "request"),
            (f"/rest/v1/leave-types\nAuthorization: Bearer {leave.token}", "application/json", "leave-types"),
        ):
            target, _, more = path.partition("\n")
            head = f"POST {target} HTTP/1.1\nContent-Type: {media}\nContent-Length: 1000"
            answered, body = await word_for_word(leave, head + (f"\n{more}" if more else ""), b"{")
            assert answered.split()[1] == b"408", path
            assert json.loads(body) == {key: ["The body did not come in time."]}


async def test_what_waits_too_long_for_another_call_is_told_that_the_database_is_busy(
    database_url: str,
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        name = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(f"ALTER DATABASE {name} SET lock_timeout = '200ms'")
    finally:
        await connection.close()
    async with served(database_url) as leave:
        employee = await leave.employee()
        async with leave.context.pool.acquire() as holder, holder.transaction():
            await holder.execute("SELECT FROM employees FOR UPDATE")
            reply = await leave.call("PATCH", f"/employees/{employee}", {"jobTitle": "x"})
        assert reply.refused(503) == {"employees": ["The database is busy."]}
        assert reply.headers["Retry-After"] == "1"
