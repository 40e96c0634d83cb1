"""A busy day of the world: two symbols, accounts in three currencies, dealers, hedging, prices and swaps of a broker.

It begins seconds before the rollover of a Wednesday, whose night counts three times.
"""

from __future__ import annotations

from decimal import Decimal

from piggy.core import commands as cmd
from piggy.core.accounts import Account, BookMode, Group, PositionMode, StopOutMode, Venue
from piggy.core.auctions import AuctionRules
from piggy.core.commissions import Charged, Commission, CommissionBasis, TurnoverTier
from piggy.core.hedging import HedgePolicy
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.margin import MarginSettings, MarginTier
from piggy.core.profiles import ANY_SYMBOL, GuaranteedStops, MarkupBand, MarkupUnit, PriceProfile
from piggy.core.routing_rules import Conditions, CostModel, DealerWait, RoutingPolicy, RoutingRule
from piggy.core.swaps import SwapRates, SwapUnit
from piggy.simulator.config import SymbolConfig
from piggy.simulator.world.lp import SYMBOL, UNITS
from piggy.simulator.world.opening import CLEARED, DAY_US, LIMITS, LPS

# 2026-01-07 21:59:45 UTC: the rollover is at 22:00.
START_US = 1_767_823_185_000_000
YEN = SymbolConfig(symbol="USDJPY", mid=Decimal("150.000"), digits=3, spread_points=12, units_per_lot=UNITS)
SYMBOLS = (SYMBOL, YEN)
GROUPS = ("a", "b", "mixed", "dealt")
_MODES = {"a": BookMode.A, "b": BookMode.B, "mixed": BookMode.MIXED, "dealt": BookMode.MIXED}
_CURRENCIES = ("USD", "EUR", "JPY")
# In US dollars; every fourth account is poor, so that margin calls and stop-outs happen.
_BALANCES = (Decimal(60_000), Decimal(40_000), Decimal(90_000), Decimal(2_500))
_RATES = {"USD": Decimal(1), "EUR": Decimal(1), "JPY": Decimal(150)}
DEALER_S = 2


