"""T-01: every door and to whom it opens. An address, action or screen that is not in these tables fails here."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.testing import WebsocketCommunicator
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import DatabaseError, connection, models, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django_otp.plugins.otp_totp.models import TOTPDevice
from knox.models import get_token_model

from apps.common.throttles import Outlooks
from apps.dealing import selectors as dealing
from apps.dealing.consumers import websocket_urlpatterns
from apps.tenants import selectors as tenants
from apps.tenants.services import in_tenant
from apps.users import services as users
from apps.users.models import User
from apps.users.selectors import ROLES
from piggy.websockets import websockets
from tests.apps import records

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "a long enough password"
METHODS = ("get", "post", "put", "patch", "delete")

STAFF = frozenset(ROLES)
SEATED = frozenset({"admin", "dealer", "risk", "watcher"})
CLIENTS = frozenset({"own client", "other client"})
# Without a code; another broker's, with their session or token; nobody.
STRANGERS = frozenset({"no code", "birch's admin", "birch's client", "anonymous"})
EVERYBODY = STAFF | CLIENTS | STRANGERS
# A token that is not this broker's is refused even where none is needed.
NO_FALSE_TOKEN = EVERYBODY - {"birch's client"}

# To whom each method of an address opens; others to nobody.
DOORS: dict[str, dict[str, frozenset[str]]] = {
    "": {"get": EVERYBODY},
    "brand.css": {"get": EVERYBODY},
    "favicon.ico": dict.fromkeys(METHODS, EVERYBODY),
    "api/docs/": dict.fromkeys(METHODS, EVERYBODY),
    "api/schema/": dict.fromkeys(METHODS, EVERYBODY),
    "api/v1/docs": {"get": NO_FALSE_TOKEN},
    "api/v1/schema": {"get": NO_FALSE_TOKEN},
    "api/v1/risk-warning": {"get": EVERYBODY},
    "api/v1/accounts": {"get": CLIENTS},
    "api/v1/accounts/<str:account_id>": {"get": CLIENTS},
    "api/v1/accounts/<str:account_id>/movements": {"get": CLIENTS},
    "api/v1/accounts/<str:account_id>/statement": {"get": CLIENTS},
    "api/v1/accounts/<str:account_id>/margin-events": {"get": CLIENTS},
    "api/v1/accounts/<str:account_id>/symbols": {"get": CLIENTS},
    "api/v1/accounts/<str:account_id>/close-all": {"post": CLIENTS},
    "api/v1/notices": {"get": CLIENTS},
    "api/v1/fills": {"get": CLIENTS},
    "api/v1/strategies/<str:strategy_id>/refused": {"get": CLIENTS},
    "api/v1/positions": {"get": CLIENTS},
    "api/v1/positions/<str:position_id>": {"patch": CLIENTS},
    "api/v1/orders": {"get": CLIENTS, "post": CLIENTS, "delete": CLIENTS},
    "api/v1/positions/<str:position_id>/what-if": {"post": CLIENTS},
    "api/v1/orders/what-if": {"post": CLIENTS},
    "api/v1/orders/<str:order_id>/what-if": {"post": CLIENTS},
    "api/v1/orders/<str:order_id>": {"get": CLIENTS, "patch": CLIENTS, "delete": CLIENTS},
    "api/v1/orders/<str:order_id>/requote": {"post": CLIENTS},
    "api/v1/orders/<str:order_id>/receipt": {"get": CLIENTS},
    "desk/": {"get": SEATED},
    "desk/snapshot/<slug:panel>": {"get": SEATED},
    "desk/facts/<slug:name>": {"get": SEATED},
    "desk/orders/<str:order_id>": {"get": SEATED},
    "desk/orders/<str:order_id>/receipt": {"get": SEATED},
    "desk/reports/<slug:name>.<slug:kind>": {"get": SEATED},
    "desk/actions/<slug:kind>": {"post": SEATED},
    "desk/previews/<slug:kind>": {"get": SEATED},
    "desk/layout": {"put": SEATED},
    "desk/scorecards": {"get": STAFF},
    "desk/shadow-report": {"get": STAFF},
}
FILLED_IN = {
    "order_id": "O1",
    "position_id": "P1",
    "strategy_id": "mean",
    "account_id": "A9",
    "panel": "orders",
    "name": "exposure",
    "kind": "html",
}
SOCKETS = {"ws/desk/": SEATED}

# Who does what at the desk.
BY_RISK_TOO = (
    "set-trading-state approve-hedge reject-hedge change-limits approve-change reject-change bust-fill correct-fill "
    "bust-window flatten grant-override ask-settlement settle-doubt release-throttle"
)
BY_DEALERS = (
    "place-order cancel-order claim-request fill-request requote-request pass-request reject-request cover "
    "change-routing widen-spread end-change change-phase record-locates record-volumes ask-override amend-order "
    "score-account close-all set-exits"
)
ACTIONS = {
    **dict.fromkeys(BY_RISK_TOO.split(), frozenset({"admin", "dealer", "risk"})),
    **dict.fromkeys(BY_DEALERS.split(), frozenset({"admin", "dealer"})),
}

# Screens of the back office: who may view, add to, change and delete; every role not named only views, or, where it
# says "alone", has none of it.
SCREENS: dict[str, str] = {
    "accounts.account accounts.client": "admin:vac dealer:vac compliance:vac",
    "accounts.group gateway.asked gateway.sentmessage instruments.instrument liquidity.credential liquidity.fixmessage "
    "liquidity.fixnumbers liquidity.routequote liquidity.stagechange liquidity.venueorder liquidity.venuereport "
    "liquidity.venuescorecard risk.accountmargin risk.depreciationnotice risk.grouplimits risk.lossshare "
    "risk.margincall trading.childorder trading.fill trading.order trading.position": "",
    "gateway.fixclient liquidity.executionpolicy liquidity.liquidityprovider trading.strategy": "admin:vac dealer:vac",
    "gateway.passwordchange liquidity.credentialchange": "admin:va dealer:va",
    "policies.accountpolicy": "admin:vac dealer:vac risk:vac compliance:vac",
    "policies.auctionpolicy policies.calendarpolicy policies.grouppolicy policies.hedgingpolicy "
    "policies.instrumentpolicy policies.labrun policies.limitspolicy policies.marginpolicy policies.optionpolicy "
    "policies.priceprofilepolicy policies.routingrules policies.swapfreepolicy policies.swappolicy "
    "policies.venuepolicy": "admin:vac dealer:vac risk:vac",
    "policies.clearancepolicy": "admin:vac compliance:vac",
    "policies.restrictedpolicy": "admin:vac risk:vac compliance:vac",
    "risk.controlsreview": "admin:va compliance:va",
    "reports.break": "alone admin:vc treasury:vc risk:v compliance:v auditor:v",
    "reports.reconciliation": "alone admin:va treasury:va risk:v compliance:v auditor:v",
    "reports.statementformat": "alone admin:vac treasury:vac risk:v compliance:v auditor:v",
    "treasury.deposit treasury.withdrawal": "alone admin:va treasury:va compliance:v auditor:v",
    "treasury.glaccount treasury.journalentry treasury.posting": "alone admin:v treasury:v compliance:v auditor:v",
    "users.user": "alone admin:vac compliance:v auditor:v",
    "users.factorremoval": "alone admin:v compliance:v auditor:v",
    "auth.group": "alone admin:vac",
    "otp_totp.totpdevice": "alone admin:va",
    "outbox.outboxcommand": "alone admin:v",
    "knox.authtoken": "alone admin:vad",
    "admin.logentry": "alone admin:v auditor:v",
}
LETTERS = {"v": "view", "a": "add", "c": "change", "d": "delete"}
LOGINS = {"login", "alogin", "force_login", "aforce_login"}
SESSION_OF = {"SESSION_KEY", "BACKEND_SESSION_KEY", "_auth_user_id", "_auth_user_backend"}


def staff(role: str, *, schema: str = "acorn", has_code: bool = True) -> Client:
    with in_tenant(schema):
        name = role if has_code else f"{role}-without-a-code"
        user = users.create_staff(username=name, password=PASSWORD, role=role)
        client = Client(headers={"host": f"{schema}.localhost"})
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        session = client.session
        if has_code:
            session["otp_device_id"] = TOTPDevice.objects.get(user=user).persistent_id
        session.save()
    return client


def by_token(user: Any) -> Client:
    return Client(headers={"host": "acorn.localhost", "authorization": f"Token {users.issue_token(user=user)}"})


@pytest.fixture
def people(acorn: Any, birch: Any, redis_server: Any) -> dict[str, Client]:
    """Everybody there is, each at Acorn's address."""
    tenants.forget_hosts()
    found = {role: staff(role) for role in ROLES}
    found["no code"] = staff("admin", has_code=False)
    with in_tenant("acorn"):
        found["own client"] = by_token(records.client())
        found["other client"] = by_token(records.client(name="bob", account_id="B1"))
    with in_tenant("birch"):
        found["birch's client"] = by_token(records.client(tenant="birch"))
    abroad = Client(headers={"host": "acorn.localhost"})
    abroad.cookies = staff("admin", schema="birch").cookies
    return found | {"birch's admin": abroad, "anonymous": Client(headers={"host": "acorn.localhost"})}


