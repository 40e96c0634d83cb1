"""What a bench's desk knows before the first order: instruments, three venues, a B-book group, accounts, strategies."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, BookMode, Group, Strategy, Venue
from piggy.core.clearance import Permissions
from piggy.core.commands import Envelope
from piggy.core.desk import Desk
from piggy.core.events import AnyEvent, Recorded
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.market import Level, VenueQuote, VenueState, VenueStatus
from piggy.core.orders import OrderTerms, Side
from piggy.messaging.client import Client
from piggy.messaging.identity import command_id_of

GROUP = "bench"
SYMBOLS = ("EURUSD", "GBPUSD", "AUDUSD", "NZDUSD")
HOUR_US = 3_600_000_000
CLEARED = Permissions.granted()
VENUES = ("LP1", "LP2", "LP3")
# Rates guard a real desk against a mad client; here the client is meant to be mad.
RATE_MAX = 100_000_000
LIMITS = msgspec.structs.replace(
    HOUSE_LIMITS,
    account_messages_per_s_max=RATE_MAX,
    tenant_messages_per_s_max=RATE_MAX,
    venue_messages_per_s_max=RATE_MAX,
    executions_max=RATE_MAX,
    window_value_max=Decimal("1e15"),
    duplicate_window_ms=0,
    exposure_account_max=Decimal("1e15"),
    exposure_tenant_max=Decimal("1e15"),
    exposure_venue_max=Decimal("1e15"),
    exposure_firm_max=Decimal("1e15"),
)


def opening(*, accounts: int, mode: BookMode = BookMode.B, symbols: Sequence[str] = SYMBOLS) -> list[cmd.AnyCommand]:
    """Return the commands; account `c7` is traded by strategy `s7`."""
    commands: list[cmd.AnyCommand] = [
        cmd.SignReview(signed_by="bench", reference="bench", signed_at_us=time.time_ns() // 1_000 - HOUR_US)
    ]
    commands += [cmd.ConfigureInstrument(instrument=_instrument(symbol)) for symbol in symbols]
    commands += [cmd.ConfigureVenue(venue=Venue(name=name)) for name in VENUES]
    commands.append(
        cmd.ConfigureGroup(
            group=Group(name=GROUP, book_mode=mode, internal_cross=False, order_notional_max=Decimal(10_000_000))
        )
    )
    commands.append(cmd.ConfigureLimits(group=GROUP, limits=LIMITS))
    for number in range(accounts):
        account = Account(account_id=f"c{number}", group=GROUP, owner_id=f"o{number}", currency="USD")
        commands.append(cmd.ConfigureAccount(account=account, clearance=CLEARED))
        commands.append(cmd.ConfigureStrategy(strategy=Strategy(strategy_id=f"s{number}", account_id=f"c{number}")))
        commands.append(cmd.CreditAccount(account_id=f"c{number}", amount=Decimal(10_000_000), reference=f"r{number}"))
    return commands


class UnableToOpenDesk(Exception):
    """The engine did not take the opening commands."""


def open_desk(*, client: Client, tenant: str, commands: Sequence[cmd.AnyCommand], wait_s: float) -> None:
    """Tell a running engine the `opening` and wait for the last of it. Raises UnableToOpenDesk after `wait_s`."""
    for number, command in enumerate(commands):
        envelope = Envelope(command_id=command_id_of("bench", tenant, str(number)), command=command, principal="bench")
        if number < len(commands) - 1:
            client.tell(tenant=tenant, envelope=envelope)
        elif client.ask(tenant=tenant, envelope=envelope, wait_s=wait_s) is None:
            raise UnableToOpenDesk("The engine did not take the opening commands.")


def market(*, now_us: int, symbols: Sequence[str] = SYMBOLS) -> list[VenueQuote | VenueStatus]:
    """Return every venue's state and quotes of this moment."""
    found: list[VenueQuote | VenueStatus] = [
        VenueStatus(venue=venue, state=VenueState.READY, text="bench", at_us=now_us) for venue in VENUES
    ]
    for number, venue in enumerate(VENUES):
        for symbol in symbols:
            bid = Decimal("1.10000") - Decimal(number) / 100_000
            found.append(
                VenueQuote(
                    venue=venue,
                    symbol=symbol,
                    bids=(Level(bid, Decimal(50)),),
                    asks=(Level(Decimal("2.20010") - bid, Decimal(50)),),
                    venue_at_us=now_us,
                    received_at_us=now_us,
                )
            )
    return found


def log_of_orders(*, accounts: int) -> Iterator[Recorded]:
    """Yield for ever what a desk records: its opening, then market orders, each accepted and filled, to and fro.

    The desk decides one order of each kind; the others are those of other accounts, as deciding is not the bench.
    """
    desk, now_us, seq = Desk(tenant="bench"), time.time_ns() // 1_000, 0
    for number, command in enumerate(opening(accounts=accounts)):
        command_id = command_id_of("bench", "opening", str(number))
        for position, event in enumerate(desk.decide(command=command, now_us=now_us)):
            seq += 1
            recorded = _recorded(event, seq, command_id, position, now_us)
            desk.apply(recorded=recorded)
            yield recorded
    for each in market(now_us=now_us):
        desk.quote(quote=each) if isinstance(each, VenueQuote) else desk.status(status=each)
    models = []
    for side in (Side.BUY, Side.SELL):
        terms = OrderTerms(account_id="c0", symbol=SYMBOLS[0], side=side, quantity=Decimal("0.10"))
        events = desk.decide(command=cmd.PlaceOrder(terms=terms, source="signal:s0"), now_us=now_us)
        assert [type(event) for event in events] == [ev.OrderAccepted, ev.OrderFilled], events
        models.append(events)
    number = 0
    while True:
        command_id = command_id_of("bench", "order", str(number))
        for position, event in enumerate(models[number // accounts % 2]):
            seq += 1
            yield _recorded(_of(event, number, accounts), seq, command_id, position, now_us + seq)
        number += 1


def _of(event: AnyEvent, number: int, accounts: int) -> AnyEvent:
    """Return the same event of the order `number`; accounts take turns, and the sides with them."""
    account_id, order_id = f"c{number % accounts}", f"B{number:09d}"
    if isinstance(event, ev.OrderAccepted):
        return msgspec.structs.replace(
            event, order_id=order_id, terms=msgspec.structs.replace(event.terms, account_id=account_id)
        )
    assert isinstance(event, ev.OrderFilled), event
    return msgspec.structs.replace(
        event,
        order_id=order_id,
        account_id=account_id,
        fill_id=f"{order_id}-1",
        position_id=f"{account_id}:{event.symbol}",
    )


def _recorded(event: AnyEvent, seq: int, command_id: str, position: int, at_us: int) -> Recorded:
    return Recorded(
        seq=seq,
        command_id=command_id,
        position=position,
        principal="strategy:s0",
        request_hash="0" * 64,
        occurred_at_us=at_us,
        recorded_at_us=at_us,
        recorded_mono_ns=at_us * 1_000,
        event=event,
    )


def _instrument(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        asset_class=AssetClass.FX_MAJOR,
        base=symbol[:3],
        quote=symbol[3:],
        contract_size=Decimal(100_000),
        price_digits=5,
        tick_size=Decimal("0.00001"),
        margin_percent=Decimal("3.33"),
    )
