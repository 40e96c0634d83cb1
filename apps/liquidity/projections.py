"""Routing decisions and venues' fills -> what each venue offered, shadows too, and what it then did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from django.db.models import F

from apps.common import bulk
from apps.liquidity.models import RouteQuote
from piggy.core import events as ev
from piggy.core.events import Recorded, RoutingDecision, VenueConsidered
from piggy.core.orders import Side

ZERO = Decimal(0)
TABLES = (RouteQuote,)


def project(*, tenant: str, batch: Sequence[Recorded]) -> Iterator[None]:
    """Fold `batch` (rising seq, inside the caller's transaction) into the tables; repeating changes nothing.

    Stops once, between its last question that others need not wait for and its first write.
    """
    rows: list[Any] = []
    sides = _sides(batch)
    yield
    for recorded in batch:
        event: Any = recorded.event
        if isinstance(event, ev.OrderAccepted):
            rows += _quotes(event.routing, event.order_id, event.terms.symbol, event.terms.side, recorded)
        elif isinstance(event, ev.OrderRerouted) and event.order_id in sides:
            rows += _quotes(event.routing, event.order_id, *sides[event.order_id], recorded)
    bulk.insert(rows=rows, model=RouteQuote, repeatable=True)
    for recorded in batch:
        if isinstance(recorded.event, ev.ChildOrderFilled):
            _filled(recorded.event, recorded.seq)


def _sides(batch: Sequence[Recorded]) -> dict[str, tuple[str, Side]]:
    """Return symbol and side of orders that are routed anew, from this batch or from what was projected before."""
    found: dict[str, tuple[str, Side]] = {}
    for each in batch:
        if isinstance(each.event, ev.OrderAccepted):
            found[each.event.order_id] = (each.event.terms.symbol, each.event.terms.side)
    anew = {each.event.order_id for each in batch if isinstance(each.event, ev.OrderRerouted)} - found.keys()
    for row in RouteQuote.objects.filter(order_id__in=anew).distinct("order_id") if anew else ():
        found[row.order_id] = (row.symbol, Side.BUY if row.sign > 0 else Side.SELL)
    return found


def _quotes(routing: RoutingDecision, order_id: str, symbol: str, side: Side, recorded: Recorded) -> list[Any]:
    best = next((seen for seen in routing.considered if seen.rank == 1), None)
    if best is None or best.price is None or not routing.a_quantity:
        return []
    return [
        bulk.new(
            RouteQuote,
            seq=recorded.seq,
            last_seq=recorded.seq,
            venue=seen.venue,
            order_id=order_id,
            symbol=symbol,
            sign=side.sign,
            asked=seen.rank > 0,
            lots=routing.a_quantity,
            price=seen.price,
            size=seen.size or ZERO,
            cost=seen.cost or ZERO,
            best_price=best.price,
            best_cost=best.cost or ZERO,
            decided_at=recorded.recorded_at_us,
        )
        for seen in routing.considered
        if seen.price is not None and _was_ranked(seen)
    ]


def _was_ranked(seen: VenueConsidered) -> bool:
    """A shadow has a cost and no place; who was passed over has neither."""
    return seen.rank > 0 or seen.cost is not None


def _filled(event: ev.ChildOrderFilled, seq: int) -> None:
    latest = RouteQuote.objects.filter(order_id=event.order_id, venue=event.venue, seq__lt=seq).order_by("-seq")
    RouteQuote.objects.filter(pk__in=latest.values("pk")[:1], last_seq__lt=seq).update(
        filled=F("filled") + event.quantity,
        notional=F("notional") + event.quantity * event.price,
        fills=F("fills") + 1,
        last_seq=seq,
    )
