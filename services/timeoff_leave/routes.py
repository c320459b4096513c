"""What a call of the API is, declared once: the road follows it, and the OpenAPI document is made of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from timeoff_leave.context import Caller, Context
from timeoff_leave.database import Connection
from timeoff_leave.errors import forbidden
from timeoff_leave.listing import Page, Reader, Resource, Row
from timeoff_leave.selection import Selection
from timeoff_leave.values import Body

B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class Call:
    """One call, let in and read: who, on which record, with what."""

    context: Context
    caller: Caller
    route: Route
    id: int
    body: Body | None
    selection: Selection

    def given(self, model: type[B]) -> B:
        """The body, which the route declares to be a `model`."""
        if not isinstance(self.body, model):
            raise TypeError(f"{self.route.path} takes no {model.__name__}")
        return self.body

    @property
    def key(self) -> str:
        """The key of an error of the record or the action as a whole."""
        return self.route.key

    def reader(self, connection: Connection | None = None) -> Reader:
        """Reads what this caller may see; with a connection, within its transaction."""
        return Reader(self.context, self.caller.region, connection or self.context.pool)

    async def record(self, connection: Connection | None = None, id: int | None = None) -> Row:
        """The route's record as it is answered, by default that of the path. Raises `Refusal` 404."""
        wanted = self.id if id is None else id
        return await self.reader(connection).one(self.route.resource, self.selection, wanted)

    async def page(self, connection: Connection | None = None) -> Page:
        """The page of the route's resource that the query asks for."""
        return await self.reader(connection).page(self.route.resource, self.selection)

    def must_reach(self, reached: bool) -> None:
        """Raise `Refusal` 403 unless `reached`: what is defined above the caller's region is seen, not
        changed."""
        if not reached:
            raise forbidden(self.route.resource.name)


Handler = Callable[[Call], Awaitable[Row | Page]]


@dataclass(frozen=True)
class Route:
    """A call: `{id}` in the path is the record's number. Writes need an account that may write.

    `resource` is what is answered: one record, or with `many` a page of them. `body_optional` takes no body
    for an empty one. `examples` are bodies of 400.
    """

    method: Literal["GET", "POST", "PATCH"]
    path: str
    handler: Handler
    resource: Resource
    summary: str
    body: type[Body] | None = None
    body_optional: bool = False
    many: bool = False
    description: str = ""
    examples: tuple[dict[str, list[str]], ...] = ()

    @property
    def name(self) -> str:
        """The collection in the path: `leave-policies`."""
        return self.path.split("/")[1]

    @property
    def key(self) -> str:
        """`leave-policies`, or the action's name: `assign-employees`."""
        _, actions, action = self.path.partition("/actions/")
        return action if actions else self.name
