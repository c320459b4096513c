"""/v1: what is left, who and what there is. And the token endpoint."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import date
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from pydantic import ValidationError

from timeoff.errors import HrisError
from timeoff_balance.access import CALLER, Caller, basic
from timeoff_balance.balances import Answer
from timeoff_balance.database import asking_ledger
from timeoff_balance.errors import HrisAway, Mistake, Refusal, UnknownEmployee, bad_request
from timeoff_balance.figures import TypeAsked
from timeoff_balance.lookups import trouble_of
from timeoff_balance.parts import Parts
from timeoff_balance.shelves import Shelf
from timeoff_balance.wire import BalanceQuery, mistakes_of, text_of

TOKEN_PATH: Final = "/oauth/token"  # noqa: S105  (an address)
PAGE: Final = 1_000
MAX_PAGE: Final = 2_000

#: Answers that are kept whole, by what was asked: how many, and how long one may be.
MOST_ANSWERS: Final = 1_000
_LONGEST_ANSWER: Final = 65_536
#: Target, employee, dates, types.
_Question = tuple[str, str, tuple[date, ...], tuple[TypeAsked, ...]]
_JSON_HEADERS: Final[dict[str, str]] = {hdrs.CONTENT_TYPE: "application/json", hdrs.CACHE_CONTROL: "no-store"}


class _Kept(NamedTuple):
    """An answer, good until then and while the shelf has this generation."""

    shelf: Shelf
    generation: int
    until: float
    body: bytes


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(),
        status=status,
        headers={**_JSON_HEADERS, **(headers or {})},
    )


class Routes:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._answers: OrderedDict[_Question, _Kept] = OrderedDict()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/balances/query", self.query),
            web.get("/v1/agents", self.agents, allow_head=False),
            web.get("/v1/time-off-types", self.types, allow_head=False),
            web.post(TOKEN_PATH, self.token),
        ]

    # -- balances ------------------------------------------------------------------------------------

    async def query(self, request: web.Request) -> web.Response:
        """Whoever asks the same again is answered with the same text, while nothing has changed.

        Whom the caller may see is decided each time, before an answer that is kept is looked for.
        """
        raw = await json_body(request)
        try:
            asked = BalanceQuery.model_validate_json(raw)
        except ValidationError as error:
            raise bad_request(*mistakes_of(error)) from None
        target, employee_id = await self._employee(request[CALLER], asked)
        types = tuple([TypeAsked(each.id, each.id2) for each in asked.types])
        question = (target, employee_id, asked.dates, types)
        if not asked.replaces and (kept := self._kept(question)):
            return web.Response(body=kept, headers=_JSON_HEADERS)
        found = await self._parts.balances.answer(
            employee_id, asked.dates, types or None, target=target, replaces=asked.replaces
        )
        body = text_of(employee_id, found, self._parts.clock.now).encode()
        self._keep(question, found, body)
        return web.Response(body=body, headers=_JSON_HEADERS)

    def _kept(self, question: _Question) -> bytes | None:
        kept, shelves = self._answers.get(question), self._parts.shelves
        if kept is None or not shelves.keeps or time.monotonic() >= kept.until:
            return None
        # Of a shelf that was thrown away nobody tells any more that something has changed.
        same = kept.shelf is shelves.shelf(question[0], question[1])
        return kept.body if same and kept.shelf.generation == kept.generation else None

    def _keep(self, question: _Question, found: Answer, body: bytes) -> None:
        if found.until and len(body) <= _LONGEST_ANSWER:
            self._answers[question] = _Kept(found.shelf, found.generation, found.until, body)
            self._answers.move_to_end(question)
            if len(self._answers) > MOST_ANSWERS:
                self._answers.popitem(last=False)

    async def _employee(self, caller: Caller, asked: BalanceQuery) -> tuple[str, str]:
        """Target and employee. Raises `Refusal`."""
        directory, named = self._parts.directory, asked.target or None
        if asked.employee_id and asked.agent_id:
            raise bad_request(Mistake("/", "give employeeId or agentId, not both"))
        if asked.employee_id:
            target = directory.target(named)
            if not caller.may_see(target, asked.employee_id):
                raise not_yours()
            return target, asked.employee_id
        if caller.employee is not None:
            if asked.agent_id not in ("", caller.employee.agent_id):
                raise not_yours()
            pairs = list(caller.employee.employees)
        elif asked.agent_id:
            pairs = list((await self._parts.access.person(asked.agent_id)).employees)
        else:
            raise bad_request(Mistake("/", "employeeId or agentId is needed"))
        if named is not None:
            directory.target(named)
            pairs = [pair for pair in pairs if pair[0] == named]
        if not pairs:
            raise UnknownEmployee("No employee of the HRIS is linked to this Genesys user.")
        if len(pairs) > 1:
            directory.target(None)  # names the choices
        return pairs[0]

    # -- who and what there is -----------------------------------------------------------------------

    async def agents(self, request: web.Request) -> web.Response:
        query = query_of(request, "target", "limit", "after")
        target = self._parts.directory.target(query.get("target"))
        limit, after = _limit(query.get("limit")), query.get("after", "")
        caller = request[CALLER]
        try:
            employees = await self._parts.directory.employees(target)
        except HrisError as error:
            raise HrisAway(trouble_of(error).value, error.retry_after) from None
        page = [each for each in employees if each.id > after and caller.may_see(target, each.id)]
        more = len(page) > limit
        page = page[:limit]
        async with asking_ledger():
            linked = await self._parts.store.agents_of(target, [each.id for each in page])
        return answer(
            {
                "target": target,
                "agents": [
                    {"employeeId": each.id, "email": each.email, "agentId": linked.get(each.id)}
                    for each in page
                ],
                "next": page[-1].id if more else None,
            }
        )

    async def types(self, request: web.Request) -> web.Response:
        target = self._parts.directory.target(query_of(request, "target").get("target"))
        try:
            types = await self._parts.directory.listed_types(target)
        except HrisError as error:
            raise HrisAway(trouble_of(error).value, error.retry_after) from None
        return answer(
            {
                "target": target,
                "types": [
                    {
                        "id": each.id,
                        "id2": each.id2,
                        "name": each.name,
                        "unit": each.unit.value,
                        "dayMinutes": each.default_day_minutes,
                        "weekdayMinutes": {str(day): minutes for day, minutes in each.day_minutes.items()},
                    }
                    for each in types
                ],
            }
        )

    # -- tokens --------------------------------------------------------------------------------------

    async def token(self, request: web.Request) -> web.Response:
        """Client credentials (RFC 6749, 4.4): what Genesys' User Defined (OAuth) credential asks for."""
        form = await _form(request)
        if form is None:
            return _oauth_error(400, "invalid_request", "the body is no form, or names something twice")
        header = basic(request.headers.get(hdrs.AUTHORIZATION, ""))
        client_id, secret = header or (form.get("client_id", ""), form.get("client_secret", ""))
        if "grant_type" not in form:
            return _oauth_error(400, "invalid_request", "grant_type is missing")
        if form["grant_type"] != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type")
        if not client_id or not secret:
            return _oauth_error(401, "invalid_client", basic_again=header is not None)
        granted = await self._parts.access.grant(request, client_id, secret)
        if granted is None:
            return _oauth_error(401, "invalid_client", basic_again=header is not None)
        token, seconds = granted
        return answer(
            {"access_token": token, "token_type": "Bearer", "expires_in": seconds},
            headers={hdrs.PRAGMA: "no-cache"},
        )


