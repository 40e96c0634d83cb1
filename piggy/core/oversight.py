"""The people's side of the gate: kill, override, alerts, limit changes, disconnects, reviews (P-25 to P-30)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from piggy.core.gate import Override
from piggy.core.limits import LimitChange
from piggy.core.money import ZERO

OVERRIDE_US_MAX = 30 * 60 * 1_000_000
HUNDRED = Decimal(100)


class KillPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a kill does: orders to cancel now; flattening is a second step that a person asks for."""

    cancel: tuple[str, ...]
    flatten: tuple[str, ...]


class UnableToChangeLimits(Exception):
    """The change lacks a reason, a second person, or an end within the day."""


def kill_plan(
    *, working: Iterable[str], open_positions: Iterable[str], cancel_working: bool = True, flatten: bool = False
) -> KillPlan:
    """P-25: return what to cancel and what to flatten, in a fixed order."""
    return KillPlan(
        cancel=tuple(sorted(working)) if cancel_working else (),
        flatten=tuple(sorted(open_positions)) if flatten else (),
    )


def override_holds(*, override: Override, order_id: str, now_us: int) -> bool:
    """P-26: one order, a reason, a second person, at most 30 minutes, and not yet over."""
    return (
        override.order_id == order_id
        and bool(order_id and override.reason and override.authorised_by)
        and override.authorised_by != override.requested_by
        and override.granted_at_us <= now_us < override.expires_at_us
        and override.expires_at_us - override.granted_at_us <= OVERRIDE_US_MAX
    )


def alert_level(*, value: Decimal, limit: Decimal, levels: tuple[Decimal, ...]) -> Decimal:
    """P-27: return the highest of `levels` (percent) that the use of a limit has reached, 0 below them all."""
    # The level divides, as a limit may be so large that nothing multiplies it.
    reached = [level for level in levels if value > 0 and value * HUNDRED / level >= limit]
    return max(reached, default=ZERO)


def checked_change(*, change: LimitChange, day_ends_at_us: int) -> LimitChange:
    """P-28: return the change, or raise UnableToChangeLimits when it is not in order."""
    if not change.reason:
        raise UnableToChangeLimits("a change of limits needs a reason")
    if not change.approved_by or change.approved_by == change.asked_by:
        raise UnableToChangeLimits("a change of limits needs a second pair of eyes")
    if not change.from_us < change.reverts_at_us <= day_ends_at_us:
        raise UnableToChangeLimits("an intraday change ends by the end of the day")
    return change


def disconnect_due(*, disconnected_at_us: int | None, grace_s: int, now_us: int) -> bool:
    """P-29: whether the working orders of a client who dropped off are to be cancelled now."""
    return disconnected_at_us is not None and now_us - disconnected_at_us >= grace_s * 1_000_000


def review_due_at_us(*, signed_at_us: int, days: int = 365) -> int:
    """P-30: return when the next review must have been signed."""
    return signed_at_us + days * 86_400 * 1_000_000
