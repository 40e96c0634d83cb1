"""The back office as it is read: a symbol's digits, cents, who decided, messages without signs that no font has."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.utils import timezone

from apps.accounts.models import Account
from apps.common.admin import figure, worded
from apps.dealing.admin import AREAS
from apps.instruments import services as instruments
from apps.instruments.models import Instrument
from apps.liquidity.models import VenueReport
from apps.risk.models import AccountMargin
from apps.treasury import services
from apps.treasury.models import JournalEntry
from apps.users.services import User
from piggy import projector
from tests.apps import records
from tests.apps.dealing.desk_floor import symbol
from tests.apps.trading.test_admin import staff


@pytest.mark.parametrize(
    ("value", "given", "text"),
    [
        ("1.1", {"places": 5}, "1.10000"),
        ("1234.5", {"digits": 2, "places": 2}, "1,234.50"),
        ("7", {"digits": 2, "places": 2}, "7.00"),
        ("-0.001", {"digits": 2, "places": 2}, "0.00"),
        ("-0.25", {"digits": 2, "places": 2}, "-0.25"),
        ("1.2345678", {"digits": 6, "places": 5}, "1.234568"),
        ("0.00001234", {"digits": 6, "places": 8}, "0.00001234"),
        ("3.10", {}, "3.1"),
    ],
)
def test_a_figure_has_as_many_decimals_as_are_asked_for(value: str, given: dict[str, int], text: str) -> None:
    assert figure(Decimal(value), **given) == f'<span class="figure">{text}</span>'


def test_a_choice_is_read_in_words() -> None:
    assert worded("category")(SimpleNamespace(category="eligible_counterparty")) == "eligible counterparty"
    for model, column in ((Account, "category_worded"), (Instrument, "asset_class_worded")):
        shown = admin.site.get_model_admin(model).list_display
        assert column in [getattr(each, "__name__", "") for each in shown]


@pytest.mark.parametrize(
    "model",
    ["otp_totp.totpdevice", "knox.authtoken", "auth.group", "policies.limitspolicy", "risk.grouplimits",
     "liquidity.routequote"],
)  # fmt: skip
def test_a_screen_is_called_what_the_menu_calls_it(model: str) -> None:
    (label,) = (label for _, screens in AREAS for label, each, _ in screens if each == model)
    assert str(apps.get_model(model)._meta.verbose_name_plural).lower() == label.lower()


@pytest.fixture
def books(acorn: Any, as_tenant: Any, redis_server: Any) -> Any:
    with as_tenant("acorn"):
        records.client()
        instruments.set_up_instrument(tenant="acorn", instrument=symbol("EURUSD"), by="test")
        records.write(records.credited(), records.accepted(), records.filled(commission=Decimal(2)))
        projector.catch_up(tenant="acorn")
        yield acorn


@pytest.mark.parametrize("screen", ["fill", "order", "position"])
def test_prices_and_lots_have_their_symbols_digits_and_money_cents(books: Any, screen: str) -> None:
    page = staff("admin").get(f"/admin/trading/{screen}/").text
    assert ">1.10000<" in page and ">1.00<" in page
    assert (">2.00<" in page) == (screen == "fill"), "the commission"


def test_a_symbol_that_is_not_on_record_has_the_digits_that_its_figures_have(books: Any) -> None:
    with_other = records.filled("O9", symbol="XYZ", position_id="A1:XYZ")
    records.write(records.accepted("O9"), with_other)
    projector.catch_up(tenant="acorn")
    assert ">1.1<" in staff("admin").get("/admin/trading/fill/").text


def test_a_deposit_says_what_became_of_it_and_who_decided(books: Any) -> None:
    staff("treasury")
    made = services.request_deposit(
        account_id="A1",
        amount=Decimal(1000),
        currency="USD",
        reference="bank 7",
        by=User.objects.get(username="treasury"),
    )
    staff("admin")
    decider = User.objects.get(username="admin")
    services.approve_deposit(tenant="acorn", deposit_id=made.pk, by=decider, at=timezone.now())
    page = staff("admin").get(f"/admin/treasury/deposit/{made.pk}/change/").text
    assert "1,000.00" in page and "1000.0000000000" not in page
    assert "approved" in page and "Decided by" in page and "treasury" in page


def test_an_entry_of_the_ledger_says_each_amount_once_and_plainly(books: Any) -> None:
    entry = JournalEntry.objects.order_by("-seq").first()
    assert entry is not None
    page = staff("admin").get(f"/admin/treasury/journalentry/{entry.pk}/change/").text
    assert ">2.00<" in page and "0000000000" not in page


def test_what_an_lp_wrote_has_bars_for_fixs_separators(books: Any) -> None:
    raw = "8=FIX.4.4\x0135=8\x0155=EURUSD\x01"
    made = VenueReport.objects.create(venue="LP1", key="F:1", kind="fill", raw=raw)
    page = staff("admin").get(f"/admin/liquidity/venuereport/{made.pk}/change/").text
    assert "8=FIX.4.4 | 35=8 | 55=EURUSD" in page and "\x01" not in page


def test_no_is_no_alarm(books: Any) -> None:
    assert not AccountMargin.objects.get().margin_called
    page = staff("admin").get("/admin/risk/accountmargin/").text
    assert '<span class="yes-no is-no">no</span>' in page and "close_small" not in page
