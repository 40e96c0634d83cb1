"""A trading floor for tests: one desk, its log, and short words for what people do on it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, BookMode, Group, PositionMode, Venue
from piggy.core.clearance import Permissions
from piggy.core.desk import Desk
from piggy.core.events import AnyEvent, Recorded
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.market import Level, VenueQuote
from piggy.core.orders import OrderTerms, OrderType, Side

CLEARED = Permissions.granted()
START_US = 1_700_000_000_000_000
SECOND_US = 1_000_000
EURUSD = Instrument(
    symbol="EURUSD",
    asset_class=AssetClass.FX_MAJOR,
    base="EUR",
    quote="USD",
    contract_size=Decimal(100_000),
    price_digits=5,
    tick_size=Decimal("0.00001"),
    margin_percent=Decimal("3.33"),
)


class Floor:
    """Three LPs, three groups (a, b, mixed) and an account of 100,000 USD in each: a1, b1, mixed1 and b2."""

    def __init__(self, **group: Any) -> None:
        self.desk = Desk(tenant="acorn")
        self.log: list[Recorded] = []
        self.now_us = START_US
        self.commands = 0
        self.do(cmd.SignReview(signed_by="head of compliance", reference="review", signed_at_us=START_US))
        self.do(cmd.ConfigureInstrument(instrument=EURUSD))
        modes = {"a": BookMode.A, "b": BookMode.B, "mixed": BookMode.MIXED}
        for name, mode in modes.items():
            settings = {"a_book_percent": Decimal(40), "bid_markup_points": 2, "ask_markup_points": 3}
            settings |= {"order_notional_max": Decimal(10_000_000)} | group
            self.do(cmd.ConfigureGroup(group=Group(name=name, book_mode=mode, **settings), limits=HOUSE_LIMITS))
        for account_id, name in (("a1", "a"), ("b1", "b"), ("mixed1", "mixed"), ("b2", "b")):
            self.open_account(account_id, group=name)
        for place, name in enumerate(("LP1", "LP2", "LP3"), 1):
            self.do(cmd.ConfigureVenue(venue=Venue(name=name, priority=place, quote_age_ms_max=600_000)))
        self.quotes()

    def open_account(self, account_id: str, *, group: str, amount: int = 100_000, hedging: bool = False) -> None:
        mode = PositionMode.HEDGING if hedging else PositionMode.NETTING
        account = Account(account_id=account_id, group=group, owner_id=account_id, currency="USD", position_mode=mode)
        self.do(cmd.ConfigureAccount(account=account, clearance=CLEARED))
        self.do(cmd.CreditAccount(account_id=account_id, amount=Decimal(amount), reference=f"gift {account_id}"))

    def do(self, command: cmd.AnyCommand, *, command_id: str = "", request_hash: str = "") -> list[AnyEvent]:
        """Decide, record, apply."""
        self.commands += 1
        events = self.desk.decide(command=command, now_us=self.now_us)
        for position, event in enumerate(events):
            recorded = Recorded(
                seq=len(self.log) + 1,
                command_id=command_id or f"c{self.commands}",
                position=position,
                principal="test",
                request_hash=request_hash,
                occurred_at_us=self.now_us,
                recorded_at_us=self.now_us,
                recorded_mono_ns=0,
                event=event,
            )
            self.log.append(recorded)
            self.desk.apply(recorded=recorded)
        return list(events)

    def quote(self, venue: str, bid: str, ask: str, size: str = "2", symbol: str = "EURUSD") -> None:
        bids, asks = ((Level(Decimal(price), Decimal(size)),) if price else () for price in (bid, ask))
        self.desk.quote(
            quote=VenueQuote(
                venue=venue, symbol=symbol, bids=bids, asks=asks, venue_at_us=self.now_us, received_at_us=self.now_us
            )
        )

    def quotes(self, shift: str = "0") -> None:
        """LP1 has the best offer, LP2 the best bid; every LP quotes 2 lots a side."""
        for venue, bid, ask in (
            ("LP1", "1.10000", "1.10010"),
            ("LP2", "1.10001", "1.10011"),
            ("LP3", "1.09999", "1.10012"),
        ):
            self.quote(venue, str(Decimal(bid) + Decimal(shift)), str(Decimal(ask) + Decimal(shift)))

    def place(self, account_id: str, side: Side, quantity: str, **terms: Any) -> list[AnyEvent]:
        """Place an order two seconds later, on fresh quotes; a limit price makes it a limit order."""
        self.now_us += 2 * SECOND_US
        self.requote()
        if "limit_price" in terms:
            terms = {"type": OrderType.LIMIT} | terms | {"limit_price": Decimal(terms["limit_price"])}
        asked = OrderTerms(account_id=account_id, symbol="EURUSD", side=side, quantity=Decimal(quantity), **terms)
        return self.do(cmd.PlaceOrder(terms=asked))

    def requote(self) -> None:
        """Say every standing quote again, now."""
        for venue in ("LP1", "LP2", "LP3"):
            quote = self.desk.market.quote_of(venue=venue, symbol="EURUSD")
            if quote:
                bid, ask = (str(side[0].price) if side else "" for side in (quote.bids, quote.asks))
                size = (quote.bids or quote.asks)[0].size
                self.quote(venue, bid, ask, str(size))

    def act(self) -> list[AnyEvent]:
        """Do whatever is due, until nothing is."""
        done: list[AnyEvent] = []
        for _ in range(50):
            due = self.desk.due(now_us=self.now_us)
            events = [event for command in due for event in self.do(command)]
            if not events:
                return done
            done += events
        raise AssertionError("the desk never comes to rest")

    def children(self) -> list[ev.ChildOrderCreated]:
        return [child.created for child in self.desk.state.open_children.values()]

    def fill(self, leg: ev.ChildOrderCreated, price: str, lots: str = "", fill_id: str = "") -> list[AnyEvent]:
        """The venue fills a leg, all of what is open unless `lots` says less."""
        open_lots = self.desk.state.children[leg.cl_ord_id].leaves
        return self.do(
            cmd.RecordVenueFill(
                venue=leg.venue,
                cl_ord_id=leg.cl_ord_id,
                venue_order_id=f"V-{leg.cl_ord_id}",
                fill_id=fill_id or f"X-{leg.cl_ord_id}-{len(self.log)}",
                symbol=leg.symbol,
                side=leg.side,
                quantity=Decimal(lots) if lots else open_lots,
                price=Decimal(price),
                occurred_at_us=self.now_us,
            )
        )

    def reject(self, leg: ev.ChildOrderCreated) -> list[AnyEvent]:
        return self.do(
            cmd.RecordVenueReject(
                venue=leg.venue, cl_ord_id=leg.cl_ord_id, code="99", text="last look", occurred_at_us=self.now_us
            )
        )

    def done(self, leg: ev.ChildOrderCreated, filled: str = "0") -> list[AnyEvent]:
        return self.do(
            cmd.RecordVenueDone(
                venue=leg.venue,
                cl_ord_id=leg.cl_ord_id,
                filled=Decimal(filled),
                text="ioc remainder",
                occurred_at_us=self.now_us,
            )
        )

    def order(self, number: int) -> Any:
        return self.desk.state.orders[f"O{number:09d}"]


def only(events: list[AnyEvent], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def names(events: list[AnyEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def canonical(value: Any) -> Any:
    """Return `value` with every set and mapping in order, so that two states compare by what they hold."""
    if isinstance(value, dict):
        return sorted(((str(key), canonical(item)) for key, item in value.items()), key=lambda pair: pair[0])
    if isinstance(value, set | frozenset):
        return sorted(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: canonical(getattr(value, field.name)) for field in fields(value)}
    return repr(value)
