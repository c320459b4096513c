"""The monitor: alive, ready or not with the reasons, metrics; a hanging check cannot hang the page."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from timeoff.errors import SettingsError, Unreachable
from timeoff.settings.model import HttpSettings
from timeoff.telemetry import metrics
from timeoff.web import serve_monitor


async def fetch(url: str, **headers: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, answer.headers["Content-Type"], await answer.text()


async def fine() -> str | None:
    return None


async def test_ready_is_503_with_every_reason_and_200_without() -> None:
    behind: list[str] = ["4000 records behind"]

    async def progress() -> str | None:
        return behind[0] if behind else None

    async with serve_monitor(HttpSettings(), ready={"ledger": fine, "progress": progress}) as monitor:
        status, kind, text = await fetch(monitor.url + "/readyz")
        assert (status, text) == (503, '{"progress": "4000 records behind"}')
        assert kind.startswith("application/json")
        assert (await fetch(monitor.url + "/healthz"))[0] == 200
        behind.clear()
        assert (await fetch(monitor.url + "/readyz"))[::2] == (200, "{}")


async def test_a_check_that_hangs_or_raises_is_a_reason() -> None:
    async def hangs() -> str | None:
        await asyncio.Event().wait()
        return None

    async def away() -> str | None:
        raise Unreachable("postgresql at 127.0.0.1:1: refused")

    async def broken() -> str | None:
        raise ValueError("severe flu")

    checks = {"hangs": hangs, "away": away, "broken": broken, "fine": fine}
    async with serve_monitor(HttpSettings(), ready=checks, check_timeout=0.05) as monitor:
        status, _, text = await fetch(monitor.url + "/readyz")
    assert status == 503
    assert "no answer within 0.05 s" in text
    assert "postgresql at 127.0.0.1:1: refused" in text
    assert '"broken": "ValueError"' in text
    assert "flu" not in text
    assert "fine" not in text


async def test_metrics_in_the_format_the_scraper_asks_for() -> None:
    metrics.announce("test")
    async with serve_monitor(HttpSettings(), ready={}) as monitor:
        _, plain, text = await fetch(monitor.url + "/metrics")
        _, open_metrics, other = await fetch(
            monitor.url + "/metrics", Accept="application/openmetrics-text; version=1.0.0"
        )
    assert plain.startswith("text/plain")
    assert "timeoff_build_info{" in text
    assert open_metrics.startswith("application/openmetrics-text")
    assert other.endswith("# EOF\n")


async def test_an_address_in_use_is_a_mistake_of_the_settings() -> None:
    async with serve_monitor(HttpSettings(), ready={}) as monitor:
        port = int(monitor.url.rpartition(":")[2])
        with pytest.raises(SettingsError, match=rf"http.port: cannot listen on 127.0.0.1:{port}"):
            async with serve_monitor(HttpSettings(port=port), ready={}):
                raise AssertionError("it listened")
    with pytest.raises(aiohttp.ClientConnectorError):
        await fetch(monitor.url + "/healthz")
