"""The people's side of the gate: kill, override, alerts, limit changes, disconnects, reviews (P-25 to P-30)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from piggy.core.gate import Override
from piggy.core.limits import Limits

OVERRIDE_US_MAX = 30 * 60 * 1_000_000
ALERT_PERCENTS = (Decimal(50), Decimal(80), Decimal(100))


class KillPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a kill does: orders to cancel now; flattening is a second step that a person asks for."""

    cancel: tuple[str, ...]
    flatten: tuple[str, ...]


class LimitChange(msgspec.Struct, frozen=True, kw_only=True):
    """P-28: an intraday change of limits; it falls back to `before` at `reverts_at_us`, the end of the day."""

    before: Limits
    after: Limits
    reason: str
    asked_by: str
    approved_by: str
    from_us: int
    reverts_at_us: int


class UnableToChangeLimits(Exception):
    """The change lacks a reason, a second person, or an end."""


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


def alerts_reached(
    *, before: Decimal, after: Decimal, limit: Decimal, levels: tuple[Decimal, ...] = ALERT_PERCENTS
) -> tuple[Decimal, ...]:
    """P-27: return the alert levels (percent of `limit`) that the use of a limit crossed on its way up."""
    return tuple(level for level in levels if before * 100 < limit * level <= after * 100)


def change_limits(*, change: LimitChange) -> Limits:
    """P-28: return the new limits, or raise UnableToChangeLimits when the change is not in order."""
    if not change.reason:
        raise UnableToChangeLimits("A change of limits needs a reason.")
    if not change.approved_by or change.approved_by == change.asked_by:
        raise UnableToChangeLimits("A change of limits needs a second pair of eyes.")
    if change.reverts_at_us <= change.from_us:
        raise UnableToChangeLimits("An intraday change must end.")
    return change.after


def limits_at(*, change: LimitChange, now_us: int) -> Limits:
    """P-28: return which limits hold: the change reverts by itself."""
    return change.after if change.from_us <= now_us < change.reverts_at_us else change.before


def disconnect_due(*, disconnected_at_us: int | None, grace_s: int, now_us: int) -> bool:
    """P-29: whether the working orders of a client who dropped off are to be cancelled now."""
    return disconnected_at_us is not None and now_us - disconnected_at_us >= grace_s * 1_000_000


def review_due_at_us(*, signed_at_us: int | None, signed_by: str, days: int = 365) -> int | None:
    """P-30: return until when a signed review holds; None when there is none, which blocks go-live."""
    if signed_at_us is None or not signed_by:
        return None
    return signed_at_us + days * 86_400 * 1_000_000
