"""Orders on their way to an LP: a row is committed before its order leaves, so that none is ever sent twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db import connection

from apps.liquidity.models import VenueOrder, VenueReport
from apps.liquidity.services.sessions import unhurried
from piggy.adapters import tracking
from piggy.adapters.interface import ReportKind
from piggy.core.events import ChildOrderCreated

# One statement that commits by itself: whoever gets a row back made it.
CLAIM = """
insert into liquidity_venueorder
  (venue, cl_ord_id, client_id, order_id, symbol, side, quantity, limit_price, time_in_force, state, filled, doubts,
   created_at, updated_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 0, now(), now())
on conflict (venue, cl_ord_id) do nothing returning id
"""


def claim_order(*, child: ChildOrderCreated, client_id: str) -> tuple[VenueOrder, bool]:
    """Return the order's row and whether it is new; only who made it may send it. Committed on return.

    `client_id` is what the LP will know the order by.
    """
    row = VenueOrder(
        venue=child.venue,
        cl_ord_id=child.cl_ord_id,
        client_id=client_id,
        order_id=child.order_id,
        symbol=child.symbol,
        side=child.side,
        quantity=child.quantity,
        limit_price=child.limit_price,
        time_in_force=child.time_in_force,
    )
    terms: list[Any] = [row.symbol, str(row.side), row.quantity, row.limit_price, row.time_in_force, row.state]
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [row.venue, row.cl_ord_id, row.client_id, row.order_id, *terms])
        made = cursor.fetchone()
    if made is None:
        return VenueOrder.objects.get(venue=child.venue, cl_ord_id=child.cl_ord_id), False
    row.pk = made[0]
    return row, True


def mark_sent(*, venue: str, cl_ord_ids: Sequence[str]) -> None:
    """Note that the orders left, except those whose report was quicker. Where it is lost the LP is asked."""
    waiting = VenueOrder.objects.filter(venue=venue, cl_ord_id__in=cl_ord_ids, state=VenueOrder.State.PERSISTED)
    with unhurried():
        waiting.update(state=VenueOrder.State.SENT)


def claim_cancel(*, venue: str, cl_ord_id: str) -> int | None:
    """Return how often the LP refused to cancel the order, where it may be asked now; None while it is being asked.

    Committed before the request leaves, so that an LP is not asked twice at once and refuses the second.
    """
    refusals = VenueReport.objects.filter(cl_ord_id=cl_ord_id, venue=venue, kind=ReportKind.UNCANCEL).count()
    _, is_new = VenueReport.objects.get_or_create(
        venue=venue, key=_cancel_key(cl_ord_id, refusals), defaults={"kind": "cancel", "cl_ord_id": cl_ord_id}
    )
    return refusals if is_new else None


def unclaim_cancel(*, venue: str, cl_ord_id: str, attempt: int) -> None:
    """Note that the request did not leave."""
    VenueReport.objects.filter(venue=venue, key=_cancel_key(cl_ord_id, attempt)).delete()


def forget_unanswered_cancels(*, venue: str) -> None:
    """Let every open order's end be asked for anew: what left on another session, or just before the worker died, may
    have come nowhere. The id is the same, so that an LP that has it after all sees one request and not two.
    """
    open_ = VenueOrder.objects.filter(venue=venue, state__in=tracking.OPEN).values_list("cl_ord_id", flat=True)
    said = VenueReport.objects.filter(venue=venue, cl_ord_id__in=list(open_))
    refusals = Counter(said.filter(kind=ReportKind.UNCANCEL).values_list("cl_ord_id", flat=True))
    claims = said.filter(kind="cancel").values_list("pk", "key", "cl_ord_id")
    lost = [pk for pk, key, cl_ord_id in claims if key == _cancel_key(cl_ord_id, refusals[cl_ord_id])]
    VenueReport.objects.filter(pk__in=lost).delete()


def _cancel_key(cl_ord_id: str, attempt: int) -> str:
    return f"cancel:{cl_ord_id}:{attempt}"
