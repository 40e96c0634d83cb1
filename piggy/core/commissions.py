"""Commissions: what an order pays for dealing, per lot, per million, in basis points or once, tiered by turnover.

Tiers are marginal: each part of a fill pays the rate of the turnover it falls in, so that cutting an order into pieces
neither saves nor costs anything. Minimum and rounding count once per order, for the same reason.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from itertools import pairwise

import msgspec

from piggy.core.money import ZERO, round_money

ACCRUAL_STEP = Decimal("1E-12")
MILLION = Decimal(1_000_000)
BPS = Decimal(10_000)
ONE = Decimal(1)


class CommissionBasis(StrEnum):
    """What a rate is multiplied with; FIXED is once per order."""

    PER_LOT = "per_lot"
    PER_MILLION = "per_million"
    BPS = "bps"
    FIXED = "fixed"


# Beyond these a charge means nothing, and exact arithmetic runs out of digits; bps are of all that is dealt.
RATE_MAX = {basis: BPS if basis is CommissionBasis.BPS else MILLION for basis in CommissionBasis}
TURNOVER_MAX = Decimal(1_000_000_000_000_000)


class Charged(StrEnum):
    """Which lots pay: those that open a position, those that close one, or both."""

    OPEN = "open"
    CLOSE = "close"
    BOTH = "both"


class TurnoverTier(msgspec.Struct, frozen=True, kw_only=True):
    """The rate from `from_turnover` of the account's turnover in the calendar month (UTC), in its currency."""

    from_turnover: Decimal
    rate: Decimal


class Commission(msgspec.Struct, frozen=True, kw_only=True):
    """A commission plan in the account's currency; `tiers`, rising, replace `rate` from their turnover on."""

    basis: CommissionBasis = CommissionBasis.PER_LOT
    rate: Decimal = ZERO
    tiers: tuple[TurnoverTier, ...] = ()
    minimum: Decimal | None = None
    charged: Charged = Charged.BOTH


class Charge(msgspec.Struct, frozen=True, gc=False):
    """What a fill adds: `accrued` exactly, and `due` now, at the currency's minor unit."""

    accrued: Decimal
    due: Decimal


def charge(
    *,
    plan: Commission,
    lots: Decimal,
    notional: Decimal,
    turnover: Decimal,
    accrued: Decimal,
    charged: Decimal,
    currency: str,
) -> Charge:
    """Return what a fill pays for `lots` chargeable lots worth `notional`, after the account's `turnover`.

    `accrued` and `charged` are what the order's earlier fills came to, exactly and as booked.
    """
    if lots <= 0:
        return Charge(ZERO, ZERO)
    if plan.basis is CommissionBasis.FIXED:
        fresh = ZERO if accrued else _rate_at(plan=plan, turnover=turnover)
    else:
        units = {CommissionBasis.PER_LOT: lots, CommissionBasis.PER_MILLION: notional / MILLION}
        fresh = units.get(plan.basis, notional / BPS) * _average_rate(plan=plan, start=turnover, amount=notional)
        # The mean rate is a division; its last digit would decide a tie at the minor unit, so it is cut off.
        fresh = fresh.quantize(ACCRUAL_STEP, rounding=ROUND_HALF_EVEN)
    owed = accrued + fresh
    if plan.minimum is not None:
        owed = max(owed, plan.minimum)
    return Charge(fresh, round_money(amount=owed, currency=currency) - charged)


def given_back(*, plan: Commission, before: Charge, gone: Charge, stands: bool, currency: str) -> Decimal:
    """Return what goes back of what an order was charged `before` once the fill that added `gone` is taken back.

    Where other fills stand (`stands`) they owe what they would have alone: what is fixed, and at least the minimum.
    """
    if not stands:
        return before.due
    if not before.accrued:
        return gone.due  # Of a rate of nothing, or of before accruals were kept.
    left = before.accrued - gone.accrued
    if not left:  # What stands is of the kind that pays nothing, but a fixed charge is the whole order's.
        return ZERO if plan.basis is CommissionBasis.FIXED else before.due
    return max(ZERO, before.due - round_money(amount=max(left, plan.minimum or ZERO), currency=currency))


def chargeable(*, plan: Commission, opened: Decimal, closed: Decimal) -> Decimal:
    """Return the lots of a fill that pay."""
    if plan.charged is Charged.BOTH:
        return opened + closed
    return opened if plan.charged is Charged.OPEN else closed


def commission_fault(*, plan: Commission) -> str:
    """Return what is wrong with a plan, '' when nothing is."""
    rates = [plan.rate, *(tier.rate for tier in plan.tiers)]
    starts = [tier.from_turnover for tier in plan.tiers]
    if not all(number.is_finite() for number in (*rates, *starts, plan.minimum or ZERO)):
        return "a commission needs finite numbers"
    most = RATE_MAX[plan.basis]
    if not all(0 <= rate <= most for rate in rates):
        return f"a commission {plan.basis.value} is from 0 to {most}"
    if plan.minimum is not None and not 0 <= plan.minimum <= MILLION:
        return f"the minimum of a commission is from 0 to {MILLION}"
    if starts != sorted(set(starts)) or not all(0 <= start <= TURNOVER_MAX for start in starts):
        return f"commission tiers must rise, from 0 to {TURNOVER_MAX}"
    if plan.basis is CommissionBasis.FIXED and 0 < sum(rate > 0 for rate in rates) < len(rates):
        # Whether an order has paid is told by what it paid: one that pays nothing first would pay later.
        return "a fixed commission is nothing at every turnover, or at none"
    return ""


def _rate_at(*, plan: Commission, turnover: Decimal) -> Decimal:
    reached = [tier.rate for tier in plan.tiers if tier.from_turnover <= turnover]
    return reached[-1] if reached else plan.rate


def _average_rate(*, plan: Commission, start: Decimal, amount: Decimal) -> Decimal:
    """Return the mean rate over the turnover from `start` to `start + amount`, each part at its own tier's."""
    if not plan.tiers or amount <= 0:
        return _rate_at(plan=plan, turnover=start)
    end, total = start + amount, ZERO
    edges = [start, *(tier.from_turnover for tier in plan.tiers if start < tier.from_turnover < end), end]
    for low, high in pairwise(edges):
        total += (high - low) * _rate_at(plan=plan, turnover=low)
    return total / amount
