"""The proxy as one server on loopback.

The road of a call: fault -> half the latency -> the HRIS -> the other half -> answer -> record.

    proxy = RecordingProxy("https://sandbox.hris.example.com")
    await proxy.start()
    ...  # give the adapter proxy.url in place of the HRIS's address
    proxy.spoil("POST /leave-requests$", "commit_then_drop")
    proxy.calls.of("POST /leave-requests$")
    await proxy.stop()

What the proxy itself says is plain text with the header `X-Recording-Proxy`; everything else is the HRIS's.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

from aiohttp import web

from timeoff_sandbox.faults import FAULT, Kind, cut
from timeoff_sandbox.proxy import redact
from timeoff_sandbox.proxy.admin import PREFIX, Admin
from timeoff_sandbox.proxy.faults import AFTER_COMMIT, ProxyFaults
from timeoff_sandbox.proxy.options import ProxyOptions
from timeoff_sandbox.proxy.record import Call, CallLog
from timeoff_sandbox.proxy.upstream import (
    LONGEST_HEADER,
    Asked,
    BrokenOff,
    NotReached,
    TooLarge,
    TooSlow,
    Upstream,
    add_nothing,
    read_bounded,
)

#: Bodies above this are refused (413, or 502 for an answer).
LONGEST_BODY: Final = 64 * 1024 * 1024
SHUTDOWN_SECONDS: Final = 2.0
#: Faults after which the caller has no answer at all.
_UNANSWERED: Final = ("commit_then_drop", "hang")


class RecordingProxy:
    """Stands before the HRIS at `upstream` (http or https, perhaps with a path).

    `upstream_seconds` bounds a call to it, which should be longer than any caller waits. `longest_body` is
    in bytes. `tls` trusts other authorities than the system does. Raises `ValueError` for an address that is
    none.
    """

    def __init__(
        self,
        upstream: str,
        options: ProxyOptions | None = None,
        *,
        upstream_seconds: float = 120.0,
        longest_body: int = LONGEST_BODY,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.options = options or ProxyOptions()
        self.faults = ProxyFaults(self._refuse, lambda: self.options.throttle_status)
        self.calls = CallLog()
        self.url = ""
        self._upstream = Upstream(upstream, seconds=upstream_seconds, longest=longest_body, tls=tls)
        self._longest = longest_body
        self._admin = Admin(self)
        self._runner: web.AppRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serves until `stop`; port 0 takes a free one. Returns the base URL.

        Raises `OSError` where the address cannot be had, and `ValueError` for one that is not loopback:
        callers' credentials pass through here in the clear.
        """
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError("the proxy serves on loopback only")
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        app.on_response_prepare.append(add_nothing)
        await self._upstream.open()
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=SHUTDOWN_SECONDS,
            auto_decompress=False,
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, backlog=1024).start()
        except OSError:
            await self.stop()
            raise
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        """Lets go of held calls, and ends the server."""
        self.faults.clear()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self._upstream.close()

    def spoil(self, on: str, kind: Kind, **details: Any) -> None:
        """Add one rule, with the fields of `ProxyRule`. Raises `pydantic.ValidationError`."""
        self.faults.add({"rules": [{"on": on, "kind": kind, **details}]})

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith(PREFIX):
            return await self._admin.serve(request)
        path, _, query = request.raw_path.partition("?")
        began, ticks = time.time(), time.perf_counter()
        call = self.calls.open(request.method, path, redact.query(query, self.options.redacted), began)
        try:
            response = await self._passed(request, call)
            told = call.error is None or not call.error.startswith("broken off")
            call.status = response.status if told and request.get(FAULT) not in _UNANSWERED else None
        finally:
            call.duration_ms = round((time.perf_counter() - ticks) * 1000, 3)
        return response

    async def _passed(self, request: web.Request, call: Call) -> web.StreamResponse:
        body = await read_bounded(request, self._longest)
        if body is None:
            call.error = "the body is too large"
            return self._say(413, f"The body is longer than {self._longest} bytes.")
        if not request.raw_path.startswith("/"):
            call.error = "not a path"
            return self._say(400, "Ask for a path, as of an ordinary server.")
        call.request_bytes = len(body)
        if self.options.record_bodies:
            call.request_body = self._kept(body, request.headers)

        async def handle() -> web.StreamResponse:
            return await self._forward(request, body, call)

        rule = self.faults.due(f"{request.method} {call.path}", body)
        response = await self.faults.spoil(rule, request, handle)
        if request[FAULT] in AFTER_COMMIT and not call.committed:
            request[FAULT] = None
        call.fault = request[FAULT]  # type: ignore[assignment]
        return response

    async def _forward(self, request: web.Request, body: bytes, call: Call) -> web.StreamResponse:
        half = self.options.latency_ms / 2000
        await asyncio.sleep(half)
        try:
            answer = await self._upstream.ask(
                Asked(request.method, request.raw_path, request.raw_headers, body)
            )
        except NotReached as error:
            call.error = f"not reached: {error}"
            return self._say(502, f"The HRIS cannot be reached: {error}")
        except TooSlow:
            call.error = "no answer in time"
            return self._say(504, "The HRIS did not answer in time.")
        except TooLarge:
            call.error = "the answer is too large"
            return self._say(502, f"The answer of the HRIS is longer than {self._longest} bytes.")
        except BrokenOff as error:
            # As the caller would have seen it without a proxy between.
            call.error = f"broken off: {error}"
            return cut(request)
        call.upstream_status = answer.status
        said = answer.body if isinstance(answer.body, bytes) else b""
        call.response_bytes = len(said)
        if self.options.record_bodies:
            call.response_body = self._kept(said, answer.headers)
        await asyncio.sleep(half)
        return answer

    def _kept(self, body: bytes, headers: Any) -> Any:
        return redact.body(
            body,
            headers.get("Content-Type", ""),
            headers.get("Content-Encoding", ""),
            self.options.redacted,
        )

    def _refuse(self, request: web.Request, status: int, retry_after: float | None) -> web.Response:
        response = self._say(status, f"A fault on purpose: {request[FAULT]}.")
        if retry_after is not None and self.options.retry_after_form != "none":
            seconds = math.ceil(retry_after)
            response.headers["Retry-After"] = str(seconds)
            if self.options.retry_after_form == "date":
                now = datetime.now(UTC)
                response.headers["Retry-After"] = format_datetime(
                    now + timedelta(seconds=seconds), usegmt=True
                )
                # Both by one clock: a caller reads the one relative to the other.
                response.headers["Date"] = format_datetime(now, usegmt=True)
        return response

    def _say(self, status: int, text: str) -> web.Response:
        return web.Response(status=status, text=text + "\n", headers={"X-Recording-Proxy": "said this"})
