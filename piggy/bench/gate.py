"""Bench gate: a routed order through the whole desk, decided with every check and applied, among 100,000 positions."""

from __future__ import annotations

import statistics
import time
from decimal import Decimal
from itertools import count

import msgspec

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, BookMode, Group, Venue
from piggy.core.clearance import Permissions
from piggy.core.desk import Desk
from piggy.core.events import AnyEvent, Recorded
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.market import Level, VenueQuote
from piggy.core.orders import OrderTerms, OrderType, Side
from piggy.engine import collector

POSITIONS, POSITIONS_EACH, SYMBOLS, VENUES = 100_000, 3, 10, 20
START_US = 1_700_000_000_000_000
# Far enough apart that no account meets its own rate and duplicate limits.
STEP_US = 20_000
PAUSE_US = 1_000_000
LOTS = Decimal("0.1")
RUNS_MIN = 500
# All that is held here is more than one broker's limits would let be open.
OPEN_MAX = Decimal("1e15")
CLEARED = Permissions.granted()
LIMITS = msgspec.structs.replace(
    HOUSE_LIMITS,
    exposure_account_max=OPEN_MAX,
    exposure_tenant_max=OPEN_MAX,
    exposure_venue_max=OPEN_MAX,
    exposure_firm_max=OPEN_MAX,
)
QUOTES_EVERY = 100


