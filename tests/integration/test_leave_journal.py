"""The journal on PostgreSQL: append-only, granted once, and read by index however much there is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from tests.support.leave import Leave, served

from timeoff_leave.database import open_pool

POLICY = """
    INSERT INTO leave_policies (id, name, region, status, effective_start, pay_hours_per_day, reset_month,
                                resets_per_year, start_period, end_period)
    VALUES (8, 'A', 1, 'ACTIVE', '2023-03-27+00', 8, 1, 1, '2023-01-01', '2023-12-31');
"""
ONE_OF_EACH = f"""
    {POLICY}
    INSERT INTO employees (id, first_name, last_name, region) VALUES (1404, 'Kaylee', 'Frye', 1);
    INSERT INTO postings (employee, leave_type, policy, period_start, period_months, kind, days, recorded_at)
    VALUES (1404, 10, 8, '2023-01-01', 12, 'grant', 18, '2023-04-01+00');
"""
AGAIN = """
    INSERT INTO postings (employee, leave_type, policy, period_start, period_months, kind, days, recorded_at)
    VALUES (1404, 10, 8, '2023-01-01', 12, $1, 5, '2023-05-01+00')
"""


@pytest.mark.parametrize(
    "statement",
    ["UPDATE postings SET days = 19", "DELETE FROM postings", "TRUNCATE postings"],
    ids=["update", "delete", "truncate"],
)
async def test_a_posting_is_never_changed(database_url: str, statement: str) -> None:
    async with await open_pool(database_url, size=1) as pool:
        await pool.execute(ONE_OF_EACH)
        with pytest.raises(asyncpg.RaiseError, match="postings is append-only"):
            await pool.execute(statement)
        assert await pool.fetchval("SELECT sum(days) FROM postings") == 18


@pytest.mark.parametrize("kind", ["grant", "carry_over"])
async def test_the_database_itself_refuses_a_second_grant_of_a_period(database_url: str, kind: str) -> None:
    """The last guard, should a lock be forgotten one day; a set may be repeated."""
    async with await open_pool(database_url, size=1) as pool:
        await pool.execute(ONE_OF_EACH)
        if kind == "carry_over":
            await pool.execute(AGAIN, kind)
        with pytest.raises(asyncpg.UniqueViolationError):
            await pool.execute(AGAIN, kind)
        await pool.execute(AGAIN, "set")
        await pool.execute(AGAIN, "set")


# -- volume -------------------------------------------------------------------------------------------

TABLE_PAGES = "SELECT relpages FROM pg_class WHERE relname = 'postings'"
PEOPLE = 50_000
FIFTY = ",".join(map(str, range(40_000, 40_050)))
#: 50,000 employees on one policy of 12 types, with two requests each. Checks of references are left out
#: while it is filled: the rows are right, and time is short.
FILL = f"""
    SET session_replication_role = replica;
    {POLICY}
    INSERT INTO leave_types (id, name) VALUES (12, 'Twelfth');
    INSERT INTO employees (id, first_name, last_name, region)
        SELECT n, 'A', 'B', 1 FROM generate_series(1, {PEOPLE}) n;
    INSERT INTO assignments (employee, policy, started_on)
        SELECT n, 8, '2023-01-01' FROM generate_series(1, {PEOPLE}) n;
    INSERT INTO leave_policy_items (id, name, entitlement_unit, quantity, region, leave_type, carry_over)
        SELECT t, 'Item ' || t, 'DAYS', 18, 1, t, false FROM generate_series(1, 12) t;
    INSERT INTO policy_items SELECT 8, t, '2023-01-01+00' FROM generate_series(1, 12) t;
    INSERT INTO postings (employee, leave_type, policy, period_start, period_months, kind, days, recorded_at)
        SELECT n, t, 8, '2023-01-01', 12, 'grant', 18, '2023-01-01+00'
        FROM generate_series(1, {PEOPLE}) n, generate_series(1, 12) t;
    INSERT INTO leave_requests (id, custom_id, employee, leave_type, leave_policy, status, start_date,
                                end_date, full_day, time_zone, created_on, updated_on)
        SELECT (n - 1) * 2 + k, n || '/' || k, n, 10, 8, 'APPROVED', date '2023-07-01' + k,
               date '2023-07-01' + k, 480, 'UTC', '2023-01-01+00', '2023-01-01+00'
        FROM generate_series(1, {PEOPLE}) n, generate_series(1, 2) k;
    INSERT INTO leave_request_days (leave_request, on_date, minutes)
        SELECT id, start_date, 480 FROM leave_requests;
    INSERT INTO postings (employee, leave_type, policy, period_start, period_months, kind, days,
                          leave_request, recorded_at)
        SELECT employee, 10, 8, '2023-01-01', 12, 'take', -1, id, '2023-01-01+00' FROM leave_requests;
    SELECT setval(pg_get_serial_sequence('leave_requests', 'id'), 2 * {PEOPLE});
    SET session_replication_role = origin;
    ANALYZE;
