"""Recollection: the answer to a command of long ago, out of its own events; the desk keeps only the latest answers."""

from __future__ import annotations

from collections.abc import Sequence

from piggy.core import events as ev
from piggy.core.answers import Answer
from piggy.core.events import Recorded
from piggy.core.folding import fold
from piggy.core.resting import RestingOrders
from piggy.core.state import Exposure, State


def recollected(*, recorded: Sequence[Recorded], request_hash: str, state: State) -> Answer:
    """Return what the asker heard first, marked as a repeat; a conflict where another body came under the same id.

    An order is shown as its own command left it. One that was only changed by the command is shown as it is now.
    """
    first = recorded[0]
    if first.request_hash != request_hash:
        return Answer(command_id=first.command_id, conflict=True)
    refused = next((each.event for each in recorded if isinstance(each.event, ev.CommandRefused)), None)
    if refused is not None:
        return Answer(command_id=first.command_id, refused=refused, duplicate=True)
    names = (getattr(each.event, "order_id", "") for each in recorded)
    order_id = next((name for name in names if name in state.orders), "")
    if not order_id:
        return Answer(command_id=first.command_id, duplicate=True)
    mine = [each for each in recorded if getattr(each.event, "order_id", "") == order_id]
    if not isinstance(mine[0].event, ev.OrderAccepted | ev.OrderDenied):
        return Answer(command_id=first.command_id, order=state.orders[order_id].view(), duplicate=True)
    alone = _alone(state, mine[0].event.terms.symbol)
    for each in mine:
        fold(state=alone, recorded=each)
    return Answer(command_id=first.command_id, order=alone.orders[order_id].view(), duplicate=True)


def _alone(state: State, symbol: str) -> State:
    """Return a state that knows the names of things and nothing that happened."""
    return State(
        tenant=state.tenant,
        instruments=state.instruments,
        accounts=state.accounts,
        venues=state.venues,
        exposure={symbol: Exposure()},
        resting={symbol: RestingOrders()},
    )
