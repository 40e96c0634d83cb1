"""Recollection: the answer to a command of long ago, out of its own events; the desk keeps only the latest answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from piggy.core import events as ev
from piggy.core.answers import Answer, OrderView
from piggy.core.events import Recorded
from piggy.core.folding import fold
from piggy.core.leaving import has_left
from piggy.core.leaving_folding import nothing_happened
from piggy.core.state import State

NOBODY: Mapping[str, OrderView] = {}


def recollected(
    *, recorded: Sequence[Recorded], request_hash: str, state: State, left: Mapping[str, OrderView] = NOBODY
) -> Answer:
    """Return what the asker heard first, marked as a repeat; a conflict where another body came under the same id.

    An order is shown as its own command left it. One that was only changed by the command is shown as it is now, or
    in `left` where it has left the state (`shown` names it).
    """
    first = recorded[0]
    if first.request_hash != request_hash:
        return Answer(command_id=first.command_id, conflict=True)
    refused = next((each.event for each in recorded if isinstance(each.event, ev.CommandRefused)), None)
    closed = next((each.event for each in recorded if isinstance(each.event, ev.PositionsClosed)), None)
    if refused is not None or closed is not None:
        return Answer(command_id=first.command_id, refused=refused, closed=closed, duplicate=True)
    order_id = shown(recorded=recorded, state=state)
    if not order_id:
        return Answer(command_id=first.command_id, duplicate=True)
    mine = [each for each in recorded if getattr(each.event, "order_id", "") == order_id]
    if not isinstance(mine[0].event, ev.OrderAccepted | ev.OrderDenied):
        now = state.orders.get(order_id)
        view = now.view() if now is not None else left.get(order_id)
        return Answer(command_id=first.command_id, order=view, duplicate=True)
    alone = nothing_happened(state=state)
    for each in mine:
        fold(state=alone, recorded=each)
    return Answer(command_id=first.command_id, order=alone.orders[order_id].view(), duplicate=True)


def shown(*, recorded: Sequence[Recorded], state: State) -> str:
    """Return which client's order the answer to a command shows, '' if none."""
    names = (getattr(each.event, "order_id", "") for each in recorded)
    return next((name for name in names if name in state.orders or _was_order(name, state)), "")


def _was_order(name: str, state: State) -> bool:
    return name.startswith("O") and has_left(state=state, order_id=name)
