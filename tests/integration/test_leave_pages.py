"""The leave service's web pages: behind a login, read-only, showing what the account may see and nothing
more."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from multidict import CIMultiDict
from tests.support.leave import ADMINISTRATOR, PASSWORD, Leave, Reply, served

from timeoff_leave.listing import Reader

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PATHS = ("/web/policies", "/web/policies/1", "/web/items", "/web/types", "/web/employees", "/web/employees/1")


@pytest.fixture
async def leave(database_url: str) -> AsyncIterator[Leave]:
    """Policy 1 of region 2 with 18 days Vacation, with employee 1 on it."""
    async with served(database_url) as leave:
        west = await leave.region("West", timeZone="America/Denver")
        item = await leave.item(region=west, name="Vacation days", carryOver=True, carryOverLimit=5)
        await leave.policy(region=west, name="Guards' policy", items=[item], customId="GUARDS")
        await leave.assign(1, await leave.employee(region=west, email="ann@example.com"))
        yield leave


async def login(leave: Leave, username: str = ADMINISTRATOR, password: str = PASSWORD) -> str:
    """The cookie of a login, as it is sent back."""
    reply = await leave.send("POST", "/web/login", f"username={username}&password={password}", FORM)
    assert (reply.status, reply.headers["Location"]) == (303, "/web/policies")
    return reply.headers["Set-Cookie"].split(";")[0]


async def page(leave: Leave, path: str, cookie: str) -> Reply:
    return await leave.send("GET", path, headers={"Cookie": cookie})


def shown(reply: Reply) -> str:
    """The text of a page without its tags."""
    assert reply.status == 200, reply
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", reply.text))


async def test_without_a_login_every_page_leads_to_the_login(leave: Leave) -> None:
    for path in PATHS:
        for cookie in ("", "leave_session=nonsense", f"leave_session={leave.token}"):
            reply = await page(leave, path, cookie)
            assert (reply.status, reply.headers["Location"]) == (303, "/web/login")
            assert reply.text == ""


async def test_pages_show_types_policies_items_people_and_balances(leave: Leave) -> None:
    cookie = await login(leave)
    types = shown(await page(leave, "/web/types", cookie))
    assert "Bereavement All regions Active" in types
    policies = shown(await page(leave, "/web/policies", cookie))
    assert "GUARDS West Active 1 Jan 2100 8 January 1 1" in policies
    policy = shown(await page(leave, "/web/policies/1", cookie))
    assert "Vacation days – Vacation 18 days Up to 5 days West" in policy
    assert "Ann Lee – – West Active 26 Mar 2023" in policy
    assert "Vacation days" in shown(await page(leave, "/web/items", cookie))
    assert "ann@example.com" in shown(await page(leave, "/web/employees?name=ANN", cookie))
    assert "Nobody is called" in shown(await page(leave, "/web/employees?name=nobody", cookie))
    employee = shown(await page(leave, "/web/employees/1", cookie))
    assert "Vacation 1 Jan 2023 until 1 Jan 2024 Current 18 18 America/Denver" in employee


async def test_an_employees_page_shows_the_requests_but_no_reason(leave: Leave) -> None:
    for day, status in (("2023-05-02", "APPROVED"), ("2023-05-03", "PENDING")):
        asked = {"employee": 1, "leaveType": 10, "startDate": day, "endDate": day, "status": status}
        await leave.post("/leave-requests", {**asked, "customId": f"r-{day}", "reason": "knee surgery"})
    reply = await page(leave, "/web/employees/1", await login(leave))
    assert "knee" not in reply.text
    assert (
        "2 Vacation 3 May 2023 3 May 2023 1 Pending r-2023-05-03 "
        "1 Vacation 2 May 2023 2 May 2023 1 Approved r-2023-05-02"
    ) in shown(reply)


async def test_an_employee_with_many_requests_has_pages_of_them(leave: Leave) -> None:
    for number in range(51):
        day = f"2023-{5 + number // 28:02}-{1 + number % 28:02}"
        asked = {
            "employee": 1,
            "leaveType": 10,
            "startDate": day,
            "endDate": day,
            "customId": f"r-{number:02}",
        }
        await leave.post("/leave-requests", asked)
    cookie = await login(leave)
    first, second = [shown(await page(leave, f"/web/employees/1?page={number}", cookie)) for number in (1, 2)]
    assert ("r-50" in first, "r-01" in first, "r-00" in first, "Next" in first) == (True, True, False, True)
    assert ("r-00" in second, "r-01" in second, "Next" in second) == (True, False, False)


async def test_pages_show_what_the_account_may_see(leave: Leave) -> None:
    east = await leave.region("East")
    await leave.account("east", east)
    cookie = await login(leave, "east")
    for path in ("/web/policies/1", "/web/employees/1"):
        assert (await page(leave, path, cookie)).status == 404
    for path in ("/web/policies", "/web/items", "/web/employees"):
        text = shown(await page(leave, path, cookie))
        for secret in ("Guards", "Vacation days", "Ann"):
            assert secret not in text


async def test_whatever_people_are_called_is_text(leave: Leave) -> None:
    evil = "<script>alert('1')</script>"
    await leave.patch("/employees/1", {"firstName": evil, "jobTitle": '"><img src=x>', "email": f"{evil}@x"})
    await leave.post("/leave-types", {"name": evil})
    cookie = await login(leave)
    for path in (*PATHS, f"/web/employees?name={evil}", "/web/employees?name=%22%3E%3Cb%3E"):
        text = (await page(leave, path, cookie)).text
        assert "<script" not in text
        assert "<img" not in text
        assert "<b>" not in text
    assert "&lt;script&gt;" in (await page(leave, "/web/types", cookie)).text


async def test_pages_forbid_scripts_frames_and_caches(leave: Leave) -> None:
    cookie = await login(leave)
    for path in (*PATHS, "/web/login", "/web/policies/999"):
        headers = (await page(leave, path, cookie)).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "script-src" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
    assert (await leave.send("GET", "/web/style.css")).headers["Content-Type"].startswith("text/css")


async def test_the_cookie_is_kept_from_scripts_and_other_sites(leave: Leave) -> None:
    reply = await leave.send("POST", "/web/login", f"username={ADMINISTRATOR}&password={PASSWORD}", FORM)
    cookie = reply.headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=Strict", "Path=/web", "Max-Age=28800"):
        assert part in cookie
    assert "Secure" not in cookie, "over plain HTTP it would never come back"


async def test_behind_a_proxy_with_tls_the_cookie_is_secure(database_url: str) -> None:
    async with served(database_url, trusted_proxies=1) as leave:
        form = f"username={ADMINISTRATOR}&password={PASSWORD}"
        headers = {**FORM, "X-Forwarded-Proto": "https", "X-Forwarded-For": "10.0.0.1"}
        assert "Secure" in (await leave.send("POST", "/web/login", form, headers)).headers["Set-Cookie"]
        # The caller's own line comes first, the proxy's last.
        lines = CIMultiDict(headers)
        lines.add("X-Forwarded-Proto", "http")
        assert "Secure" not in (await leave.send("POST", "/web/login", form, lines)).headers["Set-Cookie"]


async def test_a_logout_ends_the_session_on_the_server(leave: Leave) -> None:
    cookie = await login(leave)
    reply = await leave.send("POST", "/web/logout", headers={"Cookie": cookie})
    assert (reply.status, reply.headers["Location"]) == (303, "/web/login")
    assert (await page(leave, "/web/types", cookie)).status == 303


async def test_a_form_of_another_site_is_refused(leave: Leave) -> None:
    cookie = await login(leave)
    for path in ("/web/login", "/web/logout"):
        headers = {**FORM, "Sec-Fetch-Site": "cross-site", "Cookie": cookie}
        form = f"username={ADMINISTRATOR}&password={PASSWORD}"
        assert (await leave.send("POST", path, form, headers)).refused(403)
    assert (await page(leave, "/web/types", cookie)).status == 200


async def test_without_tls_the_origin_of_a_form_has_to_be_this_host(leave: Leave) -> None:
    form = f"username={ADMINISTRATOR}&password={PASSWORD}"
    for origin in ("http://evil.example", "null", leave.url + "0"):
        assert (await leave.send("POST", "/web/login", form, {**FORM, "Origin": origin})).refused(403)
    ours = {**FORM, "Origin": leave.url}
    assert (await leave.send("POST", "/web/login", form, ours)).status == 303


async def test_pages_cost_calls_of_the_account(database_url: str) -> None:
    async with served(database_url, requests_per_minute=3) as leave:
        cookie = await login(leave)
        for _ in range(3):
            assert (await page(leave, "/web/types", cookie)).status == 200
        reply = await page(leave, "/web/types", cookie)
        assert (reply.status, "Too many requests." in reply.text) == (429, True)
        assert 1 <= int(reply.headers["Retry-After"]) <= 20
        assert await leave.refused("GET", "/leave-types", status=429), (
            "calls of the API are of the same account"
        )


async def test_somebody_who_moves_out_of_sight_meanwhile_is_a_number(
    leave: Leave, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leave.account("west", 2)
    cookie = await login(leave, "west")
    include = Reader._include

    async def moved(self: Reader, resource: Any, wanted: Any, records: Any) -> None:
        """Between the assignment and its employee, which are two statements."""
        if resource.name == "employee-leave-policies":
            await leave.context.pool.execute("UPDATE employees SET region = 1")
        await include(self, resource, wanted, records)

    monkeypatch.setattr(Reader, "_include", moved)
    text = shown(await page(leave, "/web/policies/1", cookie))
    assert "1 No. 1 26 Mar 2023" in text
    assert "Ann" not in text


async def test_failed_logins_to_pages_count_with_those_of_the_api(database_url: str) -> None:
    async with served(database_url, login_attempts=3) as leave:
        for _ in range(2):
            reply = await leave.send("POST", "/web/login", "username=x&password=y", FORM)
            assert (reply.status, "The credentials are not right." in reply.text) == (401, True)
        for form in ("", "username=x", "username=%00&password=y", "username=%FF"):
            assert (await leave.send("POST", "/web/login", form, FORM)).status == 400
        assert (await leave.grant(grant_type="password", username="x", password="y")).status == 401
        reply = await leave.send("POST", "/web/login", f"username={ADMINISTRATOR}&password={PASSWORD}", FORM)
        assert reply.status == 429
        assert reply.headers["Retry-After"] == "7200"


async def test_long_lists_have_pages(leave: Leave) -> None:
    for number in range(51):
        await leave.employee(lastName=f"Zed {number:02}")
    cookie = await login(leave)
    first, second = [shown(await page(leave, f"/web/employees?page={number}", cookie)) for number in (1, 2)]
    assert "Next" in first
    assert "Previous" not in first
    assert "Zed 50" in second
    assert "Next" not in second
    for wrong in ("0", "-1", "x", "99999999999", "%00"):
        assert (await page(leave, f"/web/employees?page={wrong}", cookie)).status == 200


async def test_a_page_that_is_not_there_is_a_page(leave: Leave) -> None:
    cookie = await login(leave)
    for path in (
        "/web/policies/99",
        "/web/policies/x",
        "/web/employees/99999999999999",
        "/web/policies/%00",
        "/web/nothing",
        "/web/policies/1/nothing",
    ):
        reply = await page(leave, path, cookie)
        assert (reply.status, reply.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
        assert "not found." in reply.text
    assert (await leave.send("GET", "/web/nothing")).headers["Location"] == "/web/login"


async def test_a_browser_is_led_to_the_pages_and_a_program_is_not(leave: Leave) -> None:
    reply = await leave.send("GET", "/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (reply.status, reply.headers["Location"]) == (303, "/web")
    assert (await leave.send("GET", "/")).refused(404) == {"request": ["Not found."]}
