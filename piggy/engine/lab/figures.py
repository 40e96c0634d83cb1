"""What a day's events come to: routes, venues, refusals, open risk at its worst, money by book; and each order's fate.

Made of events alone, so that what was and what would have been are counted by the same rule. Money is in `currency`.
Dealing is valued at the day's last prices: what the house held before the day is the same on both sides and left out.
"""

from __future__ import annotations

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
MILLION = Decimal(1_000_000)
HEDGES = "HEDGE"


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
    cash: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    lots: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    charged: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    worth: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    called: int = 0
    stopped_out: int = 0

    def take(self, *, event: AnyEvent, at_us: int) -> None:
        """Count one event."""
        count = _COUNTS.get(type(event))
        if count is not None:
            count(self, event, at_us)

    def dealing(
        self, *, book: str, symbol: str, side: Side, lots: Decimal, price: Decimal, ours: bool, at_us: int
    ) -> None:
        """Add a deal to a book: a client's, whom the house faces, or the house's own at a venue (`ours`)."""
        signed = side.sign * lots if ours else -side.sign * lots
        key = (book, symbol)
        self.lots[key] = self.lots.get(key, ZERO) + signed
        self.cash[key] = self.cash.get(key, ZERO) - signed * price
        if book != "CROSS":
            now = self.open_lots[symbol] = self.open_lots.get(symbol, ZERO) - signed
            if abs(now) > abs(self.peaks.get(symbol, (ZERO, 0))[0]):
                self.peaks[symbol] = (now, at_us)

    def total(self, *, marks: Mapping[str, Touch], pairs: Pairs, currency: str) -> dict[str, Any]:
        """Return the figures as JSON: numbers as texts, money in `currency` at the last prices."""

        def converted(amount: Decimal, source: str) -> Decimal:
            rate = rate_of(state=self.state, source=source, target=currency, gain=amount > 0, marks=marks, pairs=pairs)
            return amount * rate if rate is not None else ZERO

        profit: dict[str, Decimal] = {}
        for (book, symbol), cash in self.cash.items():
            instrument, touch = self.state.instruments[symbol], marks.get(symbol)
            mid = (touch.bid + touch.ask) / 2 if touch else ZERO
            amount = (cash + self.lots[(book, symbol)] * mid) * instrument.contract_size
            profit[book] = profit.get(book, ZERO) + converted(amount, instrument.quote)
        charged: dict[str, Decimal] = {}
        for (what, source), amount in self.charged.items():
            charged[what] = charged.get(what, ZERO) + converted(amount, source)
        fees = ZERO
        for (venue, symbol), worth in self.worth.items():
            known = self.state.venues.get(venue)
            if known is not None and known.commission_per_million:
                amount = worth * known.commission_per_million / MILLION
                fees += converted(amount, self.state.instruments[symbol].quote)
        fates = self.fates.values()
        return {
            "orders": len(self.fates),
            "denied": sum(1 for fate in fates if fate.denied),
            "filled_lots": str(sum((fate.filled for fate in fates), ZERO)),
            "profit": {book: _money(amount) for book, amount in sorted(profit.items())},
            "charged": {what: _money(amount) for what, amount in sorted(charged.items())},
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
    group = figures.state.accounts[event.account_id].group
    key = (group, event.symbol, event.book)
    figures.routes[key] = figures.routes.get(key, ZERO) + event.quantity
    charge = ("commission", figures.state.accounts[event.account_id].currency)
    figures.charged[charge] = figures.charged.get(charge, ZERO) + event.commission
    figures.dealing(
        book=event.book,
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
    key = (event.venue, event.symbol)
    units = event.quantity * figures.state.instruments[event.symbol].contract_size
    figures.worth[key] = figures.worth.get(key, ZERO) + units * event.price
    figures.dealing(
        # Hedges are numbered apart from orders, by their first letter.
        book=HEDGES if event.order_id.startswith("H") else "A",
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


def _swap(figures: Figures, event: ev.SwapCharged, at_us: int) -> None:
    key = ("swap", event.currency)
    figures.charged[key] = figures.charged.get(key, ZERO) - event.amount


def _called(figures: Figures, event: ev.MarginCalled, at_us: int) -> None:
    figures.called += 1


def _stopped(figures: Figures, event: ev.StoppedOut, at_us: int) -> None:
    figures.stopped_out += 1


_COUNTS: dict[type, Callable[..., None]] = {
    ev.OrderDenied: _denied,
    ev.OrderAccepted: _accepted,
    ev.OrderRerouted: _rerouted,
    ev.OrderFilled: _filled,
    ev.ChildOrderCreated: _child,
    ev.ChildOrderFilled: _child_filled,
    ev.ChildOrderClosed: _child_closed,
    ev.OrderCancelled: _cancelled,
    ev.SwapCharged: _swap,
    ev.MarginCalled: _called,
    ev.StoppedOut: _stopped,
}


def _money(amount: Decimal) -> str:
    return str(amount.quantize(CENT))
