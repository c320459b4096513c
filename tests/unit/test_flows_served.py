"""What is served of the flows: names, ids, and the OpenAPI description made from the contract."""

from __future__ import annotations

import jsonschema
import pytest

from timeoff import openapi
from timeoff_balance.errors import Refusal
from timeoff_balance.flows.catalogue import Catalogue
from timeoff_balance.flows.contract import FLOWS, GET_AGENTS, GET_BALANCE, output_schema
from timeoff_balance.flows.plain import operation, read_document
from timeoff_balance.flows.results import Result, outputs


def test_with_one_hris_the_names_are_the_published_ones() -> None:
    catalogue = Catalogue([GET_AGENTS, GET_BALANCE], ["main"])
    assert [workflow.name for workflow in catalogue.named("")] == ["HRIS-Get-Agents", "HRIS-Get-Balance"]


def test_with_several_each_has_its_own_and_ids_stay() -> None:
    """A second HRIS must not change the ids that an integration is set up with."""
    one, two = Catalogue([GET_AGENTS], ["main"]), Catalogue([GET_AGENTS], ["main", "other"])
    assert [w.name for w in two.named("")] == ["HRIS-Get-Agents (main)", "HRIS-Get-Agents (other)"]
    (alone,) = one.named("")
    found = two.get(alone.id.upper())
    assert found is not None
    assert (found.target, found.id) == ("main", alone.id)


@pytest.mark.parametrize(
    ("pattern", "count"),
    [('"HRIS-Get-Agents"', 1), ("hris-get-agents", 1), ("HRIS-*", 2), ("*", 2), ("HRIS-Get-Agent?", 0)],
)
def test_names_are_found_in_any_case_with_stars_and_in_quotes(pattern: str, count: int) -> None:
    assert len(Catalogue([GET_AGENTS, GET_BALANCE], ["main"]).named(pattern)) == count


@pytest.mark.parametrize("pattern", ["[", "[a-z]*", "HRIS-[Gg]et*", "?", "!"])
def test_nothing_but_the_star_is_special(pattern: str) -> None:
    assert Catalogue([GET_AGENTS], ["main"]).named(pattern) == ()


def test_the_description_is_made_from_the_contract() -> None:
    document = openapi.document(
        title="flows",
        version="1",
        description="",
        operations=[operation(flow) for flow in FLOWS.values()],
        security_schemes={},
    )
    for flow in FLOWS.values():
        call = document["paths"][f"/v1/flows/{flow.name}"]["post"]
        answer = call["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer == output_schema(flow)
        jsonschema.validate(outputs(flow, Result()), answer)
        reference = call["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        body = document["components"]["schemas"][reference.rpartition("/")[2]]
        assert set(body.get("properties", {})) == {variable.key for variable in flow.inputs}
        # Whatever a known input holds, the outputs tell what is wrong with it: nothing is refused by shape.
        jsonschema.validate({variable.key: {"any": ["thing"]} for variable in flow.inputs}, body)
        assert "required" not in body


def test_a_body_is_an_object_or_nothing() -> None:
    assert read_document(b"") == read_document(b" \n") == read_document(b"{}") == {}
    for text in (b"[]", b"1", b"null", b"{", b"\xff", b'{"a":1,"a":2}', b"[" * 100_000):
        with pytest.raises(Refusal) as refusal:
            read_document(text)
        assert refusal.value.status == 400
