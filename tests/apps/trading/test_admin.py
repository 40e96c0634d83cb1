"""The back office over the records: what each role sees and may change, and that a change reaches the engine."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from apps.accounts.models import Account, Group
from apps.accounts.models import Client as Owner
from apps.policies.models import Policy
from apps.users.services import User, create_staff, sync_roles
from piggy import projector
from tests.apps import records
from tests.flows.back_office import Form

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
    known = User.objects.filter(username=role).first()
    user = known or create_staff(username=role, password="long enough for a test", role=role)
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


def test_a_dealer_drafts_a_group_another_approves_it_and_the_engine_is_told(books: Any, as_tenant: Any) -> None:
    browser, group = staff("dealer"), Group.objects.get()
    address = f"/admin/accounts/group/{group.pk}"
    assert "Write a change" in browser.get(f"{address}/change/").content.decode()
    assert browser.post(f"{address}/change/", {"ask_markup_points": 7}).status_code == 403, "nothing is live at once"
    draft = browser.get(f"/admin/accounts/group/{group.pk}/write-change/").url
    shown = browser.get(draft).content.decode()
    assert 'value="b-book"' in shown and 'name="body-ask_markup_points" value="0"' in shown, (
        "what is live is taken over"
    )
    form = Form(shown).fields | {"body-ask_markup_points": "7"}
    assert browser.post(draft, form).status_code == 200, "without a reason there is no draft"
    refused = browser.post(draft, form | {"reason": "thin market", "body-ask_markup_points": "5000"})
    assert "This must be at most 1000." in refused.content.decode()
    assert browser.post(draft, form | {"reason": "thin market"}).status_code == 302
    with as_tenant("acorn"):
        (made,) = Policy.objects.all()
    decision = {"action": "approve", "_selected_action": made.pk, f"seen-{made.pk}": made.digest}
    for role, version, status in (("dealer", 1, 403), ("risk", 2, 302)):
        with as_tenant("acorn"):
            decider = staff(role)
        assert decider.post("/admin/policies/grouppolicy/", decision).status_code == status
        with as_tenant("acorn"):
            assert Group.objects.get().version == version
    told = browser.get(f"{address}/history/").content.decode()
    assert "group.ask_markup_points: 0 → 7" in told and "thin market" in told and "risk" in told


def test_an_auditor_looks_and_changes_nothing(books: Any) -> None:
    browser, group = staff("auditor"), Group.objects.get()
    assert browser.get("/admin/accounts/group/").status_code == 200
    for page in ("accounts/group/add/", "policies/grouppolicy/add/", "accounts/group/write-new/"):
        assert browser.get(f"/admin/{page}").status_code == 403
    assert "Write a change" not in browser.get(f"/admin/accounts/group/{group.pk}/change/").content.decode()
    assert browser.get(f"/admin/accounts/group/{group.pk}/write-change/").status_code == 403
    assert browser.get("/admin/treasury/deposit/add/").status_code == 403


def test_support_sees_orders_but_no_ledger(books: Any, as_tenant: Any) -> None:
    browser = staff("support")
    assert browser.get("/admin/trading/order/").status_code == 200
    with as_tenant("acorn"):
        owner = Owner.objects.select_related("user").get()
    for words in (owner.name[1:], owner.reference):
        found = browser.get("/admin/trading/order/", {"q": words}).content.decode()
        assert "/order/O1/" in found, "an order by its client"
    assert "/order/O1/" not in browser.get("/admin/trading/order/", {"q": "nobody of ours"}).content.decode()
    profile = browser.get(f"/admin/accounts/client/{owner.pk}/change/").content.decode()
    assert str(owner.user) in profile and "/admin/users/user/" not in profile, "no link that ends in a refusal"
    assert browser.get("/admin/treasury/posting/").status_code == 403


@pytest.mark.parametrize(("may", "found"), [(("order", "fill", "client"), True), (("order", "fill"), False)])
def test_all_that_is_a_clients_is_found_by_name_by_who_may_look_at_clients(
    books: Any, as_tenant: Any, may: tuple[str, ...], found: bool
) -> None:
    """However many accounts of theirs come first."""
    with as_tenant("acorn"):
        browser = staff("support")
        held = Account.objects.get()
        kept = {"client": held.client, "group": held.group, "currency": "USD"}
        Account.objects.bulk_create(Account(account_id=f"A0{number:03}", **kept) for number in range(500))
        one = User.objects.get(username="support")
        one.groups.clear()
        one.user_permissions.set(Permission.objects.filter(codename__in=[f"view_{name}" for name in may]))
    for screen in ("order", "fill"):
        page = browser.get(f"/admin/trading/{screen}/", {"q": held.client.name})
        assert page.status_code == 200 and ("O1</" in page.text) is found


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


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("trading/fill/", {"action": "x", "_selected_action": "x"}),
        ("accounts/account/add/", {"account_id": "A9", "client": "\u00b2"}),
        ("accounts/client/add/", {"user": "--5"}),
        ("trading/strategy/add/", {"sources": "9" * 5_000}),
        ("trading/strategy/add/", {"sources": "5"}),
    ],
)
def test_a_key_that_no_row_can_have_is_no_fault_of_ours(acorn: Any, as_tenant: Any, path: str, sent: Any) -> None:
    with as_tenant("acorn"):
        browser = staff("admin")
    browser.raise_request_exception = False
    answer = browser.post(f"/admin/{path}", sent)
    assert answer.status_code in (200, 302, 400), answer.content[:200]
    assert browser.get("/admin/trading/order/_00/change/").status_code in (302, 400)
    assert browser.get("/admin/policies/marginpolicy/effective/?group=%00").status_code in (200, 400)