class Ground:
    """A desk with venues and accounts, each with open positions in a few symbols, and its clock."""

    def __init__(self, *, positions: int) -> None:
        self.desk = Desk(tenant="bench")
        self.now_us = START_US
        self.accounts = max(SYMBOLS, -(-positions // POSITIONS_EACH))
        self._seq = count(1)
        self._command = count(1)
        self._configure()
        self.quote()
        self._open()

    def record(self, events: tuple[AnyEvent, ...]) -> None:
        """Apply what a command led to, as the log would hand it back."""
        command_id = f"c{next(self._command)}"
        for position, event in enumerate(events):
            self.desk.apply(
                recorded=Recorded(
                    seq=next(self._seq),
                    command_id=command_id,
                    position=position,
                    principal="bench",
                    request_hash="",
                    occurred_at_us=self.now_us,
                    recorded_at_us=self.now_us,
                    recorded_mono_ns=0,
                    event=event,
                )
            )

    def quote(self) -> None:
        """Every venue quotes every symbol anew, now."""
        for symbol in range(SYMBOLS):
            for venue in range(VENUES):
                bid = Decimal("1.10000") - Decimal(venue) / 100_000
                self.desk.quote(
                    quote=VenueQuote(
                        venue=f"LP{venue:02d}",
                        symbol=f"S{symbol}USD",
                        bids=(Level(bid, Decimal(5)),),
                        asks=(Level(Decimal("2.20010") - bid, Decimal(5)),),
                        venue_at_us=self.now_us,
                        received_at_us=self.now_us,
                    )
                )

    def order(self, *, account: int, symbol: int, group: str = "a") -> cmd.PlaceOrder:
        """Return a market order of one account."""
        return cmd.PlaceOrder(
            terms=OrderTerms(
                account_id=f"{group}{account}",
                symbol=f"S{symbol}USD",
                side=Side.BUY,
                quantity=LOTS,
                type=OrderType.MARKET,
            )
        )

    def _configure(self) -> None:
        review = cmd.SignReview(signed_by="bench", reference="bench", signed_at_us=self.now_us)
        commands: list[cmd.AnyCommand] = [review]
        commands += [cmd.ConfigureInstrument(instrument=_instrument(n)) for n in range(SYMBOLS)]
        commands += [
            cmd.ConfigureGroup(
                group=Group(name=name, book_mode=mode, internal_cross=False, order_notional_max=Decimal(10_000_000))
            )
            for name, mode in (("a", BookMode.A), ("b", BookMode.B))
        ]
        commands += [cmd.ConfigureLimits(group=name, limits=LIMITS) for name in ("a", "b")]
        commands += [cmd.ConfigureVenue(venue=Venue(name=f"LP{number:02d}")) for number in range(VENUES)]
        for number in range(self.accounts):
            account = Account(account_id=f"a{number}", group="a", owner_id=f"o{number}", currency="USD")
            commands.append(cmd.ConfigureAccount(account=account, clearance=CLEARED))
            commands.append(
                cmd.CreditAccount(account_id=f"a{number}", amount=Decimal(1_000_000), reference=f"r{number}")
            )
        model = Account(account_id="b0", group="b", owner_id="b0", currency="USD")
        commands.append(cmd.ConfigureAccount(account=model, clearance=CLEARED))
        commands.append(cmd.CreditAccount(account_id="b0", amount=Decimal(1_000_000), reference="b0"))
        for command in commands:
            self.record(self.desk.decide(command=command, now_us=self.now_us))

    def _open(self) -> None:
        """Decide one fill per symbol and replay it for every account: positions come from events, as in recovery."""
        for symbol in range(SYMBOLS):
            self.now_us += PAUSE_US
            self.quote()
            model = self.desk.decide(command=self.order(account=0, symbol=symbol, group="b"), now_us=self.now_us)
            for number in range(self.accounts):
                if (number + symbol) % SYMBOLS >= POSITIONS_EACH:
                    continue
                self.record(tuple(_for_account(event, number, symbol) for event in model))
        self.now_us += 100 * PAUSE_US


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return median and 99th percentile of decide + apply in microseconds; `scale` multiplies the positions."""
    ground = Ground(positions=max(SYMBOLS, int(POSITIONS * scale)))
    held = len(ground.desk.state.positions)
    with collector.young_only():
        times, events_each = _measured(ground=ground, seconds=seconds)
    return {
        "decide_p50_us": round(statistics.median(times) / 1_000, 1),
        "decide_p99_us": round(statistics.quantiles(times, n=100)[-1] / 1_000, 1),
        "load": {
            "venues": VENUES,
            "symbols": SYMBOLS,
            "positions": held,
            "positions_each": POSITIONS_EACH,
            "orders_per_quote_round": QUOTES_EVERY,
            "collector": f"the engine's: its turn every {collector.FREEZE_S:g} s counts with the order that waits",
            "events_each": events_each,
        },
        "runs": len(times),
    }


def _measured(*, ground: Ground, seconds: float) -> tuple[list[int], int]:
    """Return what each order took in nanoseconds, from its command to its events applied, and its events."""
    collector.set_aside()
    times: list[int] = []
    began_s = aside_s = time.perf_counter()
    while len(times) < RUNS_MIN or time.perf_counter() - began_s < seconds:
        number = len(times)
        ground.now_us += STEP_US
        if number % QUOTES_EVERY == 0:
            ground.quote()
        command = ground.order(account=number % ground.accounts, symbol=number % SYMBOLS)
        began_ns = time.perf_counter_ns()
        if time.perf_counter() - aside_s >= collector.FREEZE_S:
            collector.set_aside()
            aside_s = time.perf_counter()
        events = ground.desk.decide(command=command, now_us=ground.now_us)
        ground.record(events)
        times.append(time.perf_counter_ns() - began_ns)
        _settle(ground, events)
    return times, len(events)


def _settle(ground: Ground, events: tuple[AnyEvent, ...]) -> None:
    """The venue fills the legs, outside of what is timed, so that orders do not pile up."""
    legs = [event for event in events if isinstance(event, ev.ChildOrderCreated)]
    assert legs, f"the order was not routed: {events}"
    for leg in legs:
        fill = cmd.RecordVenueFill(
            venue=leg.venue,
            cl_ord_id=leg.cl_ord_id,
            venue_order_id=leg.cl_ord_id,
            fill_id=leg.cl_ord_id,
            symbol=leg.symbol,
            side=leg.side,
            quantity=leg.quantity,
            price=leg.limit_price,
            occurred_at_us=ground.now_us,
        )
        ground.record(ground.desk.decide(command=fill, now_us=ground.now_us))


def _for_account(event: AnyEvent, number: int, symbol: int) -> AnyEvent:
    account_id, order_id = f"a{number}", f"P{symbol}-{number}"
    if isinstance(event, ev.OrderAccepted):
        terms = msgspec.structs.replace(event.terms, account_id=account_id)
        return msgspec.structs.replace(event, order_id=order_id, terms=terms, group="a")
    assert isinstance(event, ev.OrderFilled), event
    return msgspec.structs.replace(
        event,
        order_id=order_id,
        account_id=account_id,
        fill_id=f"F{order_id}",
        position_id=f"{account_id}:{event.symbol}",
    )


def _instrument(number: int) -> Instrument:
    return Instrument(
        symbol=f"S{number}USD",
        asset_class=AssetClass.FX_MAJOR,
        base=f"S{number}",
        quote="USD",
        contract_size=Decimal(100_000),
        price_digits=5,
        tick_size=Decimal("0.00001"),
        margin_percent=Decimal("3.33"),
    )
