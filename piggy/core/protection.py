"""What protects the client: negative balance, forbidden incentives, notices of loss, the risk warning. Rules only."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec

from piggy.core.accounts import ClientCategory
from piggy.core.leverage_rules import RuleSet
from piggy.core.money import ZERO

NOTICE_STEP_PERCENT = 10
INCENTIVES = frozenset({"bonus", "gift", "rebate_on_volume"})
# Credit carries margin and bears losses after the client's own money, and is never paid out; a rebate was earned.
CREDIT = frozenset({"bonus", "gift"})
WINDOW_DAYS, REFRESH_DAYS = 365, 92


class RiskWarning(msgspec.Struct, frozen=True, kw_only=True):
    """What a page that sells CFDs must say: the firm's own percent of losing accounts, or the range for new firms."""

    percent: Decimal | None
    text: str


def write_off(*, balance: Decimal, open_positions: int, protected: bool) -> Decimal:
    """Return what the house pays to lift a negative balance to nothing; 0 while positions are open, or unprotected.

    Asked again after the write-off is booked it returns 0, so a crash between the two cannot pay twice.
    """
    if not protected or open_positions or balance >= 0:
        return ZERO
    return -balance


def credit_refusal(*, kind: str, category: ClientCategory, rules: RuleSet) -> str | None:
    """Return INCENTIVE_FORBIDDEN for a bonus to a client whose category may have none, else None."""
    if kind in INCENTIVES and not rules.of(category).incentives_allowed:
        return "INCENTIVE_FORBIDDEN"
    return None


def credit_left(*, credit: Decimal, balance: Decimal) -> Decimal:
    """Return how much of a `balance` is `credit` still; what was lost beyond the client's own money is gone."""
    return max(ZERO, min(credit, balance))


def depreciation_notices(*, initial: Decimal, before: Decimal, after: Decimal) -> tuple[int, ...]:
    """Return the multiples of 10 % of its `initial` value by which a position newly fell (2017/565 Art 62(2))."""
    if initial <= 0:
        return ()
    already = _steps(initial, before)
    return tuple(step * NOTICE_STEP_PERCENT for step in range(already + 1, _steps(initial, after) + 1))


def risk_warning(*, losing: int, accounts: int, measured_at_us: int, now_us: int) -> RiskWarning | None:
    """Return the warning for a page: None when the figures are older than three months and must be refreshed first.

    `losing` of `accounts` lost money in the twelve months before `measured_at_us`; no accounts means a new firm.
    """
    if not accounts:
        return RiskWarning(percent=None, text="74-89% of retail investor accounts lose money when trading CFDs.")
    if now_us - measured_at_us > REFRESH_DAYS * 86_400 * 1_000_000:
        return None
    percent = (Decimal(losing) * 100 / accounts).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return RiskWarning(percent=percent, text=f"{percent}% of retail investor accounts lose money when trading CFDs.")


def _steps(initial: Decimal, value: Decimal) -> int:
    return max(0, int((initial - value) * 100 / initial) // NOTICE_STEP_PERCENT)
