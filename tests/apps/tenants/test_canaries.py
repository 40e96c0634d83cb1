"""INV-19, T-02: the twin has the same keys and other words, and nobody at this broker ever reads one of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import get_resolver

from apps.dealing.selectors import PANELS, REPORTS
from apps.tenants import selectors as tenants
from apps.tenants.services import in_tenant
from apps.users.services import sync_roles
from tests.apps import records
from tests.apps.users.test_doors import DOORS, FILLED_IN, by_token, routes, staff

CANARY = "canaryofthetwin"
OURS = "ourownword"


@pytest.fixture
def twins(acorn: Any, birch: Any, redis_server: Any) -> Any:
    """A client, an account, a group, an LP and an order each, with equal keys and ids; return Acorn's client."""
    from apps.liquidity import services

    tenants.forget_hosts()
    for schema, word in (("acorn", OURS), ("birch", CANARY)):
        with in_tenant(schema):
            sync_roles()
            owner = records.client(name=word, account_id="A1", tenant=schema)
            services.add_provider(tenant=schema, name=f"LP{word}"[:16], port=9101, symbols=[], by=word)
            records.write(records.credited("1000"), records.accepted())
            if schema == "acorn":
                ours = owner
    return ours


def read(client: Client, path: str) -> tuple[int, str]:
    answer = client.get(path)
    return answer.status_code, f"{answer.headers}{answer.content.decode(errors='replace')}"


@pytest.mark.timeout(600)
def test_inv_19_t_02_no_page_no_search_and_no_answer_has_a_word_of_the_twin(twins: Any, redis_server: Any) -> None:
    web = staff("admin")
    with in_tenant("acorn"):
        api = by_token(twins)
    paths = [f"/admin/{model._meta.label_lower.replace('.', '/')}/" for model in admin.site._registry]
    # What was asked for is said again on the page, so it is only a part of the word.
    paths += [f"{path}?q={CANARY[:6]}" for path in paths] + [f"{path}1/change/" for path in paths] + ["/admin/"]
    paths += [f"/desk/snapshot/{panel}" for panel in PANELS] + [f"/desk/reports/{name}.html" for name in REPORTS]
    assert set(routes(get_resolver())) == DOORS.keys()
    paths += ["/" + re.sub(r"<\w+:(\w+)>", lambda name: FILLED_IN[name[1]], route) for route in DOORS]
    seen, ours = [], 0
    for client in (web, api):
        for path in paths:
            status, text = read(client, path)
            assert status < 500, path
            ours += OURS in text
            seen += [path] if CANARY in text.lower() else []
    assert ours > 5, "there was something to see"
    assert seen == []


def test_inv_19_t_02_nothing_of_ours_in_redis_has_a_word_of_the_twin(twins: Any, redis_server: Any) -> None:
    for key in redis_server.scan_iter("{acorn}:*"):
        assert CANARY.encode() not in key + (redis_server.dump(key) or b""), key
