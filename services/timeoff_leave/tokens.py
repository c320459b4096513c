"""`POST /rest/oauth2/access_token`: OAuth 2, grants `password` and `refresh_token`, as a form or as JSON.

A refresh token works once and brings a new one (TrackTik help centre, refresh tokens 23952249474839).
`scope` is ignored. Errors have the shape of all errors here.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl

from aiohttp import web
from pydantic import AfterValidator, ConfigDict, Field

from timeoff.settings.model import LeaveSettings
from timeoff.strict_json import KeyTwice, read_json
from timeoff_leave.addresses import address_of
from timeoff_leave.errors import BLANK, Refusal
from timeoff_leave.logins import Logins
from timeoff_leave.road import TOKEN_PATH, answer, read_raw
from timeoff_leave.values import Body, Record, clean, read_body

KEY: Final = "access_token"

_Word = Annotated[str, Field(strict=True, min_length=1, max_length=1024), AfterValidator(clean)]


class TokenRequest(Body):
    """Either grant; what a grant does not need is ignored."""

    model_config = ConfigDict(alias_generator=None)

    grant_type: Literal["password", "refresh_token"]
    client_id: _Word
    client_secret: _Word
    username: _Word | None = None
    password: _Word | None = None
    refresh_token: _Word | None = None


class TokenReply(Record):
    """Tokens, and for how many seconds the access token is good."""

    model_config = ConfigDict(alias_generator=None)

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"]
    expires_in: int


class TokenCall:
    """The only call that needs no token."""

    def __init__(self, logins: Logins, settings: LeaveSettings) -> None:
        self._logins = logins
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        return [web.post(TOKEN_PATH, self._grant)]

    async def _grant(self, request: web.Request) -> web.Response:
        raw = await read_raw(request, KEY, self._settings.body_timeout)
        body = _read(request.content_type, raw)
        address = address_of(request, self._settings.trusted_proxies)
        client = (body.client_id, body.client_secret)
        if body.grant_type == "password":
            username, password = _needed(body, "username"), _needed(body, "password")
            granted = await self._logins.by_password(KEY, address, *client, username, password)
        else:
            refresh_token = _needed(body, "refresh_token")
            granted = await self._logins.by_refresh_token(KEY, address, *client, refresh_token)
        return answer(
            {
                "access_token": granted.access_token,
                "refresh_token": granted.refresh_token,
                "token_type": "Bearer",
                "expires_in": granted.expires_in,
            },
            headers={"Pragma": "no-cache"},
        )


def _needed(body: TokenRequest, name: str) -> str:
    value = getattr(body, name)
    if not value:
        raise Refusal(400, {name: [BLANK]})
    return str(value)


def _read(content_type: str, raw: bytes) -> TokenRequest:
    document: Any
    try:
        if content_type == "application/json":
            document = read_json(raw)
        elif content_type in ("application/x-www-form-urlencoded", "application/octet-stream"):
            document = dict(parse_qsl(raw.decode("utf-8"), errors="strict", max_num_fields=20))
        else:
            said = "The body must be application/x-www-form-urlencoded or application/json."
            raise Refusal(415, {KEY: [said]})
    except KeyTwice as error:
        raise Refusal(400, {KEY: [str(error)]}) from None
    except ValueError:
        raise Refusal(400, {KEY: ["The body cannot be read."]}) from None
    if not isinstance(document, dict):
        raise Refusal(400, {KEY: ["The body must be an object."]})
    body, messages = read_body(TokenRequest, document, KEY)
    if body is None:
        raise Refusal(400, messages)
    return body


__all__ = ["KEY", "TokenCall", "TokenReply", "TokenRequest"]
