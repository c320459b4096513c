"""What Genesys answers: errors by class, plans by unit, windows that the query accepts."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from timeoff.errors import (
    GenesysAuthFailed,
    GenesysConflict,
    GenesysError,
    GenesysForbidden,
    GenesysNotFound,
    GenesysRejected,
    GenesysUnavailable,
)
from timeoff.genesys.errors import DEFAULT_RETRY_AFTER, MAX_RETRY_AFTER, from_answer
from timeoff.genesys.models import ChannelModel, TimeOffPlan, TimeOffRequestListing
from timeoff.genesys.time_off import windows


@pytest.mark.parametrize(
    ("status", "class_"),
    [
        (400, GenesysRejected),
        (401, GenesysAuthFailed),
        (403, GenesysForbidden),
        (404, GenesysNotFound),
        (408, GenesysUnavailable),
        (409, GenesysConflict),
        (413, GenesysRejected),
        (415, GenesysRejected),
        (429, GenesysUnavailable),
        (500, GenesysUnavailable),
        (503, GenesysUnavailable),
        (504, GenesysUnavailable),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"code":"x.y","message":"m","contextId":"c"}'])
def test_each_status_has_its_class_whatever_the_body(
    status: int, class_: type[GenesysError], body: bytes
) -> None:
    error = from_answer("GET /x", status, {}, body)
    assert type(error) is class_
    assert error.status == status


def test_a_forbidden_call_names_the_permission_and_the_id_for_support() -> None:
    body = {"message": "need [wfm:timeOffRequest:view]", "code": "missing.any.permissions", "contextId": "c1"}
    error = from_answer("GET /x", 403, {}, json.dumps(body).encode())
    assert "wfm:timeOffRequest:view" in str(error)
    assert (error.code, error.correlation_id) == ("missing.any.permissions", "c1")


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "17"}, 17.0),
        ({"inin-ratelimit-reset": "9"}, 9.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, DEFAULT_RETRY_AFTER),
        ({"Retry-After": "nan"}, DEFAULT_RETRY_AFTER),
        ({"Retry-After": "99999"}, MAX_RETRY_AFTER),
        ({}, DEFAULT_RETRY_AFTER),
    ],
)
def test_a_throttle_says_how_long_to_wait(headers: dict[str, str], wait: float) -> None:
    assert from_answer("GET /x", 429, headers, b"").retry_after == wait


def test_windows_cover_every_day_once_and_none_is_too_long() -> None:
    first = date(2026, 1, 1)
    for length in (1, 33, 34, 66, 67, 461):
        cut = windows(first, first + timedelta(days=length - 1))
        days = [w.first + timedelta(days=n) for w in cut for n in range((w.last - w.first).days + 1)]
        assert days == [first + timedelta(days=n) for n in range(length)]
        assert max((w.last - w.first).days + 1 for w in cut) <= 33


def test_a_plan_covers_the_units_it_is_associated_with() -> None:
    def plan(**more: object) -> TimeOffPlan:
        return TimeOffPlan.model_validate({"id": "p", **more})

    assert plan().covers("a")
    assert plan(managementUnitAssociation={"managementUnit": {"id": "a"}}).covers("a")
    assert not plan(managementUnitAssociation={"managementUnit": {"id": "b"}}).covers("a")
    assert plan(businessUnitAssociation={"managementUnits": [{"id": "a"}, {"id": "b"}]}).covers("a")
    assert not plan(businessUnitAssociation={"managementUnits": [{"id": "b"}]}).covers("a")
    assert plan(businessUnitAssociation={"managementUnits": None}).covers("a")


def test_one_broken_item_does_not_cost_the_listing() -> None:
    listing = TimeOffRequestListing.model_validate({"entities": [None, 5, {"id": "x"}], "downloadUrl": None})
    assert listing.entities == (None, 5, {"id": "x"})


def test_the_address_of_a_socket_is_not_shown() -> None:
    channel = ChannelModel.model_validate({"id": "c", "connectUri": "wss://s/channels/s3same"})
    assert "s3same" not in repr(channel)
    assert "s3same" not in str(channel)
    assert "s3same" not in channel.model_dump_json()