"""


@pytest.fixture
async def crowd(database_url: str) -> AsyncIterator[Leave]:
    async with served(database_url, "2023-06-01T12:00") as leave:
        connection = await asyncpg.connect(database_url, server_settings={"search_path": "leave"})
        try:
            await connection.execute(FILL)
        finally:
            await connection.close()
        yield leave


@asynccontextmanager
async def statements(leave: Leave) -> AsyncIterator[list[tuple[str, tuple[Any, ...]]]]:
    """Collects what the service asks the database: statement and arguments."""
    asked: list[tuple[str, tuple[Any, ...]]] = []

    def note(query: asyncpg.connection.LoggedQuery) -> None:
        # Once for each connection the driver learns a type, with the JIT compiler turned off.
        if "typeinfo_tree" not in query.query and "current_setting('jit')" not in query.query:
            asked.append((query.query, tuple(query.args)))

    pool = leave.context.pool
    connections = [await pool.acquire() for _ in range(pool.get_max_size())]
    for connection in connections:
        connection.add_query_logger(note)
    for connection in connections:
        await pool.release(connection)
    yield asked


async def blocks_of(leave: Leave, statement: str, arguments: tuple[Any, ...]) -> int:
    """Pages that a statement touches, as the server counts them."""
    text = await leave.context.pool.fetchval(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *arguments
    )
    plan = json.loads(text)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_balances_of_fifty_thousand_people_cost_few_statements_each_by_index(crowd: Leave) -> None:
    """Neither the number of statements grows with the rows nor the pages that they touch. All in one test,
    since it takes seconds to fill the tables."""
    path = "/leave-balances?include=leaveType,employee&limit=1000&"
    async with statements(crowd) as asked:
        assert len(await crowd.get(f"{path}employee=40000")) == 12
        of_one = list(asked)
        asked.clear()
        assert len(await crowd.get(f"{path}employee:in={FIFTY}")) == 600
        assert len(of_one) == len(asked) <= 8
        touched = [await blocks_of(crowd, *statement) for statement in of_one]
        assert max(touched) < 400, touched
        assert await crowd.context.pool.fetchval(TABLE_PAGES) > 5000

        # A page of everybody's sums what it shows, and no more.
        asked.clear()
        page = await crowd.get("/leave-balances?limit=5")
        assert [row["id"] for row in page] == [f"1-{number}-2023-01-01" for number in range(1, 6)]
        (listing,) = [statement for statement in asked if "balanceDays" in statement[0]]
        assert await blocks_of(crowd, *listing) < 500

        # Nor does one deep in the list sum what is before it: one look a row, and not twenty.
        asked.clear()
        page = await crowd.get("/leave-balances?limit=5&offset=500000")
        assert [row["id"] for row in page] == [f"41667-{number}-2023-01-01" for number in range(9, 13)] + [
            "41668-1-2023-01-01"
        ]
        (listing,) = [statement for statement in asked if "balanceDays" in statement[0]]
        assert await blocks_of(crowd, *listing) < 1_000_000

        # A request is found by its key or its employee, and booked, by index too.
        asked.clear()
        assert len(await crowd.get("/leave-requests?customId=40000/2")) == 1
        assert len(await crowd.get("/leave-requests?employee=40000")) == 2
        body = {"employee": 40000, "leaveType": 10, "startDate": "2023-08-01", "endDate": "2023-08-02"}
        request = await crowd.post("/leave-requests", {**body, "customId": "40000/5"})
        await crowd.patch(f"/leave-requests/{request['id']}", {"endDate": "2023-08-03"})
        await crowd.post(f"/leave-requests/{request['id']}/actions/approve")
        looks = [statement for statement in asked if statement[0].lstrip().startswith("SELECT")]
        assert len(looks) > 15
        assert max([await blocks_of(crowd, *look) for look in looks]) < 200

        # The first read of a new year opens twelve periods as it would open one.
        await crowd.turn("2024-01-02T12:00")
        asked.clear()
        assert len(await crowd.get("/leave-balances?employee=40000")) == 24
        of_twelve = len(asked)
        await crowd.context.pool.execute("DELETE FROM policy_items WHERE item > 1")
        asked.clear()
        assert len(await crowd.get("/leave-balances?employee=40001")) == 13
        assert len(asked) == of_twelve <= 12