def not_yours() -> Refusal:
    return Refusal(403, "not_allowed", "Not allowed", "A Genesys token shows its own employee only.")


async def json_body(request: web.Request) -> bytes:
    """The body of a call that takes JSON. Raises `Refusal` 415."""
    if request.content_type != "application/json":
        raise Refusal(415, "unsupported_media_type", "The body must be application/json")
    return await request.read()


async def _form(request: web.Request) -> dict[str, str] | None:
    """None for what is no form, or has a parameter twice (RFC 6749, 3.2). Raises `Refusal` 415."""
    if request.content_type not in ("application/x-www-form-urlencoded", "application/octet-stream"):
        raise Refusal(415, "unsupported_media_type", "The body must be application/x-www-form-urlencoded")
    try:
        text = (await request.read()).decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        return None
    form = dict(pairs)
    return form if len(form) == len(pairs) else None


def _oauth_error(
    status: int, error: str, description: str = "", *, basic_again: bool = False
) -> web.Response:
    body = {"error": error} | ({"error_description": description} if description else {})
    return answer(body, status, {hdrs.WWW_AUTHENTICATE: 'Basic realm="timeoff"'} if basic_again else None)


def query_of(request: web.Request, *names: str) -> dict[str, str]:
    """The query's parameters. Raises `Refusal` for one that is not known, twice there, or no text."""
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in names:
            raise bad_request(Mistake(name[:80], "unknown parameter"))
        if name in found:
            raise bad_request(Mistake(name, "is given twice"))
        if not value or len(value) > 200 or not value.isprintable() or "\ufffd" in value:
            raise bad_request(Mistake(name, "is not a word of 1 to 200 characters"))
        found[name] = value
    return found


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_PAGE):
        raise bad_request(Mistake("limit", f"is no number from 1 to {MAX_PAGE}"))
    return int(text)


__all__ = ["TOKEN_PATH", "Routes", "answer", "json_body", "query_of"]
