"""What a day's events come to: routes, venues, refusals, open risk at its worst, money; and each order's fate.

Made of events alone, so that what was and what would have been are counted by the same rule. Money is in `currency`,
by book, by group and by symbol, each of which adds up to the same total.
Dealing is valued at the day's last prices: what the house held before the day is the same on both sides and left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from piggy.core import events as ev
from piggy.core.conversion import Pairs, Touch
from piggy.core.events import AnyEvent
from piggy.core.funds import rate_of
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.core.state import State

CENT = Decimal("0.01")
_BUY = Side.BUY
MILLION = Decimal(1_000_000)
HEDGES = "HEDGE"
# Whose money it is where it belongs to no client, and in what where to no symbol.
HOUSE, NO_SYMBOL = "the house itself", "no symbol"


@dataclass(slots=True)
class Fate:
    """What became of one order. Lots by book; `worth` is lots times the client's prices; `text` is the reason."""

    order_id: str
    at_us: int
    account_id: str
    group: str
    symbol: str
    side: Side
    quantity: Decimal
    rule: str = ""
    text: str = ""
    denied: str = ""
    ended: str = ""
    books: dict[str, Decimal] = field(default_factory=dict)
    venues: dict[str, Decimal] = field(default_factory=dict)
    filled: Decimal = ZERO
    worth: Decimal = ZERO

    @property
    def mode(self) -> str:
        """The books that filled it, or where it stands."""
        return "+".join(sorted(self.books)) if self.books else ("DENIED" if self.denied else "REST")

    @property
    def price(self) -> Decimal | None:
        """The average price that its client had."""
        return self.worth / self.filled if self.filled else None

    def told(self) -> tuple[object, ...]:
        """Return what makes two fates different, whatever ids they have."""
        return self.denied, self.ended, self.books, self.venues, self.filled, self.worth


@dataclass(slots=True)
class Dealing:
    """Signed lots that the house holds of a deal's kind, and the cash that they cost (lots times price)."""

    lots: Decimal = ZERO
    cash: Decimal = ZERO