def routes(resolver: URLResolver, before: str = "") -> Iterator[str]:
    """Yield every address but the back office's, whose screens have a table of their own."""
    for each in resolver.url_patterns:
        path = before + str(each.pattern)
        if isinstance(each, URLPattern):
            yield path
        elif not path.startswith("admin/"):
            yield from routes(each, path)


def opens(client: Client, method: str, path: str) -> bool:
    body = {} if method == "get" else {"data": "{}", "content_type": "application/json"}
    answer = getattr(client, method)(path, **body)
    assert answer.status_code < 500, (method, path)
    to_the_door = answer.status_code == 302 and answer["location"].startswith("/admin/login/")
    return answer.status_code not in (401, 403, 405) and not to_the_door


@pytest.mark.timeout(600)
def test_t_01_every_address_opens_to_those_of_its_row_and_to_nobody_else(
    people: dict[str, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Outlooks, "rate", "6000/min", raising=False)
    assert set(routes(get_resolver())) == DOORS.keys(), "each address has a row, and each row an address"
    assert set(people) == EVERYBODY
    for route, rows in DOORS.items():
        path = "/" + re.sub(r"<\w+:(\w+)>", lambda name: FILLED_IN[name[1]], route)
        for method in METHODS:
            found = {who for who, client in people.items() if opens(client, method, path)}
            assert found == rows.get(method, frozenset()), (method, route)


def test_t_01_the_desks_line_opens_to_those_who_are_seated(people: dict[str, Client]) -> None:
    assert {str(each.pattern) for each in websocket_urlpatterns} == SOCKETS.keys()

    async def knock(path: str, cookie: str) -> bool:
        headers = [(b"host", b"acorn.localhost"), (b"origin", b"http://acorn.localhost"), (b"cookie", cookie.encode())]
        caller = WebsocketCommunicator(websockets(), path, headers=headers)
        is_open, _ = await caller.connect(timeout=60)
        await caller.disconnect(timeout=60)
        return bool(is_open)

    for route, seated in SOCKETS.items():
        cookies = {who: client.cookies.get("sessionid") for who, client in people.items()}
        found = {
            who
            for who, held in cookies.items()
            if async_to_sync(knock)(f"/{route}", f"sessionid={held and held.value}")
        }
        assert found == seated, route


def test_t_01_t_15_every_action_of_the_desk_is_for_the_roles_of_its_row(acorn: Any) -> None:
    with in_tenant("acorn"):
        people = verified_staff()
        assert dealing.RIGHTS.keys() == ACTIONS.keys()
        for kind, roles in ACTIONS.items():
            assert {role for role, user in people.items() if dealing.may_act(user, kind)} == roles, kind


def test_t_01_t_15_every_screen_is_for_the_roles_of_its_row(acorn: Any) -> None:
    """T-15: compliance places no order, and a dealer sees neither the people nor their money's way."""
    rows = {label: rights for labels, rights in SCREENS.items() for label in labels.split()}
    with in_tenant("acorn"):
        people = verified_staff()
        screens = {model._meta.label_lower: screen for model, screen in admin.site._registry.items()}
        assert screens.keys() == rows.keys()
        for label, screen in screens.items():
            alone, *named = ["", *rows[label].split()] if "alone" not in rows[label] else rows[label].split()
            wanted = dict.fromkeys(ROLES, "" if alone else "v") | dict(each.split(":") for each in named)
            assert {role: may(screen, user) for role, user in people.items()} == defaultdict(str, wanted), label


def verified_staff() -> dict[str, Any]:
    found = {role: users.create_staff(username=role, password=PASSWORD, role=role) for role in ROLES}
    for user in found.values():
        user.is_verified = lambda: True
    return found


def may(screen: Any, user: Any) -> str:
    request = SimpleNamespace(user=user, resolver_match=None, GET={}, POST={}, method="GET")
    return "".join(sign for sign, verb in LETTERS.items() if getattr(screen, f"has_{verb}_permission")(request))


def test_t_15_no_document_of_a_client_is_kept_here() -> None:
    """What would be one needs a row of its own above; an LP's credentials are in liquidity/test_credentials.py."""
    every = (field for model in apps.get_models() for field in model._meta.get_fields())
    assert [str(field) for field in every if isinstance(field, models.FileField)] == []


def test_t_25_nobody_logs_in_as_somebody_else() -> None:
    """There is no "log in as client": a session begins at the one login, in Django's own view, and nowhere in ours.

    Only the benches make sessions, of people of their own, on a database that they are given.
    """
    modules = [path for folder in ("apps", "piggy") for path in (ROOT / folder).rglob("*.py")]
    found = {path.relative_to(ROOT).as_posix() for path in modules if begins_a_session(path)}
    assert found == {"piggy/bench/desk_ground.py"}
    assert not [route for route in routes(get_resolver()) if re.search("login|imperson|hijack|become", route)]


def begins_a_session(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("django.contrib.auth"):
            found = {alias.name for alias in node.names} & LOGINS
        elif isinstance(node, ast.Attribute):
            found = {node.attr} & (LOGINS if getattr(node.value, "id", "") == "auth" else LOGINS - {"login"})
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            found = {getattr(node.slice, name, "") for name in ("id", "attr", "value")} & SESSION_OF
        else:
            continue
        if found:
            return True
    return False


def test_t_25_a_token_is_given_out_under_ones_own_name_and_never_turned_to_another(
    acorn: Any, birch: Any, redis_server: Any
) -> None:
    tenants.forget_hosts()
    web = staff("admin")
    with in_tenant("acorn"):
        client, other = records.client(), records.client(name="bob", account_id="B1")
    given = web.post("/admin/knox/authtoken/add/", {"user": client.pk, "expiry_0": "", "expiry_1": ""})
    assert given.status_code == 302, given.content[:500]
    with in_tenant("acorn"):
        token = get_token_model().objects.get()
        assert token.user == client
        entry = LogEntry.objects.get(content_type__model="authtoken")
        assert (entry.user.username, entry.object_id) == ("admin", str(token.pk))
    for address in (f"/admin/knox/authtoken/{token.pk}/change/", "/admin/knox/authtoken/"):
        page = web.get(address).text
        assert f"{token.token_key}…" in page and "alice" in page and "taken back" in page
    assert web.post(f"/admin/knox/authtoken/{token.pk}/change/", {"user": other.pk}).status_code == 403
    with in_tenant("acorn"):
        assert get_token_model().objects.get().user == client
        assert User.objects.filter(username="bob").exists()
    assert web.post(f"/admin/knox/authtoken/{token.pk}/delete/", {"post": "yes"}).status_code == 302
    shown = staff("auditor").get("/admin/admin/logentry/")
    assert shown.status_code == 200 and shown.content.decode().count(str(token)) == 2, "given out, and taken back"
    with in_tenant("acorn"):
        for change in ("update {} set user_id = 0", "delete from {}", "truncate {}"):
            with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(change.format("django_admin_log"))
