"""INV-07: the postings of every event sum to exactly zero in each currency, whatever the numbers."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core import ledger
from piggy.core.events import (
    AccountCredited,
    AccountDebited,
    HedgeFilled,
    MarginRestored,
    NegativeBalanceWrittenOff,
    OrderFilled,
    SwapCharged,
    SwapRestated,
)
from piggy.core.orders import Side

money = st.decimals(min_value="-1e9", max_value="1e9", places=14, allow_nan=False, allow_infinity=False)
above_zero = st.decimals(min_value="0.01", max_value="1e9", places=8, allow_nan=False, allow_infinity=False)


def fill(*, book: str = "B", **changes: Any) -> OrderFilled:
    given_values = {
        "order_id": "O1",
        "account_id": "A1",
        "fill_id": "O1-1",
        "symbol": "EURUSD",
        "side": Side.BUY,
        "quantity": Decimal(1),
        "price": Decimal("1.1"),
        "raw_price": Decimal("1.1"),
        "book": book,
        "counterparty": "LP1",
        "leaves": Decimal(0),
        "realised": Decimal(0),
        "realised_quote": Decimal(0),
        "commission": Decimal(0),
        "conversion_rate": Decimal(1),
        "position_id": "A1:EURUSD",
        "margin_per_lot": Decimal(0),
    }
    return OrderFilled(**{**given_values, **changes})


@given(realised=money, commission=money, markup=money, book=st.sampled_from(["A", "B", "CROSS"]))
def test_every_fill_balances(realised: Decimal, commission: Decimal, markup: Decimal, book: str) -> None:
    event = fill(book=book, realised=realised, commission=commission, markup_revenue=markup)
    assert ledger.is_balanced(ledger.postings(event=event, currency="EUR"))


@given(amount=above_zero, kind=st.sampled_from(["deposit", "withdrawal", "bonus"]))
def test_money_in_out_and_written_off_balances(amount: Decimal, kind: str) -> None:
    named = {"account_id": "A1", "amount": amount, "currency": "USD"}
    for event in (
        AccountCredited(**named, reference="r", kind=kind),
        AccountDebited(**named, reference="r", kind=kind),
        NegativeBalanceWrittenOff(**named),
    ):
        lines = ledger.postings(event=event, currency="USD")
        assert lines
        assert ledger.is_balanced(lines)


@given(amount=money, kind=st.sampled_from(["swap", "admin_fee"]), currency=st.sampled_from(["USD", "JPY", "BTC"]))
def test_every_night_and_every_hedge_balances(amount: Decimal, kind: str, currency: str) -> None:
    swap = SwapCharged(
        account_id="A1",
        position_id="P1",
        symbol="EURUSD",
        business_date=date(2026, 11, 25),
        kind=kind,
        nights=3,
        lots=Decimal(1),
        per_lot=amount,
        price=None,
        conversion_rate=Decimal(1),
        amount=amount,
        currency=currency,
        occurred_at_us=0,
    )
    hedge = HedgeFilled(
        hedge_id="H1",
        fill_id="X1",
        venue="LP1",
        symbol="EURUSD",
        side=Side.BUY,
        quantity=Decimal(1),
        price=Decimal(1),
        realised=amount,
        currency=currency,
        occurred_at_us=0,
    )
    for event in (swap, hedge):
        lines = ledger.postings(event=event, currency="")
        assert ledger.is_balanced(lines)
        assert {line.currency for line in lines} <= {currency}
        assert {line.gl_account for line in lines} <= ledger.KINDS.keys()
    paid = sum(line.amount for line in ledger.postings(event=swap, currency="") if line.owner == "A1")
    assert abs(paid + amount) < Decimal("1E-9"), "what the client gets, the house owes"


def test_a_kept_win_is_owed_to_the_client_by_the_house() -> None:
    lines = ledger.postings(event=fill(realised=Decimal(12), commission=Decimal(3)), currency="USD")
    assert {(line.gl_account, line.owner): line.amount for line in lines[:2]} == {
        (ledger.HOUSE_DEALING, ""): Decimal(12),
        (ledger.CLIENT_MONEY, "A1"): Decimal(-12),
    }
    client = sum(line.amount for line in lines if line.gl_account == ledger.CLIENT_MONEY)
    assert -client == Decimal(9), "the balance grows by profit less commission"


def test_a_passed_win_is_settled_with_the_venue() -> None:
    lines = ledger.postings(event=fill(book="A", realised=Decimal(12)), currency="USD")
    assert lines[0].gl_account == ledger.LP_SETTLEMENT
    assert lines[0].owner == "LP1"


def test_an_event_that_moves_no_money_has_no_postings() -> None:
    event = MarginRestored(account_id="A1", level_percent=Decimal(200))
    assert ledger.postings(event=event, currency="USD") == ()


def test_inv_09_whatever_moves_a_clients_money_has_a_name() -> None:
    """Of every rule's lines, the one on the other side of a client's says what moved it, for just as much."""
    ten = Decimal(10)
    money = {"realised": ten, "commission": ten, "markup_revenue": ten, "premium": ten, "guarantee_cost": ten}
    paid = {"account_id": "A1", "amount": ten, "currency": "USD"}
    night = {"position_id": "p", "symbol": "EURUSD", "fill_id": "f", "place_seq": 1}
    events = [
        *(fill(book=book, **money) for book in ("A", "B", "CROSS")),
        fill(book="A", venue_booked=True, **money),
        AccountCredited(**paid, reference="r", kind="deposit"),
        AccountCredited(**paid, reference="r", kind="bonus"),
        NegativeBalanceWrittenOff(**paid),
        *(SwapRestated(**paid, **night, kind=kind) for kind in ("swap", "admin_fee")),
    ]
    found = set()
    for event in events:
        lines = ledger.postings(event=event, currency="USD")
        for at, line in enumerate(lines):
            if line.gl_account == ledger.CLIENT_MONEY:
                other = lines[ledger.other_side(line=at)]
                assert other.amount == -line.amount
                found.add(ledger.MOVED_BY[other.gl_account])
    assert found == set(ledger.MOVED_BY.values())
    assert ledger.MOVED_BY.keys() < ledger.KINDS.keys()


def test_a_book_without_an_account_is_refused() -> None:
    with pytest.raises(ledger.UnableToPost, match="C-BOOK"):
        ledger.postings(event=fill(book="C-BOOK"), currency="USD")


def test_unbalanced_lines_are_seen() -> None:
    line = ledger.Posting(gl_account=ledger.BANK, owner="", currency="USD", amount=Decimal(1))
    other = ledger.Posting(gl_account=ledger.BANK, owner="", currency="EUR", amount=Decimal(-1))
    assert not ledger.is_balanced([line, other])


def test_a_rule_that_does_not_balance_books_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    line = ledger.Posting(gl_account=ledger.BANK, owner="", currency="USD", amount=Decimal(1))
    monkeypatch.setitem(ledger.RULES, MarginRestored, lambda _event, _currency: (line,))
    with pytest.raises(ledger.UnableToPost, match="MarginRestored"):
        ledger.postings(event=MarginRestored(account_id="A1", level_percent=Decimal(200)), currency="USD")
