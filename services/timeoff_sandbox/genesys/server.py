"""The Genesys side of the sandbox, wired from its parts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from timeoff_sandbox.clock import Clock
from timeoff_sandbox.faults import FaultBook, by_pattern
from timeoff_sandbox.genesys.admin import GenesysAdmin
from timeoff_sandbox.genesys.channels import ChannelBook, time_off_topic
from timeoff_sandbox.genesys.delivery import Delivery
from timeoff_sandbox.genesys.directory_routes import DirectoryRoutes
from timeoff_sandbox.genesys.gateway import Gateway, refuse_by_fault
from timeoff_sandbox.genesys.native import Integration, NativeOptions
from timeoff_sandbox.genesys.native.agents import AgentSync
from timeoff_sandbox.genesys.native.routes import NativeRoutes
from timeoff_sandbox.genesys.notifications import Notifications
from timeoff_sandbox.genesys.oauth import TokenDesk
from timeoff_sandbox.genesys.options import GenesysOptions
from timeoff_sandbox.genesys.time_off import RequestBook, TimeOffRequest
from timeoff_sandbox.genesys.time_off_routes import TimeOffRoutes
from timeoff_sandbox.genesys.wire import Json
from timeoff_sandbox.genesys.workforce import Workforce

PURGE_SECONDS = 1.0


class GenesysSandbox:
    """Login, REST and sockets of Genesys Cloud. The workforce is empty until a world is made."""

    def __init__(self, clock: Clock, options: GenesysOptions | None = None) -> None:
        self._options = options or GenesysOptions()
        self._native_options = NativeOptions()
        self.workforce = Workforce()
        self.book = RequestBook(clock, self.workforce)
        self.tokens = TokenDesk(clock, self._options)
        self.faults = FaultBook(by_pattern, refuse_by_fault)
        self.gateway = Gateway(clock, self._options, self.tokens, self.faults)
        self.channels = ChannelBook(
            clock, self._options, self.tokens, lambda agent_id: agent_id in self.workforce.agents
        )
        self.notifications = Notifications(self.gateway, self.channels, self._options)
        self.delivery = Delivery(self.channels)
        self.directory = DirectoryRoutes(self.gateway, self.workforce)
        self.time_off = TimeOffRoutes(
            self.gateway,
            clock,
            self._options,
            self.workforce,
            self.book,
            self.changed,
            self.announce,
        )
        self.integration = Integration(
            clock,
            self._native_options,
            self.workforce,
            self.book,
            self._notification,
            lambda request, status: self.time_off.set_status(request, status, by="native"),
        )
        self.agent_sync = AgentSync(clock, self._native_options, self.workforce, self.integration.workflows)
        self.native = NativeRoutes(
            self.gateway, self._native_options, self.workforce, self.integration, self.agent_sync
        )
        self.admin = GenesysAdmin(
            clock,
            self.workforce,
            self.book,
            self.gateway,
            self.tokens,
            self.channels,
            self.notifications,
            self.delivery,
            self.faults,
            self.time_off,
            self.changed,
        )

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/oauth/token", self.tokens.login),
            *self.notifications.routes(),
            *self.directory.routes(),
            *self.time_off.routes(),
            *self.native.routes(),
            *self.admin.routes(),
            self.gateway.fallback(),
        ]

    def changed(self, request: TimeOffRequest, silent: bool = False) -> None:
        """What follows a change: its notification and, where the integration runs, a workflow."""
        self.integration.changed(request, _nothing if silent else self._notification(request))

    def announce(self, request: TimeOffRequest) -> None:
        """Sends the notification of a request as it stands now."""
        self._notification(request)()

    def _notification(self, request: TimeOffRequest) -> Callable[[], None]:
        """Sends, when it is called, the notification of a request as it stands now."""
        topic = time_off_topic(request.agent_id)
        body = request.notification(omit_empty_arrays=self._options.omit_empty_arrays)
        return lambda: self.delivery.notify(topic, body)

    def options(self) -> Json:
        return self._options.model_dump(mode="json", by_alias=True)

    def set_options(self, changes: Json) -> None:
        """Sets the named options, all or none. Raises `pydantic.ValidationError`."""
        checked = GenesysOptions.model_validate(self.options() | changes)
        for name in GenesysOptions.model_fields:
            setattr(self._options, name, getattr(checked, name))
        self.notifications.nudge()

    def native_options(self) -> Json:
        return self._native_options.model_dump(mode="json", by_alias=True)

    def set_native_options(self, changes: Json) -> None:
        """Sets the named options, all or none. Raises `pydantic.ValidationError`."""
        checked = NativeOptions.model_validate(self.native_options() | changes)
        for name in NativeOptions.model_fields:
            setattr(self._native_options, name, getattr(checked, name))
        self.integration.workflows.options_changed()

    def reset(self) -> None:
        """Forgets everything but the options; sockets are closed."""
        self.integration.clear()
        self.agent_sync.clear()
        self.native.clear()
        self.delivery.clear()
        self.channels.clear()
        self.tokens.clear()
        self.book.clear()
        self.workforce.clear()
        self.time_off.clear()
        self.faults.clear()
        self.gateway.clear()

    async def watch(self) -> None:
        """Ends channels and begins agent syncs at their time, though nobody asks; runs until cancelled."""
        while True:
            await asyncio.sleep(PURGE_SECONDS)
            self.channels.purge()
            self.native.sync_agents_if_due()

    def close(self) -> None:
        """Ends all sockets, before the server stops."""
        self.delivery.clear()
        self.notifications.close()

    async def stop(self) -> None:
        """Ends the calls that the integration makes."""
        await self.integration.close()


def _nothing() -> None:
    """A silent change."""
