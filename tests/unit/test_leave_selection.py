"""Queries of the leave API: what is understood becomes conditions with parameters, all else is refused by
name."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from timeoff_leave.assignments import EMPLOYEE_LEAVE_POLICIES
from timeoff_leave.errors import Refusal
from timeoff_leave.leave_policies import LEAVE_POLICIES
from timeoff_leave.leave_types import LEAVE_TYPES
from timeoff_leave.listing import Resource
from timeoff_leave.selection import Selection, read_selection


def read(resource: Resource, many: bool = True, **query: str) -> Selection:
    pairs = [(key.replace("__", ":"), text) for key, text in query.items()]
    return read_selection(resource, pairs, many=many)


def where(resource: Resource, **query: str) -> tuple[str, list[Any]]:
    return read(resource, **query).where(resource.columns, first=2)


@pytest.mark.parametrize(
    ("resource", "query", "text", "value"),
    [
        (LEAVE_TYPES, {"id": "10"}, 'record."id" = $2::bigint', 10),
        (LEAVE_TYPES, {"name": "Sick"}, 'lower(record."name") = lower($2::text)', "Sick"),
        (LEAVE_TYPES, {"name__not": "Sick"}, 'lower(record."name") IS DISTINCT FROM lower($2::text)', "Sick"),
        (
            LEAVE_TYPES,
            {"name__in": "Sick,VACATION"},
            'lower(record."name") = ANY ($2::text[])',
            ["sick", "vacation"],
        ),
        (
            LEAVE_TYPES,
            {"name__contains": "ick"},
            'position(lower($2::text) IN lower(record."name")) > 0',
            "ick",
        ),
        (LEAVE_TYPES, {"region": "null"}, 'record."region" IS NOT DISTINCT FROM $2::bigint', None),
        (LEAVE_TYPES, {"name": "null"}, 'lower(record."name") = lower($2::text)', "null"),
        (LEAVE_TYPES, {"id__gte": "9"}, 'record."id" >= $2::bigint', 9),
        (
            LEAVE_POLICIES,
            {"payHoursPerDay__lt": "7.5"},
            'record."payHoursPerDay" < $2::numeric',
            Decimal("7.5"),
        ),
        (
            LEAVE_POLICIES,
            {"effectiveStartDate__after": "2023-03-27T00:00:00 00:00"},
            'record."effectiveStartDate" > $2::timestamptz',
            datetime(2023, 3, 27, tzinfo=UTC),
        ),
        (
            LEAVE_POLICIES,
            {"effectiveStartDate__before": "2023-03-27"},
            'record."effectiveStartDate" < $2::timestamptz',
            datetime(2023, 3, 27, tzinfo=UTC),
        ),
        (
            EMPLOYEE_LEAVE_POLICIES,
            {"startedOn__lte": "2023-03-27"},
            'record."startedOn" <= $2::date',
            date(2023, 3, 27),
        ),
    ],
)
def test_a_filter_is_a_condition_whose_value_is_a_parameter(
    resource: Resource, query: dict[str, str], text: str, value: object
) -> None:
    assert where(resource, **query) == (f"WHERE {text}", [value])


def test_filters_hold_together() -> None:
    text, values = where(LEAVE_TYPES, id__gt="1", status="ACTIVE", id__lt="5")
    assert text.count(" AND ") == 2
    assert values == [1, "ACTIVE", 5]


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ({"nme": "x"}, "nme"),
        ({"id": "x"}, "id"),
        ({"id": ""}, "id"),
        ({"id__in": "1,"}, "id:in"),
        ({"id__contains": "1"}, "id:contains"),
        ({"id__nope": "1"}, "id:nope"),
        ({"name": "a\0"}, "name"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"offset": "-1"}, "offset"),
        ({"sort": "nope"}, "sort"),
        ({"sort": 'id"; DROP TABLE regions'}, "sort"),
        ({"fields": "nope"}, "fields"),
        ({"fields": "id,name:id"}, "fields"),
        ({"include": "nope"}, "include"),
        ({"include": "region.nope"}, "include"),
        ({"include": ".".join(["region"] + ["parent"] * 9)}, "include"),
        ({"include": ""}, "include"),
    ],
)
def test_what_is_not_understood_is_refused_under_its_name(query: dict[str, str], key: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(LEAVE_TYPES, **query)
    assert refused.value.status == 400
    assert list(refused.value.messages) == [key]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"sort": "name,-nope"}, '"nope" is not known here. Choose from: id, name, region, status.'),
        ({"fields": "id,nope:x"}, '"nope" is not known here. Choose from: id, name, region, status.'),
        ({"fields": "id,name:id"}, 'Two fields cannot both be called "id".'),
        ({"include": "nope"}, '"nope" is not known here. Choose from: region.'),
        ({"include": "region.nope"}, '"nope" is not known here. Choose from: parent.'),
        ({"include": ".".join(["region"] + ["parent"] * 9)}, "There can be 5 steps or less."),
        ({"limit": "x"}, "This value should be of type integer."),
    ],
)
def test_the_part_that_is_not_understood_is_named_with_the_choices(
    query: dict[str, str], message: str
) -> None:
    with pytest.raises(Refusal) as refused:
        read(LEAVE_TYPES, **query)
    assert list(refused.value.messages.values()) == [[message]]


def test_a_parameter_of_the_page_is_given_once_and_only_to_lists() -> None:
    with pytest.raises(Refusal):
        read_selection(LEAVE_TYPES, [("limit", "1"), ("limit", "2")], many=True)
    for name in ("limit", "offset", "sort", "status"):
        with pytest.raises(Refusal):
            read(LEAVE_TYPES, many=False, **{name: "1"})


def test_without_a_query_the_first_hundred_come() -> None:
    assert read(LEAVE_TYPES) == Selection(limit=100)


def test_an_order_ends_with_what_makes_it_repeatable() -> None:
    assert read(LEAVE_TYPES, sort="-name").order == ("-name", "id")
    assert read(LEAVE_TYPES, sort="-id").order == ("-id",)


def test_includes_go_deeper_with_dots() -> None:
    assert read(
        LEAVE_POLICIES, include="leavePolicyItems.leaveType,leavePolicyItems.region,region"
    ).includes == {
        "leavePolicyItems": {"leaveType": {}, "region": {}},
        "region": {},
    }


def test_fields_are_picked_in_the_order_of_the_query_under_their_alias() -> None:
    picked = read(LEAVE_TYPES, fields="name:label,id").picked({"id": 1, "name": "Sick", "region": None})
    assert list(picked.items()) == [("label", "Sick"), ("id", 1)]