@dataclass(slots=True)
class Figures:
    """Counts one side. `open_lots` is the house's open risk at the beginning by symbol, signed as clients hold it."""

    state: State
    open_lots: dict[str, Decimal]
    fates: dict[str, Fate] = field(default_factory=dict)
    routes: dict[tuple[str, str, str], Decimal] = field(default_factory=dict)
    sent: dict[str, Decimal] = field(default_factory=dict)
    dealt: dict[str, Decimal] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    denials: dict[str, int] = field(default_factory=dict)
    peaks: dict[str, tuple[Decimal, int]] = field(default_factory=dict)
    dealings: dict[tuple[str, str, str], Dealing] = field(default_factory=dict)
    charged: dict[tuple[str, str, str, str], Decimal] = field(default_factory=dict)
    worth: dict[tuple[str, str, str], Decimal] = field(default_factory=dict)
    called: int = 0
    stopped_out: int = 0

    def take(self, *, event: AnyEvent, at_us: int) -> None:
        """Count one event."""
        count = COUNTED.get(type(event))
        if count is not None:
            count(self, event, at_us)

    def dealing(
        self, *, book: str, group: str, symbol: str, side: Side, lots: Decimal, price: Decimal, ours: bool, at_us: int
    ) -> None:
        """Add a deal to a book: a client's, whom the house faces, or the house's own at a venue (`ours`)."""
        signed = lots if (side is _BUY) is ours else -lots
        key = (book, group, symbol)
        found = self.dealings.get(key)
        if found is None:
            found = self.dealings[key] = Dealing()
        found.lots += signed
        found.cash -= signed * price
        if book != "CROSS":
            now = self.open_lots[symbol] = self.open_lots.get(symbol, ZERO) - signed
            peak = self.peaks.get(symbol)
            if abs(now) > (abs(peak[0]) if peak else ZERO):
                self.peaks[symbol] = (now, at_us)

    def group_of(self, *, order_id: str) -> str:
        """Return the group of an order that is known, else that the house's own it is."""
        known = self.fates.get(order_id) or self.state.orders.get(order_id)
        return known.group if known else HOUSE

    def charge(self, *, what: str, account_id: str, symbol: str, amount: Decimal, currency: str = "") -> None:
        """Add what an account paid the house, below zero: got of it, in the account's currency by default."""
        account = self.state.accounts[account_id]
        key = (what, account.group, symbol, currency or account.currency)
        self.charged[key] = self.charged.get(key, ZERO) + amount

    def total(self, *, marks: Mapping[str, Touch], pairs: Pairs, currency: str) -> dict[str, Any]:
        """Return the figures as JSON: numbers as texts, money in `currency` at the last prices."""

        def converted(amount: Decimal, source: str) -> Decimal:
            rate = rate_of(state=self.state, source=source, target=currency, gain=amount > 0, marks=marks, pairs=pairs)
            return amount * rate if rate is not None else ZERO

        profit, charged, groups, symbols = (defaultdict[str, Decimal](Decimal) for _ in range(4))
        for (book, group, symbol), dealing in self.dealings.items():
            instrument, touch = self.state.instruments[symbol], marks.get(symbol)
            mid = (touch.bid + touch.ask) / 2 if touch else ZERO
            money = converted((dealing.cash + dealing.lots * mid) * instrument.contract_size, instrument.quote)
            _add(money, (profit, book), (groups, group), (symbols, symbol))
        for (what, group, symbol, source), amount in self.charged.items():
            _add(converted(amount, source), (charged, what), (groups, group), (symbols, symbol))
        fees = ZERO
        for (venue, group, symbol), worth in self.worth.items():
            known = self.state.venues.get(venue)
            if known is not None and known.commission_per_million:
                amount = worth * known.commission_per_million / MILLION
                fee = converted(amount, self.state.instruments[symbol].quote)
                fees += fee
                _add(-fee, (groups, group), (symbols, symbol))
        fates = self.fates.values()
        denied = Counter(f"{fate.group} · {fate.symbol}" for fate in fates if fate.denied)
        return {
            "orders": len(self.fates),
            "denied": denied.total(),
            "denied_by": dict(sorted(denied.items())),
            "filled_lots": str(sum((fate.filled for fate in fates), ZERO)),
            "profit": _told(profit),
            "charged": _told(charged),
            "groups": _told(groups),
            "symbols": _told(symbols),
            "venue_fees": _money(fees),
            "total": _money(sum(profit.values(), ZERO) + sum(charged.values(), ZERO) - fees),
            "routes": [[*key, str(lots)] for key, lots in sorted(self.routes.items())],
            "sent": {venue: str(lots) for venue, lots in sorted(self.sent.items())},
            "dealt": {venue: str(lots) for venue, lots in sorted(self.dealt.items())},
            "refused": dict(sorted(self.refused.items())),
            "denials": dict(sorted(self.denials.items())),
            "peaks": {symbol: [str(lots), at_us] for symbol, (lots, at_us) in sorted(self.peaks.items())},
            "margin_calls": self.called,
            "stop_outs": self.stopped_out,
        }


def _denied(figures: Figures, event: ev.OrderDenied, at_us: int) -> None:
    reasons, terms = event.verdict.reasons, event.terms
    for check in reasons:
        figures.denials[check.code] = figures.denials.get(check.code, 0) + 1
    account = figures.state.accounts.get(terms.account_id)
    figures.fates[event.order_id] = Fate(
        event.order_id, at_us, terms.account_id, account.group if account else "", terms.symbol, terms.side,
        terms.quantity, denied=", ".join(check.code for check in reasons),
        text="; ".join(check.text for check in reasons),
    )  # fmt: skip


def _accepted(figures: Figures, event: ev.OrderAccepted, at_us: int) -> None:
    terms = event.terms
    figures.fates[event.order_id] = Fate(
        event.order_id, at_us, terms.account_id, event.group, terms.symbol, terms.side, terms.quantity,
        event.routing.rule, event.routing.text,
    )  # fmt: skip


def _rerouted(figures: Figures, event: ev.OrderRerouted, at_us: int) -> None:
    if (fate := figures.fates.get(event.order_id)) is not None:
        fate.rule, fate.text = event.routing.rule, event.routing.text


