"""What the desk of this world knows before the first order: one symbol, its LPs, a group of each book, accounts."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core import commands as cmd
from piggy.core.accounts import Account, BookMode, Group, PositionMode, Venue
from piggy.core.clearance import Permissions
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.limits import HOUSE_LIMITS
from piggy.simulator.world.lp import SYMBOL, UNITS

LPS = ("LP1", "LP2", "LP3")
CLEARED = Permissions.granted()
MODES = (BookMode.A, BookMode.B, BookMode.MIXED)
ACCOUNTS = tuple(f"{mode.value.lower()}{number}" for mode in MODES for number in (1, 2))
# Every third account is poor, so that margin calls and stop-outs happen.
BALANCES = (Decimal(50_000), Decimal(50_000), Decimal(1_500))
DAY_US = 86_400_000_000
RATE_MAX = 1_000_000
# Of what the house allows all but the rates: here everybody asks as often as he likes.
LIMITS = msgspec.structs.replace(
    HOUSE_LIMITS,
    account_messages_per_s_max=RATE_MAX,
    tenant_messages_per_s_max=RATE_MAX,
    venue_messages_per_s_max=RATE_MAX,
    executions_max=RATE_MAX,
    window_value_max=Decimal(10**12),
    duplicate_window_ms=0,
)


def opening(*, now_us: int) -> list[cmd.AnyCommand]:
    """Return the commands in their order."""
    instrument = Instrument(
        symbol=SYMBOL.symbol,
        asset_class=AssetClass.FX_MAJOR,
        base=SYMBOL.symbol[:3],
        quote=SYMBOL.symbol[3:],
        contract_size=UNITS,
        price_digits=SYMBOL.digits,
        tick_size=Decimal("0.00001"),
        margin_percent=Decimal("3.33"),
    )
    commands: list[cmd.AnyCommand] = [
        cmd.SignReview(signed_by="risk", reference="review", signed_at_us=now_us - DAY_US),
        cmd.ConfigureInstrument(instrument=instrument),
    ]
    commands += [cmd.ConfigureVenue(venue=Venue(name=name, priority=at)) for at, name in enumerate(LPS)]
    for mode in MODES:
        group = Group(name=mode.value.lower(), book_mode=mode, a_book_percent=Decimal(40), ask_markup_points=2)
        group = msgspec.structs.replace(group, order_notional_max=Decimal(10_000_000))
        commands.append(cmd.ConfigureGroup(group=group))
        commands.append(cmd.ConfigureLimits(group=group.name, limits=LIMITS))
    for number, account_id in enumerate(ACCOUNTS):
        mode_of = PositionMode.HEDGING if number % 2 else PositionMode.NETTING
        account = Account(
            account_id=account_id, group=account_id[:-1], owner_id=account_id, currency="USD", position_mode=mode_of
        )
        amount = BALANCES[number % len(BALANCES)]
        commands.append(cmd.ConfigureAccount(account=account, clearance=CLEARED))
        commands.append(cmd.CreditAccount(account_id=account_id, amount=amount, reference=f"gift {account_id}"))
    return commands
