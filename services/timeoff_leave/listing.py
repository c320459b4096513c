"""Reading records: pages, filters, `sort`, `include` and `fields`, the same way for every resource.

A resource is a named statement that selects what the caller may see, with the API's fields as column names;
its first parameter is the caller's region. Filters become conditions around it, on columns that the record's
model declares; values are parameters. (TrackTik help centre: limits and paging 23794537688471, filters
35165011194647, include and fields 23697286831383, aliases 39657309504535.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, get_origin

import asyncpg

from timeoff_leave.context import Context
from timeoff_leave.database import Connection, Pool
from timeoff_leave.errors import Refusal, invalid, not_found
from timeoff_leave.filters import Kind, kind_of
from timeoff_leave.selection import Selection
from timeoff_leave.values import MAX_ID, Record

#: Records of one answer, those that `include` puts into others included.
MAX_RECORDS: Final = 20_000

Row = dict[str, Any]
#: Completes a row before it is shown, e.g. with what depends on a time zone.
Finish = Callable[[Context, Row], Row]


@dataclass(frozen=True)
class Include:
    """What `include=` may add. Without `link` the field is an id that becomes the record; with it, the name
    of a statement that takes ids and returns pairs (owner, id), the field is added as a list of records.
    `target` None is the resource itself."""

    target: Resource | None
    link: str | None = None


@dataclass(frozen=True)
class Resource:
    """One collection of the API. `statement` names its SQL, `record` describes a row of it."""

    name: str
    title: str
    record: type[Record]
    statement: str
    includes: Mapping[str, Include] = field(default_factory=dict)
    finish: Finish | None = None
    #: without `sort`; a string id is no order
    order: tuple[str, ...] = ("id",)
    #: fields that `finish` makes of what the statement does not know; they are no columns
    computed: frozenset[str] = frozenset()
    #: for a statement that looks up much for each row: a page is found first, by the fields of `order`, which
    #: then name one row each, so that the rows before it cost little
    page_first: bool = False

    @cached_property
    def columns(self) -> dict[str, Kind]:
        """Kind of each field that the statement returns, by its name in the API; a list is no column."""
        found: dict[str, Kind] = {}
        for name, declared in self.record.model_fields.items():
            alias = declared.alias or name
            if get_origin(declared.annotation) is not list and alias not in self.computed:
                found[alias] = kind_of(declared.annotation, declared.metadata)
        return found

    @cached_property
    def fields(self) -> frozenset[str]:
        """Names that `fields=` may ask for."""
        return frozenset(declared.alias or name for name, declared in self.record.model_fields.items())


@dataclass(frozen=True, slots=True)
class Page:
    """Records of a list. `count` is of all that match; None where nobody asked for it."""

    records: list[Row]
    count: int | None
    limit: int
    offset: int


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads for one caller. `source` is a connection in its transaction, or the pool."""

    context: Context
    region: int
    source: Connection | Pool

    async def page(self, resource: Resource, selection: Selection) -> Page:
        """The page that the selection asks for, with the count where answers have an envelope."""
        where, values = selection.where(resource.columns, first=2)
        base = f"FROM ({self._statement(resource)}) AS record {where}"
        order = selection.order or resource.order
        slice_ = f"ORDER BY {_order(order)} LIMIT {selection.limit} OFFSET {selection.offset}"
        statement = f"SELECT record.* {base} {slice_}"
        if resource.page_first:
            keys = resource.order
            found = f"SELECT {_order(keys)} {base} {slice_}"
            same = " AND ".join(f'record."{key}" = page."{key}"' for key in keys)
            statement = (  # names and texts are of this package, values are parameters
                f"SELECT record.* FROM ({found}) AS page CROSS JOIN LATERAL"  # noqa: S608
                f" (SELECT record.* FROM ({self._statement(resource)}) AS record WHERE {same}) AS record"
                f" ORDER BY {_order(order)}"
            )
        rows = await self.source.fetch(statement, self.region, *values)
        count = None
        if self.context.settings.envelope:
            count = await self.source.fetchval(f"SELECT count(*) {base}", self.region, *values)
        records = await self.shown(resource, selection, rows)
        return Page(records, count, selection.limit, selection.offset)

    async def one(self, resource: Resource, selection: Selection, id: int) -> Row:
        """The record as it is answered. Raises `Refusal` 404."""
        rows = await self._by_id(resource, [id])
        if not rows:
            raise not_found(resource.name, resource.title)
        return (await self.shown(resource, selection, rows))[0]

    async def shown(
        self, resource: Resource, selection: Selection, rows: Sequence[asyncpg.Record | Row]
    ) -> list[Row]:
        """Rows of the resource's statement as they are answered: finished, with includes, without the
        rest."""
        records = [self._finished(resource, row) for row in rows]
        if selection.includes:
            await self._include(resource, selection.includes, records)
            if _size(records, {}) > MAX_RECORDS:
                raise _too_many()
        return [selection.picked(record) for record in records]

    async def _include(self, resource: Resource, wanted: Mapping[str, Any], records: list[Row]) -> None:
        """One statement for each include, two for a list, however many the records are."""
        for name, deeper in wanted.items():
            include = resource.includes[name]
            target = include.target or resource
            if include.link is None:
                ids = {record[name] for record in records if record[name] is not None}
                owned = None
            else:
                pairs = await self.source.fetch(
                    getattr(self.context.sql, include.link), [record["id"] for record in records]
                )
                if len(pairs) > MAX_RECORDS:
                    raise _too_many()
                ids = {pair["id"] for pair in pairs}
                owned = pairs
            rows = await self._by_id(target, sorted(ids)) if ids else []
            found = [self._finished(target, row) for row in rows]
            await self._include(target, deeper, found)
            by_id = {record["id"]: record for record in found}
            if owned is None:
                for record in records:
                    # What the caller may not see stays an id.
                    record[name] = by_id.get(record[name], record[name])
            else:
                lists: dict[int, list[Row]] = {record["id"]: [] for record in records}
                for pair in owned:
                    if pair["id"] in by_id:
                        lists[pair["owner"]].append(by_id[pair["id"]])
                for record in records:
                    record[name] = lists[record["id"]]

    def _finished(self, resource: Resource, row: asyncpg.Record | Row) -> Row:
        record = dict(row)
        return resource.finish(self.context, record) if resource.finish else record

    def _statement(self, resource: Resource) -> str:
        return str(getattr(self.context.sql, resource.statement)).rstrip().rstrip(";")

    async def _by_id(self, resource: Resource, ids: Sequence[int]) -> Sequence[asyncpg.Record]:
        possible = [id for id in ids if 0 < id <= MAX_ID]
        source = f"FROM ({self._statement(resource)}) AS record"
        return await self.source.fetch(
            f"SELECT record.* {source} WHERE record.id = ANY ($2::int[])", self.region, possible
        )


def _size(value: Any, known: dict[int, int]) -> int:
    """How many records an answer writes: one that many others share counts for each of them."""
    if isinstance(value, list):
        return sum(_size(each, known) for each in value)
    if not isinstance(value, dict):
        return 0
    if id(value) not in known:
        known[id(value)] = 1 + sum(_size(each, known) for each in value.values())
    return known[id(value)]


def _too_many() -> Refusal:
    return invalid(
        "include",
        f"The answer would hold more than {MAX_RECORDS} records: include less, or take a smaller limit.",
    )


def _order(fields: Sequence[str]) -> str:
    """Names come from the record's model; see `Selection`."""
    return ", ".join(f'record."{name.lstrip("-")}"{" DESC" * name.startswith("-")}' for name in fields)