def _filled(figures: Figures, event: ev.OrderFilled, at_us: int) -> None:
    account_id, symbol = event.account_id, event.symbol
    group = figures.state.accounts[account_id].group
    key = (group, symbol, event.book)
    figures.routes[key] = figures.routes.get(key, ZERO) + event.quantity
    if event.commission:
        figures.charge(what="commission", account_id=account_id, symbol=symbol, amount=event.commission)
    if event.premium:
        figures.charge(what="premium", account_id=account_id, symbol=symbol, amount=event.premium)
    figures.dealing(
        book=event.book,
        group=group,
        symbol=event.symbol,
        side=event.side,
        lots=event.quantity,
        price=event.price,
        ours=False,
        at_us=at_us,
    )
    if (fate := figures.fates.get(event.order_id)) is not None:
        fate.books[event.book] = fate.books.get(event.book, ZERO) + event.quantity
        fate.filled += event.quantity
        fate.worth += event.quantity * event.price


def _child(figures: Figures, event: ev.ChildOrderCreated, at_us: int) -> None:
    figures.sent[event.venue] = figures.sent.get(event.venue, ZERO) + event.quantity


def _child_filled(figures: Figures, event: ev.ChildOrderFilled, at_us: int) -> None:
    figures.dealt[event.venue] = figures.dealt.get(event.venue, ZERO) + event.quantity
    # Hedges are numbered apart from orders, by their first letter.
    hedges = event.order_id.startswith("H")
    group = HOUSE if hedges else figures.group_of(order_id=event.order_id)
    key = (event.venue, group, event.symbol)
    units = event.quantity * figures.state.instruments[event.symbol].contract_size
    figures.worth[key] = figures.worth.get(key, ZERO) + units * event.price
    figures.dealing(
        book=HEDGES if hedges else "A",
        group=group,
        symbol=event.symbol,
        side=event.side,
        lots=event.quantity,
        price=event.price,
        ours=True,
        at_us=at_us,
    )
    if (fate := figures.fates.get(event.order_id)) is not None:
        fate.venues[event.venue] = fate.venues.get(event.venue, ZERO) + event.quantity


def _child_closed(figures: Figures, event: ev.ChildOrderClosed, at_us: int) -> None:
    if event.outcome == "rejected":
        figures.refused[event.venue] = figures.refused.get(event.venue, 0) + 1


def _cancelled(figures: Figures, event: ev.OrderCancelled, at_us: int) -> None:
    if (fate := figures.fates.get(event.order_id)) is not None:
        fate.ended = event.outcome
        fate.text = f"{fate.text}; {event.outcome}: {event.reason}" if event.reason else fate.text


def _swap(figures: Figures, event: ev.SwapCharged | ev.SwapRestated, at_us: int) -> None:
    figures.charge(
        what="swap", account_id=event.account_id, symbol=event.symbol, amount=-event.amount, currency=event.currency
    )


def _written_off(figures: Figures, event: ev.NegativeBalanceWrittenOff, at_us: int) -> None:
    figures.charge(
        what="negative balances",
        account_id=event.account_id,
        symbol=NO_SYMBOL,
        amount=-event.amount,
        currency=event.currency,
    )


def _called(figures: Figures, event: ev.MarginCalled, at_us: int) -> None:
    figures.called += 1


def _stopped(figures: Figures, event: ev.StoppedOut, at_us: int) -> None:
    figures.stopped_out += 1


# Whose events count, and how.
COUNTED: dict[type, Callable[..., None]] = {
    ev.OrderDenied: _denied,
    ev.OrderAccepted: _accepted,
    ev.OrderRerouted: _rerouted,
    ev.OrderFilled: _filled,
    ev.ChildOrderCreated: _child,
    ev.ChildOrderFilled: _child_filled,
    ev.ChildOrderClosed: _child_closed,
    ev.OrderCancelled: _cancelled,
    ev.SwapCharged: _swap,
    ev.SwapRestated: _swap,
    ev.NegativeBalanceWrittenOff: _written_off,
    ev.MarginCalled: _called,
    ev.StoppedOut: _stopped,
}


def _add(money: Decimal, *places: tuple[dict[str, Decimal], str]) -> None:
    for sums, key in places:
        sums[key] += money


def _told(sums: Mapping[str, Decimal]) -> dict[str, str]:
    return {key: _money(amount) for key, amount in sorted(sums.items())}


def _money(amount: Decimal) -> str:
    return str(amount.quantize(CENT))
