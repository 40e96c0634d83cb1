"""The back office over the records: what each role sees and may change, and that a change reaches the engine."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import Group
from apps.outbox.models import OutboxCommand
from apps.users.services import create_staff, sync_roles
from piggy import projector
from tests.apps import records

SCREENS = (
    "trading/order",
    "trading/childorder",
    "trading/fill",
    "trading/position",
    "trading/strategy",
    "accounts/group",
    "accounts/client",
    "accounts/account",
    "instruments/instrument",
    "risk/accountmargin",
    "risk/margincall",
    "risk/grouplimits",
    "risk/controlsreview",
    "treasury/journalentry",
    "treasury/posting",
    "treasury/glaccount",
    "treasury/deposit",
    "outbox/outboxcommand",
)


def staff(role: str) -> Client:
    """Log a member of staff in, with the second factor given."""
    sync_roles()
    user = create_staff(username=role, password="long enough for a test", role=role)
    browser = Client(headers={"host": "acorn.localhost"})
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    session = browser.session
    session["otp_device_id"] = user.totpdevice_set.get().persistent_id
    session.save()
    return browser


@pytest.fixture
def books(acorn: Any, as_tenant: Any, redis_server: Any) -> Any:
    with as_tenant("acorn"):
        records.client()
        records.write(records.credited(), records.accepted(), records.filled(commission=Decimal(2)))
        projector.catch_up(tenant="acorn")
        yield acorn


@pytest.mark.parametrize("screen", SCREENS)
def test_every_screen_opens_and_searches(books: Any, as_tenant: Any, screen: str) -> None:
    browser = staff("admin")
    assert browser.get(f"/admin/{screen}/").status_code == 200
    assert browser.get(f"/admin/{screen}/", {"q": "1"}).status_code == 200


def test_an_order_shows_why_it_went_where_it_went_and_cannot_be_changed(books: Any) -> None:
    browser = staff("admin")
    page = browser.get("/admin/trading/order/O1/change/").content.decode()
    assert "group b-book is B: kept" in page
    assert "P-01 trading state" in page
    assert "1 of 1 controls passed" in page
    assert "Nothing was sent to a venue." in page
    assert "2030-01-01 00:00:00" in page
    assert "0.0000000000" not in page
    assert browser.post("/admin/trading/order/O1/change/", {"state": "denied"}).status_code == 403
    assert browser.post("/admin/trading/order/O1/delete/", {"post": "yes"}).status_code == 403


def test_a_dealer_changes_a_group_and_the_engine_is_told(books: Any, as_tenant: Any) -> None:
    browser = staff("dealer")
    group = Group.objects.get()
    address = f"/admin/accounts/group/{group.pk}/change/"
    form = dict(browser.get(address).context["adminform"].form.initial)
    form |= {"ask_markup_points": 7, "negative_balance_protection": "on", "internal_cross": "on"}
    assert browser.post(address, form).status_code == 200, "without a reason nothing is changed"
    form |= {"reason": "thin market"}
    assert browser.post(address, form).status_code == 302
    with as_tenant("acorn"):
        changed = Group.objects.get()
        assert (changed.version, changed.ask_markup_points) == (2, 7)
        assert OutboxCommand.objects.filter(reference="group:b-book").count() == 2
    told = browser.get(f"/admin/accounts/group/{group.pk}/history/").content.decode()
    assert "group.ask_markup_points: 0 → 7" in told and "thin market" in told and "dealer" in told
    refused = browser.post(address, {**form, "ask_markup_points": 5_000})
    assert "This must be at most 1000." in refused.content.decode()


def test_an_auditor_looks_and_changes_nothing(books: Any) -> None:
    browser = staff("auditor")
    assert browser.get("/admin/accounts/group/").status_code == 200
    assert browser.get("/admin/accounts/group/add/").status_code == 403
    assert browser.get("/admin/treasury/deposit/add/").status_code == 403


def test_support_sees_orders_but_no_ledger(books: Any) -> None:
    browser = staff("support")
    assert browser.get("/admin/trading/order/").status_code == 200
    assert browser.get("/admin/treasury/posting/").status_code == 403


def test_each_role_finds_its_own_screens_and_queues(books: Any, as_tenant: Any) -> None:
    pages = {}
    for role in ("treasury", "dealer", "admin"):
        with as_tenant("acorn"):
            browser = staff(role)
        pages[role] = browser.get("/admin/").content.decode()
    assert "Deposits for a second person" in pages["treasury"]
    assert "Commands to the engine" not in pages["treasury"]
    assert "/desk/" not in pages["treasury"]
    assert "/desk/" in pages["dealer"]
    assert "LPs down" in pages["dealer"]
    assert "Deposits for a second person" not in pages["dealer"]
    assert "Otp_Totp" not in pages["admin"]