def accounts() -> list[Account]:
    """Three of each group; every second is hedging, every fifth belongs to the owner of the one before."""
    made: list[Account] = []
    for number in range(3 * len(GROUPS)):
        owner = number - 1 if number % 5 == 4 else number
        made.append(
            Account(
                account_id=f"{GROUPS[number // 3]}{number % 3}",
                group=GROUPS[number // 3],
                owner_id=f"o{owner}",
                currency=_CURRENCIES[number % 3],
                position_mode=PositionMode.HEDGING if number % 2 else PositionMode.NETTING,
            )
        )
    return made


def opening(*, now_us: int) -> list[cmd.AnyCommand]:
    """Return the commands in their order."""
    commands: list[cmd.AnyCommand] = [
        cmd.SignReview(signed_by="risk", reference="review", signed_at_us=now_us - DAY_US),
        *(cmd.ConfigureInstrument(instrument=_instrument(each)) for each in SYMBOLS),
        *(cmd.ConfigureVenue(venue=Venue(name=name, priority=at)) for at, name in enumerate(LPS)),
    ]
    for at, name in enumerate(GROUPS):
        group = Group(
            name=name,
            book_mode=_MODES[name],
            a_book_percent=Decimal(40),
            internal_cross=name != "a",
            order_notional_max=Decimal(10**9),
            stop_out_mode=StopOutMode.FAIR if at % 2 else StopOutMode.SMART,
            commission_per_lot=Decimal(at),
        )
        commands += [cmd.ConfigureGroup(group=group), cmd.ConfigureLimits(group=name, limits=LIMITS)]
        commands.append(cmd.ConfigurePricing(group=name, symbol=ANY_SYMBOL, profile=_profile(at)))
    tiers = (MarginTier(above=Decimal(0), percent=Decimal(2)), MarginTier(above=Decimal(500_000), percent=Decimal(5)))
    in_bands = MarginSettings(hedged_ratio=Decimal(0), tiers=tiers)
    commands += [
        cmd.ConfigureMargin(group="b", symbol=ANY_SYMBOL, settings=in_bands),
        cmd.ConfigureMargin(group="mixed", symbol=ANY_SYMBOL, settings=MarginSettings(hedged_ratio=Decimal(1))),
        cmd.ConfigureRouting(policy=_routing()),
        cmd.ConfigureHedging(policy=HedgePolicy(key="EURUSD", symbol="EURUSD", threshold=Decimal(4), band=Decimal(1))),
        cmd.ConfigureHedging(
            policy=HedgePolicy(key="USDJPY", symbol="USDJPY", threshold=Decimal(6), automatic=False, snooze_ms=2_000)
        ),
        cmd.ConfigureSwaps(rates=SwapRates(symbol="EURUSD", long=Decimal("-7.3"), short=Decimal("2.1"))),
        cmd.ConfigureSwaps(
            rates=SwapRates(symbol="USDJPY", long=Decimal("1.5"), short=Decimal(-4), unit=SwapUnit.PERCENT)
        ),
        *(cmd.ConfigureAuctions(rules=AuctionRules(symbol=each.symbol, call_s=2)) for each in SYMBOLS),
    ]
    for number, account in enumerate(accounts()):
        amount = _BALANCES[number % len(_BALANCES)] * _RATES[account.currency]
        commands.append(cmd.ConfigureAccount(account=account, clearance=CLEARED))
        commands.append(
            cmd.CreditAccount(account_id=account.account_id, amount=amount, reference=f"gift {account.account_id}")
        )
    return commands


def _instrument(symbol: SymbolConfig) -> Instrument:
    return Instrument(
        symbol=symbol.symbol,
        asset_class=AssetClass.FX_MAJOR,
        base=symbol.symbol[:3],
        quote=symbol.symbol[3:],
        contract_size=UNITS,
        price_digits=symbol.digits,
        tick_size=Decimal(1).scaleb(-symbol.digits),
        margin_percent=Decimal("3.33"),
    )


def _profile(number: int) -> PriceProfile:
    plans = (
        Commission(basis=CommissionBasis.PER_LOT, rate=Decimal("3.5"), minimum=Decimal(1)),
        Commission(basis=CommissionBasis.PER_MILLION, rate=Decimal(30), charged=Charged.OPEN),
        Commission(
            basis=CommissionBasis.BPS,
            rate=Decimal("0.4"),
            tiers=(TurnoverTier(from_turnover=Decimal(1_000_000), rate=Decimal("0.2")),),
        ),
        Commission(basis=CommissionBasis.FIXED, rate=Decimal(2)),
    )
    bands = (
        MarkupBand(bid=Decimal(1), ask=Decimal(number)),
        MarkupBand(bid=Decimal("-0.5"), ask=Decimal("0.5"), from_lots=Decimal(2), unit=MarkupUnit.BPS),
    )
    guaranteed = GuaranteedStops(premium_points=Decimal(5), distance_points_min=Decimal(10))
    return PriceProfile(bands=bands, commission=plans[number], guaranteed_stops=guaranteed)


def _routing() -> RoutingPolicy:
    large = Conditions(groups=("b", "mixed"), lots_min=Decimal(5))
    rules = (
        RoutingRule(name="large to the street", priority=1, book_mode=BookMode.A, conditions=large),
        RoutingRule(
            name="asks a dealer",
            priority=2,
            book_mode=BookMode.MIXED,
            a_book_percent=Decimal(50),
            conditions=Conditions(groups=("dealt",)),
            dealer=DealerWait(timeout_s=DEALER_S, passes_on=True),
        ),
        RoutingRule(
            name="kept within bounds",
            priority=3,
            book_mode=BookMode.B,
            conditions=Conditions(groups=("b",)),
            b_net_max_lots=Decimal(6),
        ),
    )
    costs = CostModel(fee=Decimal(1), reject_bps=Decimal(5), unfilled_bps=Decimal(2), markout=Decimal(1))
    return RoutingPolicy(version=1, rules=rules, cost_model=costs)
