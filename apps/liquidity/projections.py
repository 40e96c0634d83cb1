"""Routing decisions and venues' fills -> what each venue offered, shadows too, and what it then did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from apps.common import bulk
from apps.liquidity.models import RouteQuote
from apps.trading import selectors as trading
from piggy.core import events as ev
from piggy.core.correction_events import VenueFillBusted
from piggy.core.events import Recorded, RoutingDecision, VenueConsidered
from piggy.core.orders import Side

ZERO = Decimal(0)
TABLES = (RouteQuote,)


def project(*, tenant: str, batch: Sequence[Recorded]) -> Iterator[None]:
    """Fold `batch` (rising seq, inside the caller's transaction) into the tables; repeating changes nothing."""
    sides, known = _sides(batch), _known(batch)
    yield
    added: list[Any] = []
    changed: dict[int, RouteQuote] = {}
    for recorded in batch:
        event: Any = recorded.event
        if isinstance(event, ev.ChildOrderFilled | VenueFillBusted):
            row = _dealt(known[event.order_id, event.venue], event, recorded.seq)
            if isinstance(row, RouteQuote):
                changed[row.pk] = row
            continue
        for row in _offered(event, sides, recorded):
            same = known[row.order_id, row.venue]
            if all(each.seq != row.seq for each in same):
                same.append(row)
                added.append(row)
    bulk.insert(rows=added, model=RouteQuote, repeatable=True)
    bulk.update(rows=list(changed.values()), names=("last_seq", "filled", "notional", "fills"))


def _known(batch: Sequence[Recorded]) -> dict[tuple[str, str], list[Any]]:
    """Return the rows that fills and busts of this batch may belong to, by order and venue, oldest first."""
    fills = [each.event for each in batch if isinstance(each.event, ev.ChildOrderFilled | VenueFillBusted)]
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    if fills:
        orders, venues = {fill.order_id for fill in fills}, {fill.venue for fill in fills}
        for row in RouteQuote.objects.filter(order_id__any_of=orders, venue__any_of=venues).order_by("seq"):
            found[row.order_id, row.venue].append(row)
    return found


def _offered(event: Any, sides: dict[str, tuple[str, Side]], recorded: Recorded) -> list[Any]:
    if isinstance(event, ev.OrderAccepted):
        return _quotes(event.routing, event.order_id, event.terms.symbol, event.terms.side, recorded)
    if isinstance(event, ev.OrderRerouted) and event.order_id in sides:
        return _quotes(event.routing, event.order_id, *sides[event.order_id], recorded)
    return []


def _sides(batch: Sequence[Recorded]) -> dict[str, tuple[str, Side]]:
    """Return symbol and side of orders that are routed anew, from this batch or from what was projected before."""
    found: dict[str, tuple[str, Side]] = {}
    for each in batch:
        if isinstance(each.event, ev.OrderAccepted):
            found[each.event.order_id] = (each.event.terms.symbol, each.event.terms.side)
    anew = {each.event.order_id for each in batch if isinstance(each.event, ev.OrderRerouted)} - found.keys()
    for row in RouteQuote.objects.filter(order_id__in=anew).distinct("order_id") if anew else ():
        found[row.order_id] = (row.symbol, Side.BUY if row.sign > 0 else Side.SELL)
    # No venue was asked for one that rested here first: of it these rows tell nothing yet.
    rested = anew - found.keys()
    for order_id, (symbol, side) in trading.sides_of(order_ids=rested).items() if rested else ():
        found[order_id] = (symbol, Side(side))
    return found


def _quotes(routing: RoutingDecision, order_id: str, symbol: str, side: Side, recorded: Recorded) -> list[Any]:
    if not routing.a_quantity:
        return []
    considered = routing.considered
    best = next((seen for seen in considered if seen.rank == 1), None)
    if best is None or best.price is None:
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
        for seen in considered
        if seen.price is not None and _was_ranked(seen)
    ]


def _was_ranked(seen: VenueConsidered) -> bool:
    """A shadow has a cost and no place; who was passed over has neither."""
    return seen.rank > 0 or seen.cost is not None


def _dealt(rows: list[Any], event: ev.ChildOrderFilled | VenueFillBusted, seq: int) -> Any:
    """Count a fill in the latest row before it, or a bust in its fill's, and return that; None where it is in it."""
    is_bust = isinstance(event, VenueFillBusted)
    row = next((row for row in reversed(rows) if row.seq < (event.supersedes if is_bust else seq)), None)
    if row is None or row.last_seq >= seq:
        return None
    sign = -1 if is_bust else 1
    row.filled += sign * event.quantity
    row.notional += sign * event.quantity * event.price
    row.fills += sign
    row.last_seq = seq
    return row
