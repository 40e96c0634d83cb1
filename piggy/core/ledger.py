"""The ledger: every event that moves money becomes postings that sum to zero in each currency.

A posting's amount is signed: a debit is above zero, a credit below. Client money is what the broker owes, so a client's
balance is minus the sum of the postings on their account. Amounts stay exact to `LEDGER_DIGITS`; statements round.

What an LP owes is what its executions made (venue_books.py). Between that and what clients and hedges made of them
stands PASSED_DEALING: nothing of it is left once all are flat, but what the house won or lost by what it did not pass
on as it was dealt, as a bust, a correction or a limit that a client kept. An LP's account closes when what is dealt
there does, a client's when his does, so until then the two may differ. A position of both books has one average price
and a bust restates all of it against the book of what it takes back: exact is then the sum of both books' accounts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec

from piggy.core.correction_events import HedgeFillBusted, OrderFillBusted
from piggy.core.events import (
    AccountCredited,
    AccountDebited,
    AnyEvent,
    HedgeFilled,
    NegativeBalanceWrittenOff,
    OrderFilled,
    SwapCharged,
    SwapRestated,
    VenueBooked,
    VenueBookOpened,
    VenueSettled,
)
from piggy.core.money import ZERO

LEDGER_DIGITS = 10

BANK = "bank"
CLIENT_MONEY = "client_money"
HOUSE_DEALING = "house_dealing"
LP_SETTLEMENT = "lp_settlement"
PASSED_DEALING = "passed_dealing"
CROSS_CLEARING = "cross_clearing"
COMMISSION_INCOME = "commission_income"
MARKUP_INCOME = "markup_income"
PREMIUM_INCOME = "premium_income"
GUARANTEED_STOPS = "guaranteed_stops"
SWAP_INCOME = "swap_income"
ADMIN_FEE_INCOME = "admin_fee_income"
HEDGING_RESULT = "hedging_result"
ADJUSTMENTS = "adjustments"
NEGATIVE_BALANCES = "negative_balances"

KINDS = {
    BANK: "asset",
    CLIENT_MONEY: "liability",
    HOUSE_DEALING: "income",
    LP_SETTLEMENT: "asset",
    PASSED_DEALING: "income",
    CROSS_CLEARING: "asset",
    COMMISSION_INCOME: "income",
    MARKUP_INCOME: "income",
    PREMIUM_INCOME: "income",
    GUARANTEED_STOPS: "expense",
    SWAP_INCOME: "income",
    ADMIN_FEE_INCOME: "income",
    HEDGING_RESULT: "income",
    ADJUSTMENTS: "expense",
    NEGATIVE_BALANCES: "expense",
}

# What moved a client's money, by the account on the entry's other side.
MOVED_BY = {
    BANK: "payment",
    HOUSE_DEALING: "trade",
    LP_SETTLEMENT: "trade",
    PASSED_DEALING: "trade",
    CROSS_CLEARING: "trade",
    COMMISSION_INCOME: "commission",
    PREMIUM_INCOME: "premium",
    SWAP_INCOME: "swap",
    ADMIN_FEE_INCOME: "admin_fee",
    ADJUSTMENTS: "adjustment",
    NEGATIVE_BALANCES: "write_off",
}

# What they book is added to what the event that they supersede had booked; others stand in its place.
ADDED = (OrderFillBusted, NegativeBalanceWrittenOff)
BANKED = frozenset({"deposit", "withdrawal"})
Dealt = VenueBooked | VenueSettled | VenueBookOpened
CONTRA_OF_BOOK = {"A": LP_SETTLEMENT, "B": HOUSE_DEALING, "CROSS": CROSS_CLEARING}


class UnableToPost(Exception):
    """The postings of an event do not sum to zero, or its book has no account; nothing may be booked."""


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an entry; `owner` is the account behind client money, the venue behind LP settlement, or ''."""

    gl_account: str
    owner: str
    currency: str
    amount: Decimal


def postings(*, event: AnyEvent, currency: str) -> tuple[Posting, ...]:
    """Return the balanced postings of `event`, () where no money moves; `currency` is that of the event's account."""
    rule = RULES.get(type(event))
    if rule is None:
        return ()
    lines: tuple[Posting, ...] = rule(event, currency)
    if not is_balanced(lines):
        raise UnableToPost(f"{type(event).__name__} does not balance: {lines}.")
    return lines


def other_side(*, line: int) -> int:
    """Return the number of the line on the other side of one of an entry's lines: they come in pairs, from 0."""
    return line ^ 1


def is_balanced(lines: Iterable[Posting]) -> bool:
    """Return whether `lines` sum to exactly zero in every currency."""
    sums: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for line in lines:
        sums[line.currency] += line.amount
    return not any(sums.values())


def _credited(event: AccountCredited, currency: str) -> tuple[Posting, ...]:
    source = BANK if event.kind in BANKED else ADJUSTMENTS
    return _move(event.amount, event.currency, debit=(source, ""), credit=(CLIENT_MONEY, event.account_id))


