"""Would an adapter that was written against the published API read the sandbox's answers?"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator
from tests.support.bamboohr_sandbox import Bench, bench

SCHEMAS = Path(__file__).parent / "schemas" / "bamboohr"
FORMS = {"numbers": "published", "strings": "recorded"}


@pytest.fixture
async def hris() -> AsyncIterator[Bench]:
    async with bench() as running:
        yield running


def check(schema: str, text: str) -> Any:
    document = json.loads(text)
    Draft202012Validator(json.loads((SCHEMAS / f"{schema}.json").read_text())).validate(document)
    return document


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_the_schemas_are_schemas_and_name_their_source(path: Path) -> None:
    schema = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$comment"].startswith(("BambooHR public OpenAPI", "Answers recorded"))


@pytest.mark.parametrize("wire", FORMS)
async def test_create_and_list_have_the_form_of_their_wire(hris: Bench, wire: str) -> None:
    hris.sandbox.set_options({"wire": wire})
    for notes in ([], [{"from": "manager", "note": "wfm:00"}, {"from": "employee", "note": "Ümlaut ☀"}]):
        created = await hris.create(notes=notes)
        assert created.status == 201
        check(f"request-created.{FORMS[wire]}", created.text)
    listed = await hris.hr("GET", "time_off/requests?start=2026-01-01&end=2026-12-31")
    document = check(f"request-list.{FORMS[wire]}", listed.text)
    assert [item["notes"] for item in document] == [[], {"manager": "wfm:00", "employee": "Ümlaut ☀"}]
    # A superceded and a canceled record keep the form too.
    await hris.create(previousRequest=document[0]["id"])
    await hris.set_status(document[1]["id"], "canceled")
    listed = await hris.hr("GET", "time_off/requests?start=2026-01-01&end=2026-12-31")
    assert {item["status"]["status"] for item in check(f"request-list.{FORMS[wire]}", listed.text)} == {
        "superceded",
        "canceled",
        "approved",
    }


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("employees/directory", "directory"),
        ("meta/time_off/types", "types"),
        ("meta/time_off/types?mode=request", "types"),
        ("meta/time_off/policies", "policies"),
        ("employees/1/time_off/policies", "assignments"),
        ("employees/1/time_off/calculator?end=2026-12-31&precision=4", "calculator"),
    ],
)
async def test_reads_have_the_published_form(hris: Bench, path: str, schema: str) -> None:
    hris.sandbox.set_options({"wire": "numbers"})
    await hris.create()
    reply = await hris.hr("GET", path)
    assert reply.status == 200
    assert check(f"{schema}.published", reply.text)


async def test_policies_are_also_under_v1_1(hris: Bench) -> None:
    for prefix in ("/api/v1_1/", "/api/gateway.php/acme/v1_1/"):
        async with hris.http.get(
            hris.base + prefix + "employees/1/time_off/policies",
            headers={"Accept": "application/json", "Authorization": "Basic c2FuZGJveC1hcGkta2V5Ong="},
        ) as response:
            assert response.status == 200, prefix


async def test_both_base_forms_and_a_trailing_slash_answer_alike(hris: Bench) -> None:
    await hris.create()
    query = "start=2026-01-01&end=2026-12-31"
    answers = {
        (await hris.hr("GET", f"time_off/requests{slash}?{query}", gateway=gateway)).text
        for slash in ("", "/")
        for gateway in (True, False)
    }
    assert len(answers) == 1


@pytest.mark.parametrize("wire", FORMS)
async def test_numbers_arrive_with_all_their_digits(hris: Bench, wire: str) -> None:
    """0.3333 hours and 7.0001 must not pass through binary floats on either side."""
    hris.sandbox.set_options({"wire": wire})
    body = (
        '{"status":"approved","start":"2026-04-01","end":"2026-04-02","timeOffTypeId":83,"dates":['
        '{"ymd":"2026-04-01","amount":0.1000000000000000055},{"ymd":"2026-04-02","amount":"7.0001"}]}'
    )
    reply = await hris.hr("PUT", "employees/1/time_off/request", body)
    assert reply.status == 201
    dates = {on: Decimal(amount) for on, amount in reply.json["dates"].items()}
    assert dates == {"2026-04-01": Decimal("0.1000000000000000055"), "2026-04-02": Decimal("7.0001")}
    assert Decimal(reply.json["amount"]["amount"]) == Decimal("7.1001000000000000055")


async def test_answers_are_xml_unless_json_is_asked_for(hris: Bench) -> None:
    await hris.create(notes=[{"from": "manager", "note": "a < b & \x00"}])
    for accept in ("*/*", "text/html"):
        reply = await hris.hr(
            "GET", "time_off/requests?start=2026-01-01&end=2026-12-31", headers={"Accept": accept}
        )
        assert reply.headers["Content-Type"].startswith("text/xml")
        root = ElementTree.fromstring(reply.text)
        assert root.findtext("item/notes/manager") == "a < b & "
        assert root.find("item/dates/date").attrib == {"ymd": "2026-04-01", "amount": "8"}  # type: ignore[union-attr]


async def test_a_create_without_json_accept_has_a_location_and_no_body(hris: Bench) -> None:
    body = {"status": "requested", "start": "2026-04-01", "end": "2026-04-01", "timeOffTypeId": 83}
    reply = await hris.hr("PUT", "employees/1/time_off/request", body, headers={"Accept": "*/*"})
    (entry,) = await hris.entries()
    assert (reply.status, reply.text) == (201, "")
    location = f"{hris.base}/api/gateway.php/acme/v1/employees/1/time_off/request/{entry['id']}"
    assert reply.headers["Location"] == location


async def test_xml_bodies_are_read(hris: Bench) -> None:
    body = (
        "<request><status>approved</status><start>2026-04-01</start><end>2026-04-02</end>"
        '<timeOffTypeId>84</timeOffTypeId><notes><note from="manager">wfm:1</note></notes>'
        '<dates><date ymd="2026-04-01" amount="1"/><date ymd="2026-04-02" amount="0.5"/></dates></request>'
    )
    reply = await hris.hr(
        "PUT", "employees/1/time_off/request", body, headers={"Content-Type": "application/xml"}
    )
    assert reply.status == 201, reply.error
    (entry,) = await hris.entries()
    assert entry["dates"] == {"2026-04-01": "1.00", "2026-04-02": "0.50"}
    assert entry["notes"] == {"manager": "wfm:1"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "employees/404/time_off/calculator", None, 404),
        ("PUT", "employees/404/time_off/request", {}, 400),
        ("PUT", "time_off/requests/999999/status", {"status": "canceled"}, 404),
        ("PUT", "time_off/requests/999999/status", {"status": "requested"}, 400),
        ("GET", "time_off/requests", None, 400),
        ("DELETE", "time_off/requests", None, 404),
        ("GET", "no/such/thing", None, 404),
        ("PUT", "employees/1/time_off/request", "{", 400),
        ("PUT", "employees/1/time_off/request", "[" * 100_000, 400),
    ],
)
async def test_errors_have_an_empty_body_and_the_text_in_both_spellings(
    hris: Bench, method: str, path: str, body: object, status: int
) -> None:
    reply = await hris.hr(method, path, body)
    assert (reply.status, reply.text) == (status, "")
    assert reply.headers["X-BambooHR-Error-Message"] == reply.headers["X-BambooHR-Error-Messsage"] != ""


async def test_a_body_of_another_media_type_is_415(hris: Bench) -> None:
    reply = await hris.hr(
        "PUT", "employees/1/time_off/request", "a=b", headers={"Content-Type": "text/plain"}
    )
    assert reply.status == 415
