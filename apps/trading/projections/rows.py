"""The rows of orders, legs, fills and positions that one batch of events touches: loaded, changed, written once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from apps.common import bulk
from apps.trading.models import ChildOrder, Fill, Order, Position
from piggy.core import events as ev
from piggy.core.correction_events import OrderFillBusted
from piggy.core.events import Recorded
from piggy.core.positions import netted_id

ORDER = ("last_seq", "quantity", "limit_price", "stop_price", "state", "filled", "notional", "average_price")
# What only a change of it changes, and few changes do.
TERMS = ("time_in_force", "expires_at", "trailing_distance", "take_profit", "stop_loss", "guaranteed_stop")
POSITION = ("last_seq", "quantity", "cost", "a_lots", "cross_lots", "b_lots", "realised", "margin", "opened_at")
ROUTED = ("routed_seq", "best_venue", "best_price")
UPDATES: dict[type, tuple[str, ...]] = {
    Order: (*ORDER, "mode", *ROUTED, "text", "requote_price", "requote_until", "updated_at"),
    ChildOrder: ("last_seq", "state", "filled", "notional", "venue_order_id", "code", "text", "updated_at"),
    Position: (*POSITION, "updated_at"),
}
Holding = tuple[str, str]
Bound = ev.OrderFilled | OrderFillBusted | ev.SymbolMarginChanged


@dataclass(slots=True)
class Rows:
    """The rows that one batch touches, by primary key, and which of them changed.

    `bound` is what the whole holding of an account in a symbol binds, as the last event of the batch says; `amended`
    are orders of which more than quantity and prices changed.
    """

    orders: dict[str, Order]
    children: dict[str, ChildOrder]
    positions: dict[str, Position]
    fills: dict[int, SimpleNamespace] = field(default_factory=dict)
    changed: dict[int, Order | ChildOrder | Position] = field(default_factory=dict)
    added: dict[type, dict[int, Any]] = field(default_factory=lambda: {kind: {} for kind in UPDATES})
    bound: dict[Holding, tuple[Decimal, Recorded]] = field(default_factory=dict)
    amended: dict[str, Order] = field(default_factory=dict)

    def touch(self, row: Any, recorded: Recorded) -> bool:
        """Note that `recorded` changes `row`; False where it is unknown or the event is already in it."""
        if row is None or row.last_seq >= recorded.seq:
            return False
        row.last_seq, row.updated_at = recorded.seq, recorded.recorded_at_us
        self.changed[id(row)] = row
        return True

    def order(self, order_id: str, recorded: Recorded) -> Order | None:
        """Return the order's row to change, None where there is none or the event is already in it."""
        row = self.orders.get(order_id)
        return row if self.touch(row, recorded) else None

    def add(self, kind: type[Any], /, **values: Any) -> Any:
        """Return a new row of a table."""
        row = bulk.new(kind, **values)
        self.added[kind][id(row)] = row
        return row

    def save(self) -> None:
        """Write what is new in one statement per table, and what changed in another."""
        self.share()
        for kind, names in UPDATES.items():
            bulk.insert(rows=list(self.added[kind].values()), model=kind)
            bulk.update(rows=[row for row in self.changed.values() if isinstance(row, kind)], names=names)
        # A new row was written with the terms that it has by now.
        bulk.update(rows=[row for row in self.amended.values() if isinstance(row, Order)], names=TERMS)
        bulk.insert(rows=list(self.fills.values()), model=Fill, repeatable=True)

    def share(self) -> None:
        """Give each open position its part, by lots, of what all that its account holds of the symbol binds."""
        held: dict[Holding, list[Any]] = {}
        # Once over all rows: the end of a news window is a batch of thousands of holdings.
        for row in self.positions.values() if self.bound else ():
            if row.quantity and (holding := (row.account_id, row.symbol)) in self.bound:
                held.setdefault(holding, []).append(row)
        for holding, mine in held.items():
            margin, recorded = self.bound[holding]
            lots = sum(abs(row.quantity) for row in mine)
            for row in mine:
                self.touch(row, recorded)  # One that the event is in already is not written, whatever is worked out.
                row.margin = margin * abs(row.quantity) / lots


def load(*, batch: Sequence[Recorded]) -> Rows:
    """Return the rows that `batch` touches."""
    events: list[Any] = [recorded.event for recorded in batch]
    order_ids = {event.order_id for event in events if hasattr(event, "order_id")}
    legs = {event.order_id for event in events if hasattr(event, "cl_ord_id")}
    position_ids = {event.position_id for event in events if isinstance(event, ev.OrderFilled | OrderFillBusted)}
    children = ChildOrder.objects.filter(order_id__any_of=legs) if legs else ()
    positions = {row.position_id: row for row in Position.objects.filter(position_id__any_of=position_ids)}
    if shared := [event for event in events if isinstance(event, Bound) and shares_margin(event=event)]:
        beside = Position.objects.filter(
            account_id__any_of={event.account_id for event in shared}, symbol__any_of={event.symbol for event in shared}
        ).exclude(quantity=0)
        positions = {row.position_id: row for row in beside} | positions
    return Rows(
        orders={order.order_id: order for order in Order.objects.filter(order_id__any_of=order_ids)},
        children={child.cl_ord_id: child for child in children},
        positions=positions,
    )


def shares_margin(*, event: Bound) -> bool:
    """Return whether what an event says of margin is of more rows than its own: a netting account has one a symbol."""
    if isinstance(event, ev.SymbolMarginChanged):
        return True
    return event.position_id != netted_id(account_id=event.account_id, symbol=event.symbol)
