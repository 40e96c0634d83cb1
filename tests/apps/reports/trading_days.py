"""Days of dealing for tests: the real desk under a stream of actions, with what it says at the end of every day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.conversion import Touch, currency_pairs
from piggy.core.funds import position_profit
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms, Side
from piggy.core.profiles import GuaranteedStops, PriceProfile
from piggy.core.rollover import business_date
from piggy.core.swaps import SwapRates
from piggy.messaging import codec
from piggy.messaging.chain import EVENT_VERSION, Row, Tip, event_hash
from tests.core.floor import CLEARED, SECOND_US, Floor, only

USDJPY = Instrument(
    symbol="USDJPY",
    asset_class=AssetClass.FX_MAJOR,
    base="USD",
    quote="JPY",
    contract_size=Decimal(100_000),
    price_digits=3,
    tick_size=Decimal("0.001"),
    margin_percent=Decimal("3.33"),
)
MIDDLES = {"EURUSD": Decimal("1.10005"), "USDJPY": Decimal("151.105")}
ACCOUNTS = ("a1", "b1", "mixed1", "h1", "jpy1")
HOUR_US = 3_600 * SECOND_US


class End(NamedTuple):
    """What the desk itself said when a business date ended."""

    marks: dict[str, Touch]
    balances: dict[str, Decimal]
    floating: dict[tuple[str, str], Decimal]
    lots: dict[tuple[str, str], Decimal]
    seq: int


class Days(Floor):
    """Two symbols, accounts in dollars and yen, netting and hedging; markup, commission, swaps and guaranteed stops."""

    def __init__(self) -> None:
        self.ends: dict[date, End] = {}
        super().__init__(commission_per_lot=Decimal("7.13"))
        self.do(cmd.ConfigureInstrument(instrument=USDJPY))
        self.open_account("h1", group="b", hedging=True)
        account = self.desk.state.accounts["b1"]
        fields = {name: getattr(account, name) for name in account.__struct_fields__}
        self.do(
            cmd.ConfigureAccount(
                account=type(account)(**fields | {"account_id": "jpy1", "currency": "JPY"}), clearance=CLEARED
            )
        )
        self.do(cmd.CreditAccount(account_id="jpy1", amount=Decimal(10_000_000), reference="gift jpy1"))
        for symbol in MIDDLES:
            rates = SwapRates(symbol=symbol, long=Decimal("-3.1"), short=Decimal("1.2"), triple_weekday=2)
            self.do(cmd.ConfigureSwaps(rates=rates))
        offer = GuaranteedStops(premium_points=Decimal("1.3"), distance_points_min=Decimal(5))
        for group in ("a", "b", "mixed"):
            self.do(cmd.ConfigurePricing(group=group, symbol="*", profile=PriceProfile(guaranteed_stops=offer)))
        self.move("EURUSD", 0)
        self.move("USDJPY", 0)
        self.note()

    def move(self, symbol: str, points: int) -> None:
        """Every LP quotes `symbol` so many points from its middle, 12 points wide."""
        point = self.desk.state.instruments[symbol].point
        middle = MIDDLES[symbol] + points * point
        for at, venue in enumerate(("LP1", "LP2", "LP3")):
            self.quote(venue, str(middle - (6 + at) * point), str(middle + (6 + at) * point), "2", symbol)
        self.desk.moment(now_us=self.now_us)

    def deal(self, account: str, symbol: str, side: Side, hundredths: int) -> None:
        """A market order, some with a guaranteed stop; venues fill the A part at once, at their limits."""
        self.now_us += 2 * SECOND_US
        for name in MIDDLES:
            self.again(name)
        held = sorted(self.desk.state.positions_of.get(account, ()))
        close: dict[str, Any] = {"position_id": held[0]} if account == "h1" and held and hundredths % 2 else {}
        if close and self.desk.state.positions[held[0]].symbol != symbol:
            close = {}
        if not close and hundredths % 3 == 0:
            best, point = self.desk.marks[symbol], self.desk.state.instruments[symbol].point
            close = {
                "guaranteed_stop": True,
                "stop_loss": (best.bid if side is Side.BUY else best.ask) - side.sign * 15 * point,
            }
        terms = OrderTerms(account_id=account, symbol=symbol, side=side, quantity=Decimal(hundredths) / 100, **close)
        self.do(cmd.PlaceOrder(terms=terms))
        for leg in self.children():
            self.fill(leg, str(leg.limit_price))

    def again(self, symbol: str) -> None:
        """Say every standing quote of a symbol again, now."""
        for venue in ("LP1", "LP2", "LP3"):
            quote = self.desk.market.quote_of(venue=venue, symbol=symbol)
            assert quote is not None
            self.quote(venue, str(quote.bids[0].price), str(quote.asks[0].price), "2", symbol)

    def restate(self, pick: int, points: int, hundredths: int) -> None:
        """A venue busts one of its fills, or with `points` corrects its price and lots; a late one days after."""
        dealt = only([recorded.event for recorded in self.log], ev.ChildOrderFilled)
        if not dealt:
            return
        fill = dealt[pick % len(dealt)]
        named: dict[str, Any] = {
            "venue": fill.venue, "cl_ord_id": fill.cl_ord_id, "report_id": f"R{len(self.log)}",
            "ref_fill_id": fill.fill_id, "text": "", "occurred_at_us": self.now_us,
        }  # fmt: skip
        if not points:
            self.do(cmd.RecordVenueBust(**named))
            return
        price = fill.price + points * self.desk.state.instruments[fill.symbol].point
        self.do(
            cmd.RecordVenueCorrection(
                symbol=fill.symbol, side=fill.side, quantity=Decimal(hundredths) / 100, price=price, **named
            )
        )

    def pass_time(self, hours: int) -> None:
        """Hours pass, on fresh quotes; nights are charged."""
        self.now_us += hours * HOUR_US
        for symbol in MIDDLES:
            self.again(symbol)
        self.act()

    def note(self) -> None:
        """Keep what the desk says now as the end of its day."""
        state, desk = self.desk.state, self.desk
        pairs = currency_pairs(instruments=state.instruments.values())
        floating: dict[tuple[str, str], Decimal] = {}
        lots: dict[tuple[str, str], Decimal] = {}
        for position in state.positions.values():
            key = (position.account_id, position.symbol)
            worth = position_profit(state=state, position=position, marks=desk.marks, pairs=pairs)
            assert worth is not None
            floating[key] = floating.get(key, ZERO) + worth
            lots[key] = lots.get(key, ZERO) + position.quantity
        day = business_date(at_us=self.log[-1].recorded_at_us)
        self.ends[day] = End(dict(desk.marks), dict(state.balances), floating, lots, self.log[-1].seq)

    def live(self, actions: Iterable[tuple[int, int, int, int]]) -> None:
        """Do one thing after another; each is four numbers, whatever they are."""
        for kind, who, what, much in actions:
            symbol = list(MIDDLES)[what % 2]
            if kind < 5:
                self.deal(ACCOUNTS[who % len(ACCOUNTS)], symbol, list(Side)[what // 2 % 2], much % 300 + 1)
            elif kind == 5:
                self.move(symbol, much % 101 - 50)
            elif kind == 6:
                self.restate(who, what % 5 - 2, much % 200 + 1)
            else:
                self.pass_time(much % 30)
            self.note()


def rows(floor: Floor) -> list[Row]:
    """Return a floor's log as it is stored, hashes and all."""
    tip, made = Tip(), []
    for recorded in floor.log:
        payload, name = codec.encode(recorded.event), type(recorded.event).__name__
        digest = event_hash(
            prev_hash=tip.hash,
            seq=recorded.seq,
            command_id=recorded.command_id,
            position=recorded.position,
            type_name=name,
            version=EVENT_VERSION,
            principal=recorded.principal,
            request_hash=recorded.request_hash,
            occurred_at_us=recorded.occurred_at_us,
            recorded_at_us=recorded.recorded_at_us,
            recorded_mono_ns=recorded.recorded_mono_ns,
            payload=payload,
        )
        made.append(Row(recorded, name, EVENT_VERSION, payload, tip.hash, digest))
        tip = Tip(recorded.seq, digest)
    return made
