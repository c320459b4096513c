"""`/__proxy__/…`: rules, record and options of the proxy, for this machine only.

There is no login. A web page in a browser on this machine must not reach it either, so the name that was
asked for has to be loopback's, and a call that a page makes is refused.
"""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from pydantic import ValidationError

from timeoff_sandbox.proxy.faults import check_pattern
from timeoff_sandbox.proxy.options import ProxyOptions
from timeoff_sandbox.proxy.upstream import read_bounded

if TYPE_CHECKING:
    from timeoff_sandbox.proxy.server import RecordingProxy

PREFIX: Final = "/__proxy__/"
LONGEST: Final = 1024 * 1024


class Admin:
    def __init__(self, proxy: RecordingProxy) -> None:
        self._proxy = proxy

    async def serve(self, request: web.Request) -> web.Response:
        if not _is_local(request):
            return _wrong(403, "the admin API is for this machine only")
        what = request.path.removeprefix(PREFIX)
        try:
            match (request.method, what):
                case ("GET", "calls"):
                    return self._calls(request)
                case ("DELETE", "calls"):
                    self._proxy.calls.clear()
                    return self._calls(request)
                case ("GET", "faults"):
                    return self._faults()
                case ("POST", "faults"):
                    self._proxy.faults.add(await _document(request))
                    return self._faults()
                case ("DELETE", "faults"):
                    self._proxy.faults.clear()
                    return self._faults()
                case ("GET", "options"):
                    return self._options()
                case ("PUT", "options"):
                    changes = await _document(request)
                    merged = self._proxy.options.model_dump(by_alias=True) | changes
                    self._proxy.options = ProxyOptions.model_validate(merged)
                    return self._options()
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            return web.json_response({"error": "invalid", "problems": problems}, status=400)
        except ValueError as error:
            return _wrong(400, str(error))
        if what in ("calls", "faults", "options"):
            return _wrong(405, f"{request.method} is not for {PREFIX}{what}")
        return _wrong(404, f"there is {PREFIX}calls, {PREFIX}faults and {PREFIX}options")

    def _calls(self, request: web.Request) -> web.Response:
        """`?on=METHOD path-regex` picks; `?after=N` leaves out the first N calls."""
        if unknown := request.query.keys() - {"on", "after"}:
            raise ValueError(f"there is no {min(unknown)}; calls take `on` and `after`")
        on, after = request.query.get("on"), int(request.query.get("after", "0"))
        if on is not None:
            check_pattern(on)
        log = self._proxy.calls
        calls = log if on is None else log.of(on)
        return web.json_response({"calls": [call.document() for call in calls if call.number > after]})

    def _faults(self) -> web.Response:
        return web.json_response({"rules": self._proxy.faults.remaining()})

    def _options(self) -> web.Response:
        return web.json_response(self._proxy.options.model_dump(by_alias=True))


def _is_local(request: web.Request) -> bool:
    host = (request.url.host or "").strip("[]")
    return (
        "Origin" not in request.headers
        and _is_loopback(request.remote or "")
        and (host == "localhost" or _is_loopback(host))
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


async def _document(request: web.Request) -> dict[str, Any]:
    data = await read_bounded(request, LONGEST)
    if data is None:
        raise ValueError("the body is too large")
    document = json.loads(data or b"{}")
    if not isinstance(document, dict):
        raise ValueError("the body is not a JSON object")
    return document


def _wrong(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
