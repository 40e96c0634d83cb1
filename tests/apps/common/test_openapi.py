"""The API's description says what the API does: pages, strict bodies, and every refusal in one shape."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from apps.common import described
from apps.tenants.models import Tenant

ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorOut"}}}


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return dict(SchemaGenerator().get_schema(request=None, public=True))


def test_it_is_valid_openapi(description: dict[str, Any]) -> None:
    assert description["paths"]
    validate_schema(description)


def test_every_operation_names_its_errors_in_one_shape(description: dict[str, Any]) -> None:
    for path, operations in description["paths"].items():
        for verb, operation in operations.items():
            expected = {"400", "401", "403", "429", "503"}
            expected |= {"404", "413", "415"} if "requestBody" in operation else set()
            expected |= {"404"} if "{" in path else set()
            assert expected <= set(operation["responses"]), f"{verb} {path}"
            assert all(operation["responses"][status]["content"] == ERROR for status in expected), f"{verb} {path}"


def test_every_operation_stands_under_its_noun_and_says_in_words_what_it_does(description: dict[str, Any]) -> None:
    for path, operations in description["paths"].items():
        for verb, operation in operations.items():
            assert operation["tags"] == [path.split("/")[3]], f"{verb} {path}"
            assert operation["description"].startswith(operation["summary"]), f"{verb} {path}"
            assert len(operation["summary"].split()) >= 3, f"{verb} {path}"


@pytest.mark.parametrize("noun", ["accounts", "orders", "fills", "positions"])
def test_a_list_is_a_page_with_a_cursor(description: dict[str, Any], noun: str) -> None:
    found = description["paths"][f"/api/v1/{noun}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    page = description["components"]["schemas"][found["$ref"].rsplit("/", 1)[1]]
    assert page["properties"]["results"]["type"] == "array"
    assert page["properties"]["next_cursor"] == {"type": "string", "nullable": True}


def test_a_body_is_closed_and_must_be_there(description: dict[str, Any]) -> None:
    bodies = {
        f"{verb} {path}": operation["requestBody"]
        for path, operations in description["paths"].items()
        for verb, operation in operations.items()
        if "requestBody" in operation
    }
    assert bodies
    for name, body in bodies.items():
        shape = body["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        assert body["required"] and description["components"]["schemas"][shape]["additionalProperties"] is False, name
    assert description["components"]["schemas"]["PatchedAmendInRequest"]["minProperties"] == 1


def test_money_is_text_of_digits(description: dict[str, Any]) -> None:
    quantity = description["components"]["schemas"]["OrderInRequest"]["properties"]["quantity"]
    assert quantity["type"] == "string" and quantity["pattern"].startswith("^-?[0-9]{1,18}")


def test_it_is_called_after_the_broker_whose_domain_it_is_asked_on(acorn: Tenant, birch: Tenant) -> None:
    for tenant in (acorn, birch):
        asked = Client(headers={"host": f"{tenant.schema_name}.localhost"})
        title = asked.get("/api/v1/schema", {"format": "json"}).json()["info"]["title"]
        assert title == f"{tenant.name} API"


def test_inv_26_a_crowd_that_asks_for_it_has_it_made_once(acorn: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may ask, and to make it takes a tenth of a second of the process that orders come in by."""
    made: list[str] = []
    make = SchemaGenerator.get_schema

    def counted(generator: Any, **asked: Any) -> Any:
        made.append("once")
        return make(generator, **asked)

    monkeypatch.setattr(SchemaGenerator, "get_schema", counted)
    monkeypatch.setattr(described, "_made", {})
    asked = Client(headers={"host": "acorn.localhost"})
    told = [asked.get("/api/v1/schema", {"format": "json", "any": number}) for number in range(3)]
    assert len(made) == 1 and len({(each.content, each["Content-Disposition"]) for each in told}) == 1
    assert told[0]["Content-Type"] == "application/vnd.oai.openapi+json"
    assert asked.get("/api/v1/schema")["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8", "another form"
    now_s = time.monotonic()
    monkeypatch.setattr(described.time, "monotonic", lambda: now_s + described.MADE_S + 1)
    monkeypatch.setattr(described, "KEPT_MAX", 1)
    asked.get("/api/v1/schema", {"format": "json"})
    assert len(made) == 3 and len(described._made) == 1
