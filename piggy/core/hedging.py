"""Hedging: how much of the house's open risk a policy would cover now. Pure numbers; covering.py acts on them.

Risk past the `threshold` is brought back to the `target`. A hedge that ended short goes on until the risk is within
`band` of the target; apart from that nothing happens between the two, so that small moves cost no spread.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum

import msgspec

from piggy.core.accounts import MS_MAX
from piggy.core.instruments import Instrument
from piggy.core.money import ZERO

NUMBER_MAX = Decimal(10) ** 15  # Beyond it a number means nothing, and exact arithmetic runs out of digits.


class HedgeScope(StrEnum):
    SYMBOL = "symbol"
    CURRENCY = "currency"


class HedgePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When and where the house covers its risk in one symbol (lots) or one currency (units), dealing in `symbol`.

    `venues` () may be any; `venue_lots_max` bounds the net lots of `symbol` at a venue. Queued hedges wait for a dealer
    and are not proposed again within `snooze_ms` of his refusal; after a venue's, `retry_ms` pass.
    """

    key: str
    symbol: str
    threshold: Decimal
    target: Decimal = ZERO
    band: Decimal = ZERO
    scope: HedgeScope = HedgeScope.SYMBOL
    version: int = 1
    enabled: bool = True
    automatic: bool = True
    venues: tuple[str, ...] = ()
    venue_lots_max: dict[str, Decimal] = {}
    hedge_lots_max: Decimal = Decimal(100)
    slippage_bps_max: Decimal = Decimal(20)
    retry_ms: int = 1_000
    snooze_ms: int = 60_000


def hedge_lots(
    *, policy: HedgePolicy, instrument: Instrument, risk: Decimal, per_lot: Decimal, unfinished: bool
) -> Decimal:
    """Return the signed lots to deal (above zero: buy) so that `risk` comes back to the target, never past it.

    `per_lot` is the risk that one bought lot takes away, signed, in the policy's unit.
    """
    if abs(risk) <= (policy.target + policy.band if unfinished else policy.threshold):
        return ZERO
    return lots_to_target(policy=policy, instrument=instrument, risk=risk, per_lot=per_lot)


def lots_to_target(*, policy: HedgePolicy, instrument: Instrument, risk: Decimal, per_lot: Decimal) -> Decimal:
    """Return the signed lots between `risk` and the target, whatever the threshold, on the lot step."""
    if not per_lot:
        return ZERO
    excess = (abs(risk) - policy.target) / abs(per_lot)
    lots = (excess / instrument.lot_step).to_integral_value(rounding=ROUND_FLOOR) * instrument.lot_step
    lots = min(lots, policy.hedge_lots_max)
    if lots < instrument.lot_min:
        return ZERO
    return lots if risk * per_lot > 0 else -lots


def policy_fault(*, policy: HedgePolicy) -> str:
    """Return what is wrong with a policy, '' when nothing is."""
    names = ("target", "band", "threshold", "hedge_lots_max", "slippage_bps_max")
    numbers = [(name, getattr(policy, name)) for name in names]
    numbers += [("venue_lots_max", number) for number in policy.venue_lots_max.values()]
    for name, number in numbers:
        if not (number.is_finite() and 0 <= number <= NUMBER_MAX):
            return f"{name}: {number} is not finite, below zero, or above {NUMBER_MAX}"
    for name in ("retry_ms", "snooze_ms"):
        if not 0 <= getattr(policy, name) <= MS_MAX:
            return f"{name}: from 0 to {MS_MAX} milliseconds"
    if policy.threshold < policy.target + policy.band:
        return f"threshold: at least target and band together, {policy.target + policy.band}"
    if policy.scope is HedgeScope.SYMBOL and policy.key != policy.symbol:
        return "key: a symbol is hedged in itself"
    return ""
