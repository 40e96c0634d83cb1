"""A person who opens an address that fails reads a page; a program has the API's one shape of an error."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory

from apps.common import api
from apps.tenants.models import Tenant
from tests.apps.trading.test_admin import staff

PERSON = "text/html,application/xhtml+xml,*/*;q=0.8"


def test_a_person_reads_a_page_of_the_broker_and_a_program_json(acorn: Tenant) -> None:
    browser = Client(headers={"host": "acorn.localhost"})
    page = browser.get("/nothing", headers={"accept": PERSON})
    assert page.status_code == 404 and page["Content-Type"].startswith("text/html")
    assert "There is nothing here" in page.text and acorn.name in page.text
    assert page["X-Request-Id"] in page.text, "the number to look for in the logs"
    for path, accept in (("/nothing", "*/*"), ("/nothing", "application/json"), ("/api/v1/nothing", PERSON)):
        answer = browser.get(path, headers={"accept": accept})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (path, accept)


def test_who_may_not_is_told_so_in_words(acorn: Tenant, as_tenant: Any) -> None:
    with as_tenant("acorn"):
        page = staff("support").get("/admin/auth/group/add/", headers={"accept": PERSON})
    assert page.status_code == 403 and "Not for your role" in page.text


def test_a_form_that_lay_too_long_says_what_to_do(acorn: Tenant) -> None:
    strict = Client(enforce_csrf_checks=True, headers={"host": "acorn.localhost"})
    page = strict.post("/admin/login/", {"username": "x"}, headers={"accept": PERSON})
    assert page.status_code == 403 and "Go back, reload the page" in page.text
    assert strict.post("/admin/login/", {}).json()["code"] == "csrf_failed"


def test_a_page_of_a_failure_asks_no_database(acorn: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    request = RequestFactory().get("/desk/", headers={"accept": PERSON})
    request.tenant, request.request_id = acorn, "r" * 8  # type: ignore[attr-defined]

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr("django.db.backends.base.base.BaseDatabaseWrapper.cursor", away)
    try:
        raise OperationalError("the server closed the connection")
    except OperationalError:
        page = api.failed(request)
    assert page.status_code == 503 and page["Retry-After"] == "1" and "try again in a moment" in page.content.decode()
