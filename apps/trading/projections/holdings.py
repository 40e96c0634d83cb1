"""What fills, busts and the ends of news windows do to the positions that people see."""

from __future__ import annotations

from decimal import Decimal

from apps.trading.models import Position
from apps.trading.projections.rows import Rows, shares_margin
from piggy.core import events as ev
from piggy.core import positions
from piggy.core.correction_events import OrderFillBusted
from piggy.core.events import Recorded

ZERO = Decimal(0)


def fill(rows: Rows, event: ev.OrderFilled, recorded: Recorded) -> None:
    """Take a fill into its position."""
    row = _position(rows, event, recorded)
    if row is None:
        return
    # Profit is in the event, in the account's currency; of the fold only lots and cost are used, so any size will do.
    after = positions.filled(
        position=_as_core(row) if row.quantity else None,
        side=event.side,
        quantity=event.quantity,
        price=event.price,
        contract_size=Decimal(1),
        book=event.book,
        ahead=event.ahead,
    ).position
    _hold(rows, row, after, event, recorded, opened_at_us=event.place_at_us)


def bust(rows: Rows, event: OrderFillBusted, recorded: Recorded) -> None:
    """Have a position be what it is without a fill."""
    row, after = _position(rows, event, recorded), event.position
    if row is not None:
        _hold(rows, row, after, event, recorded, opened_at_us=after.opened_at_us if after else 0)
        if after is not None and after.opened_at_us:
            # Without the fill that opened it, it has been held since a later one.
            row.opened_at = after.opened_at_us  # type: ignore[assignment]


def bind(rows: Rows, event: ev.SymbolMarginChanged, recorded: Recorded) -> None:
    """A news window ended: what an account holds of the symbol binds something else."""
    rows.bound[(event.account_id, event.symbol)] = event.margin, recorded


def _position(rows: Rows, event: ev.OrderFilled | OrderFillBusted, recorded: Recorded) -> Position | None:
    """Return the position's row to change, a new one if need be, None where the event is already in it."""
    row = rows.positions.get(event.position_id)
    if row is not None and row.last_seq >= recorded.seq:
        return None
    if row is None:
        row = rows.add(Position, position_id=event.position_id, account_id=event.account_id, symbol=event.symbol)
        row.quantity, row.last_seq, row.opened_at = ZERO, 0, recorded.recorded_at_us
        rows.positions[event.position_id] = row
    rows.touch(row, recorded)
    return row


def _hold(
    rows: Rows,
    row: Position,
    after: positions.Position | None,
    event: ev.OrderFilled | OrderFillBusted,
    recorded: Recorded,
    *,
    opened_at_us: int,
) -> None:
    if after is not None and row.quantity * after.quantity <= 0:
        # What was flat, or has turned to the other side, is another holding than before; 0: it begins with this event.
        row.opened_at = opened_at_us or recorded.recorded_at_us  # type: ignore[assignment]
    row.quantity = after.quantity if after else ZERO
    row.cost = after.cost if after else ZERO
    row.a_lots, row.cross_lots, row.b_lots = (
        (after.a_lots, after.cross_lots, after.b_lots) if after else (ZERO, ZERO, ZERO)
    )
    row.margin = abs(row.quantity) * event.margin_per_lot
    row.realised += event.realised
    if event.symbol_margin is not None and shares_margin(event=event):
        rows.bound[(event.account_id, event.symbol)] = event.symbol_margin, recorded


def _as_core(row: Position) -> positions.Position:
    return positions.Position(
        account_id=row.account_id,
        symbol=row.symbol,
        position_id=row.position_id,
        quantity=row.quantity,
        cost=row.cost,
        a_lots=row.a_lots,
        cross_lots=row.cross_lots,
        b_lots=row.b_lots,
    )
