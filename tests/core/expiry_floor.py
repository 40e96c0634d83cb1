"""A trading floor that lists options, for tests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.instruments import AssetClass, Instrument, OptionKind, OptionTerms
from piggy.core.orders import OrderTerms, Side
from tests.core.floor import SECOND_US, START_US, Floor, only

D = Decimal
EXPIRES_US = START_US + 3_600 * SECOND_US
BUY, SELL = Side.BUY, Side.SELL


def option(symbol: str, *, kind: OptionKind = OptionKind.CALL, strike: str = "1.1", **terms: Any) -> Instrument:
    asked = {"underlying": "EURUSD", "kind": kind, "strike": D(strike), "expires_at_us": EXPIRES_US} | terms
    return Instrument(
        symbol=symbol,
        asset_class=AssetClass.OPTION,
        base="EUR",
        quote="USD",
        contract_size=D(100_000),
        price_digits=5,
        tick_size=D("0.00001"),
        option=OptionTerms(**asked),
    )


class Options(Floor):
    """A floor that lists a call C and a put P, both struck at 1.1, for an hour; every fill pays commission."""

    def __init__(self, **group: Any) -> None:
        plain = {"bid_markup_points": 0, "ask_markup_points": 0, "commission_per_lot": D(7)}
        super().__init__(**(plain | group))
        self.do(cmd.ConfigureInstrument(instrument=option("C")))
        self.do(cmd.ConfigureInstrument(instrument=option("P", kind=OptionKind.PUT)))

    def quote_option(self, symbol: str) -> None:
        for venue in ("LP1", "LP2", "LP3"):
            self.quote(venue, "0.02150", "0.02160", "50", symbol=symbol)

    def trade(self, account_id: str, side: Side, lots: str, symbol: str = "C", **terms: Any) -> list[ev.AnyEvent]:
        self.now_us += 2 * SECOND_US
        self.requote()
        self.quote_option(symbol)
        asked = OrderTerms(account_id=account_id, symbol=symbol, side=side, quantity=D(lots), **terms)
        return self.do(cmd.PlaceOrder(terms=asked))

    def pass_on(self, side: Side, lots: str, symbol: str = "C") -> None:
        """a1 deals at venues, which fill at their prices."""
        self.trade("a1", side, lots, symbol)
        for leg in self.children():
            self.fill(leg, "0.02160" if side is BUY else "0.02150")

    def expire(self, shift: str = "0.00345") -> list[ev.AnyEvent]:
        """An hour is over and EURUSD stands at 1.100055 and a shift."""
        self.now_us = EXPIRES_US
        self.quotes(shift)
        return self.act()

    def later(self, shift: str = "", seconds: int = 61) -> list[ev.AnyEvent]:
        self.now_us += seconds * SECOND_US
        if shift:
            self.quotes(shift)
        return self.act()


def settled(events: list[ev.AnyEvent]) -> dict[str, list[ev.OrderFilled]]:
    """Return the fills of the desk's own settlements by account."""
    mine = {event.order_id for event in only(events, ev.OrderAccepted) if event.source == "expiry"}
    found: dict[str, list[ev.OrderFilled]] = {}
    for fill in only(events, ev.OrderFilled):
        assert fill.order_id in mine
        found.setdefault(fill.account_id, []).append(fill)
    return found


def is_flat(floor: Floor, symbol: str = "C") -> bool:
    state, exposure = floor.desk.state, floor.desk.state.exposure[symbol]
    held = (exposure.client_long, exposure.client_short, exposure.venue_net, exposure.positions)
    nets = [net for (_, name), net in state.venue_nets.items() if name == symbol]
    risks = [state.house_risk, *state.account_risks.values(), *state.venue_risks.values()]
    houses = [name for _, name in state.house_positions if name == symbol]
    return not (any(held) or any(nets) or any(symbol in risk.symbols for risk in risks) or houses)
