"""The read-only web pages under /web: types, policies with their items and people, items, balances and
requests.

They show what the account may see, through the same reader as the API; but no reason of a request, which may
be medical and is of no use here. A login is a cookie that holds a token of the pages' own kind: it opens
nothing of the API.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from timeoff_leave.access import Door, caller_of, digest
from timeoff_leave.addresses import address_of, is_secure
from timeoff_leave.assignments import EMPLOYEE_LEAVE_POLICIES
from timeoff_leave.balances import balances_of
from timeoff_leave.context import Caller, Context
from timeoff_leave.employees import EMPLOYEES
from timeoff_leave.errors import Refusal, not_found
from timeoff_leave.filters import Condition
from timeoff_leave.leave_policies import LEAVE_POLICIES
from timeoff_leave.leave_policy_items import LEAVE_POLICY_ITEMS
from timeoff_leave.leave_types import LEAVE_TYPES
from timeoff_leave.listing import Reader, Resource, Row
from timeoff_leave.logins import Logins
from timeoff_leave.regions import REGIONS
from timeoff_leave.rendering import STYLE, render
from timeoff_leave.requests import LEAVE_REQUESTS
from timeoff_leave.road import read_raw
from timeoff_leave.selection import Includes, Selection
from timeoff_leave.values import MAX_ID

COOKIE: Final = "leave_session"
LOGIN: Final = "/web/login"
HOME: Final = "/web/policies"
PAGE_SIZE: Final = 50
_SHOWN_OF_REQUESTS: Final = ("id", "customId", "leaveType", "status", "startDate", "endDate", "totalDays")

#: No script, nothing from elsewhere, in nobody's frame, and nothing kept by a cache.
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """A page that somebody asked for, who is logged in."""

    request: web.Request
    context: Context
    caller: Caller
    reader: Reader

    @property
    def id(self) -> int:
        """The number in the path; 0, which no record has, for one that cannot be."""
        text = self.request.match_info["id"]
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0

    @property
    def page(self) -> int:
        text = self.request.query.get("page", "1")
        return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) <= 6 else 1

    async def one(self, resource: Resource, includes: Includes | None = None) -> Row:
        return await self.reader.one(resource, Selection(includes=includes or {}), min(self.id, MAX_ID))

    async def listed(self, resource: Resource, selection: Selection) -> tuple[list[Row], bool]:
        """A page of records, and whether there is another one."""
        wanted = replace(selection, limit=PAGE_SIZE + 1, offset=(self.page - 1) * PAGE_SIZE)
        found = (await self.reader.page(resource, wanted)).records
        return found[:PAGE_SIZE], len(found) > PAGE_SIZE


_Page = Callable[[Visit], Awaitable[tuple[str, Mapping[str, Any]]]]


class Pages:
    """Serves the pages; each is a function from a visit to a template and its values."""

    def __init__(self, context: Context, logins: Logins, door: Door) -> None:
        self._context = context
        self._logins = logins
        self._door = door

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._root),
            web.get("/web", self._home),
            web.get("/web/", self._home),
            web.get("/web/style.css", self._style),
            web.get(LOGIN, self._login_form),
            web.post(LOGIN, self._login),
            web.post("/web/logout", self._logout),
            *(web.get(path, self._shown(page)) for path, page in _PAGES.items()),
        ]

    def _shown(self, page: _Page) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            caller = await caller_of(self._context, request.cookies.get(COOKIE, ""), "web")
            if caller is None:
                return _redirect(LOGIN)
            reader = Reader(self._context, caller.region, self._context.pool)
            visit = Visit(request, self._context, caller, reader)
            region = await reader.one(REGIONS, Selection(), caller.region)
            frame = {"account": caller.username, "region": region["name"], "path": request.path}
            try:
                self._door.spend(caller, "page")
                template, values = await page(visit)
            except Refusal as refusal:
                said = " ".join(message for said in refusal.messages.values() for message in said)
                return _html("error.html", {**frame, "message": said}, refusal.status, refusal.headers)
            return _html(template, {**frame, **values, "page": visit.page})

        return handle

    async def _root(self, request: web.Request) -> web.Response:
        """Browsers are led to the pages; for others there is nothing here."""
        if "text/html" not in request.headers.get(hdrs.ACCEPT, ""):
            raise web.HTTPNotFound
        return _redirect("/web")

    async def _home(self, _: web.Request) -> web.Response:
        return _redirect(HOME)

    async def _style(self, _: web.Request) -> web.Response:
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=3600"}
        return web.Response(text=STYLE, content_type="text/css", headers=headers)

    async def _login_form(self, _: web.Request) -> web.Response:
        return _html("login.html", {"message": ""})

    async def _login(self, request: web.Request) -> web.Response:
        form = await _form(request, self._context.settings.body_timeout)
        username, password = form.get("username", ""), form.get("password", "")
        if not username or not password or "\0" in username:
            return _html("login.html", {"message": "User name and password are needed."}, 400)
        try:
            address = address_of(request, self._context.settings.trusted_proxies)
            granted = await self._logins.to_pages("login", address, username, password)
        except Refusal as refusal:
            said = refusal.messages["login"][0]
            return _html("login.html", {"message": said}, refusal.status, refusal.headers)
        response = _redirect(HOME)
        response.set_cookie(
            COOKIE,
            granted.access_token,
            max_age=granted.expires_in,
            path="/web",
            httponly=True,
            samesite="Strict",
            secure=is_secure(request, self._context.settings.trusted_proxies),
        )
        return response

    async def _logout(self, request: web.Request) -> web.Response:
        await _form(request, self._context.settings.body_timeout)
        token = request.cookies.get(COOKIE, "")
        await self._context.pool.execute(self._context.sql.remove_access_token, digest(token))
        response = _redirect(LOGIN)
        response.del_cookie(COOKIE, path="/web")
        return response


async def _policies(visit: Visit) -> tuple[str, Mapping[str, Any]]:
    rows, more = await visit.listed(LEAVE_POLICIES, Selection(order=("name",), includes={"region": {}}))
    counts = await visit.context.pool.fetch(
        visit.context.sql.counts_of_policies, [row["id"] for row in rows], visit.caller.region
    )
    return "policies.html", {"rows": rows, "more": more, "counts": {row["id"]: row for row in counts}}


async def _policy(visit: Visit) -> tuple[str, Mapping[str, Any]]:
    includes: Includes = {"region": {}, "leavePolicyItems": {"leaveType": {}, "region": {}}}
    policy = await visit.one(LEAVE_POLICIES, includes)
    on_it = Selection(
        order=("id",),
        includes={"employee": {"region": {}}},
        conditions=(
            Condition("leavePolicy", "integer", "", (policy["id"],)),
            Condition("endedOn", "day", "", (None,)),
        ),
    )
    rows, more = await visit.listed(EMPLOYEE_LEAVE_POLICIES, on_it)
    return "policy.html", {"policy": policy, "rows": rows, "more": more}


async def _items(visit: Visit) -> tuple[str, Mapping[str, Any]]:
    wanted = Selection(order=("name",), includes={"leaveType": {}, "region": {}})
    rows, more = await visit.listed(LEAVE_POLICY_ITEMS, wanted)
    return "items.html", {"rows": rows, "more": more}


async def _types(visit: Visit) -> tuple[str, Mapping[str, Any]]:
    rows, more = await visit.listed(LEAVE_TYPES, Selection(order=("id",), includes={"region": {}}))
    return "types.html", {"rows": rows, "more": more}


async def _employees(visit: Visit) -> tuple[str, Mapping[str, Any]]:
    text = visit.request.query.get("name", "").replace("\0", "").strip()[:100]
    conditions = (Condition("name", "text", "contains", (text,)),) if text else ()
    wanted = Selection(order=("lastName", "firstName", "id"), includes={"region": {}}, conditions=conditions)
    rows, more = await visit.listed(EMPLOYEES, wanted)
    return "employees.html", {"rows": rows, "more": more, "name": text}


async def _employee(visit: Visit) -> tuple[str, Mapping[str, Any]]:
    employee = await visit.one(EMPLOYEES, {"region": {}})
    assigned = Selection(
        order=("-id",),
        includes={"leavePolicy": {}},
        conditions=(Condition("employee", "integer", "", (employee["id"],)),),
    )
    assignments = (await visit.reader.page(EMPLOYEE_LEAVE_POLICIES, assigned)).records
    balances = await balances_of(visit.context, visit.caller.region, employee["id"])
    now = visit.context.now()
    for balance in balances:
        balance["current"] = balance["periodStartDateTime"] <= now < balance["periodEndDateTime"]
    asked = Selection(
        order=("-startDate", "-id"),
        includes={"leaveType": {}},
        fields=tuple((name, name) for name in _SHOWN_OF_REQUESTS),
        conditions=(Condition("employee", "integer", "", (employee["id"],)),),
    )
    requests, more = await visit.listed(LEAVE_REQUESTS, asked)
    return "employee.html", {
        "employee": employee,
        "assignments": assignments,
        "balances": balances,
        "requests": requests,
        "more": more,
    }


async def _nothing(_: Visit) -> tuple[str, Mapping[str, Any]]:
    raise not_found("page", "Page")


_PAGES: Final[Mapping[str, _Page]] = {
    "/web/policies": _policies,
    "/web/policies/{id}": _policy,
    "/web/items": _items,
    "/web/types": _types,
    "/web/employees": _employees,
    "/web/employees/{id}": _employee,
    "/web/{rest:.+}": _nothing,
}


def _is_ours(request: web.Request) -> bool:
    """Was the form on a page of ours? Browsers tell over TLS; without it, the origin has to be this host."""
    if site := request.headers.get("Sec-Fetch-Site"):
        return site in ("same-origin", "none")
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or origin.partition("://")[2].lower() == request.host.lower()


async def _form(request: web.Request, seconds: float) -> dict[str, str]:
    """The fields of a form of ours. Raises `Refusal` 403 for one that another site sends, 400, 408, 415."""
    if not _is_ours(request):
        raise Refusal(403, {"request": ["The form was sent by another site."]})
    raw = await read_raw(request, "request", seconds)
    if raw and request.content_type != "application/x-www-form-urlencoded":
        raise Refusal(415, {"request": ["The body must be a form."]})
    try:
        return dict(parse_qsl(raw.decode("utf-8"), errors="strict", max_num_fields=10))
    except ValueError:
        raise Refusal(400, {"request": ["The body is not a form."]}) from None


def _html(
    template: str, values: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    text = render(template, values)
    return web.Response(
        text=text, status=status, content_type="text/html", headers={**_HEADERS, **(headers or {})}
    )


def _redirect(path: str) -> web.Response:
    return web.Response(status=303, headers={**_HEADERS, hdrs.LOCATION: path})