def _debited(event: AccountDebited, currency: str) -> tuple[Posting, ...]:
    target = BANK if event.kind in BANKED else ADJUSTMENTS
    return _move(event.amount, event.currency, debit=(CLIENT_MONEY, event.account_id), credit=(target, ""))


def _filled(event: OrderFilled, currency: str) -> tuple[Posting, ...]:
    client, contra = (CLIENT_MONEY, event.account_id), _contra(event)
    return (
        *_move(event.realised, currency, debit=contra, credit=client),
        *_move(event.commission, currency, debit=client, credit=(COMMISSION_INCOME, "")),
        *_move(event.markup_revenue, currency, debit=contra, credit=(MARKUP_INCOME, "")),
        *_move(event.premium, currency, debit=client, credit=(PREMIUM_INCOME, "")),
        *_move(event.guarantee_cost, currency, debit=(GUARANTEED_STOPS, ""), credit=contra),
    )


def _bust(event: OrderFillBusted, currency: str) -> tuple[Posting, ...]:
    """Return the reversal of the fill's postings, with what the position without it comes to."""
    client, contra = (CLIENT_MONEY, event.account_id), _contra(event)
    return (
        *_move(event.realised, currency, debit=contra, credit=client),
        *_move(event.commission, currency, debit=(COMMISSION_INCOME, ""), credit=client),
        *_move(event.markup_revenue, currency, debit=(MARKUP_INCOME, ""), credit=contra),
        *_move(event.premium, currency, debit=(PREMIUM_INCOME, ""), credit=client),
        *_move(event.guarantee_cost, currency, debit=contra, credit=(GUARANTEED_STOPS, "")),
    )


def _contra(event: OrderFilled | OrderFillBusted) -> tuple[str, str]:
    if event.book not in CONTRA_OF_BOOK:
        raise UnableToPost(f"Book {event.book!r} has no account to post against.")
    if event.book == "A" and event.venue_booked:
        return PASSED_DEALING, ""
    return CONTRA_OF_BOOK[event.book], event.counterparty if event.book == "A" else ""


def _written_off(event: NegativeBalanceWrittenOff, currency: str) -> tuple[Posting, ...]:
    return _move(event.amount, event.currency, debit=(NEGATIVE_BALANCES, ""), credit=(CLIENT_MONEY, event.account_id))


def _swap_charged(event: SwapCharged | SwapRestated, currency: str) -> tuple[Posting, ...]:
    income = SWAP_INCOME if event.kind == "swap" else ADMIN_FEE_INCOME
    return _move(event.amount, event.currency, debit=(income, ""), credit=(CLIENT_MONEY, event.account_id))


def _hedge_filled(event: HedgeFilled | HedgeFillBusted, currency: str) -> tuple[Posting, ...]:
    source = (PASSED_DEALING, "") if event.venue_booked else (LP_SETTLEMENT, event.venue)
    return _move(event.realised, event.currency, debit=source, credit=(HEDGING_RESULT, ""))


def _dealt_at_venue(event: Dealt, currency: str) -> tuple[Posting, ...]:
    """Return what an LP owes by what it dealt: nothing of before it was told."""
    owed = event.result or ZERO
    return _move(owed, event.currency, debit=(LP_SETTLEMENT, event.venue), credit=(PASSED_DEALING, ""))


def _venue_settled(event: VenueSettled, currency: str) -> tuple[Posting, ...]:
    source = (LP_SETTLEMENT, event.venue) if event.result is None else (PASSED_DEALING, "")
    hedged = _move(event.realised, event.currency, debit=source, credit=(HEDGING_RESULT, ""))
    return (*_dealt_at_venue(event, currency), *hedged)


def _venue_book_opened(event: VenueBookOpened, currency: str) -> tuple[Posting, ...]:
    """Return the result of executions, in the place of what was settled with their LP before."""
    lines = _dealt_at_venue(event, currency)
    for unit, amount in event.settled:
        lines += _move(amount, unit, debit=(PASSED_DEALING, ""), credit=(LP_SETTLEMENT, event.venue))
    return lines


def _move(amount: Decimal, currency: str, *, debit: tuple[str, str], credit: tuple[str, str]) -> tuple[Posting, ...]:
    exact = amount.quantize(Decimal(1).scaleb(-LEDGER_DIGITS), rounding=ROUND_HALF_EVEN)
    if not exact:
        return ()
    return (
        Posting(gl_account=debit[0], owner=debit[1], currency=currency, amount=exact),
        Posting(gl_account=credit[0], owner=credit[1], currency=currency, amount=-exact),
    )


RULES: dict[type, Callable[[Any, str], tuple[Posting, ...]]] = {
    AccountCredited: _credited,
    AccountDebited: _debited,
    OrderFilled: _filled,
    NegativeBalanceWrittenOff: _written_off,
    SwapCharged: _swap_charged,
    SwapRestated: _swap_charged,
    HedgeFilled: _hedge_filled,
    OrderFillBusted: _bust,
    HedgeFillBusted: _hedge_filled,
    VenueSettled: _venue_settled,
    VenueBooked: _dealt_at_venue,
    VenueBookOpened: _venue_book_opened,
}
