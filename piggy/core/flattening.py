"""Flattening: the second step of a kill. A person asks for it, and what a scope still holds is closed by the desk.

Whoever killed or halted the scope has stopped clients; closing what they hold is another decision and another person's.
Closes are the desk's own orders: no gate, no halt and no dealer keeps them waiting. A position without a price stays.
"""

from __future__ import annotations

from collections.abc import Iterable

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.aftermath import settled
from piggy.core.closing import closing_terms
from piggy.core.execution import Execution
from piggy.core.gatekeeping import Admission
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.oversight import kill_plan
from piggy.core.placing import take_on
from piggy.core.positions import Position
from piggy.core.risk import verdict_on
from piggy.core.standing import FLATTEN
from piggy.core.state import State
from piggy.core.triggering import keep_guarantees, owed_lots

Events = list[ev.AnyEvent]
POSITIONS_PER_STEP_MAX = 500
SCOPES = ("account", "firm", "group", "symbol", "tenant")
STOPPED = (TradingState.HALTED, TradingState.KILLED)


def flatten(*, command: cmd.FlattenPositions, moment: Moment) -> Events:
    """Close the positions of a scope that is halted or killed (P-25), at most 500 at once: asking again goes on."""
    state, key = moment.state, (command.scope, command.key)
    if command.scope not in SCOPES:
        return [_refused("SCOPE_UNKNOWN", "scope", f"one of {', '.join(SCOPES)}")]
    if not (command.by and command.reason):
        return [_refused("REASON_MISSING", "reason", "who closes, and why, is recorded")]
    if state.trading_states.get(key) not in STOPPED:
        return [_refused("NOT_STOPPED", "scope", "only what is halted or killed is flattened")]
    if command.by == state.stopped_by[key]:
        return [_refused("FOUR_EYES", "by", f"{command.by} stopped it: another closes what it holds")]
    open_ = _in_scope(command, state)
    execution = Execution(moment=moment)
    left = POSITIONS_PER_STEP_MAX
    for position_id in kill_plan(working=(), open_positions=open_, flatten=True).flatten:
        # Those that cannot be closed now, out at a venue or without a price, stand in no other's way.
        left -= _close(position=state.positions[position_id], command=command, execution=execution)
        if not left:
            break
    return settled(execution=execution)


def _close(*, position: Position, command: cmd.FlattenPositions, execution: Execution) -> bool:
    """Close what can be closed of a position; tell whether that was anything."""
    symbol, side = position.symbol, position.side.contra
    if symbol in execution.moment.state.expired or not execution.moment.levels(symbol=symbol, side=side):
        return False
    keep_guarantees(account_id=position.account_id, symbol=symbol, execution=execution)
    left = execution.position(position.position_id)
    owed = owed_lots(position=position, execution=execution)
    lots = left.lots - execution.under_way(position=left) - owed if left else ZERO
    if lots <= 0:
        return False
    terms = closing_terms(position=position, lots=lots, tag=FLATTEN)
    text = f"closed by {command.by}: {command.reason}"
    order_id = execution.new_order_id()
    verdict = verdict_on(
        order_id=order_id,
        terms=terms,
        at_us=execution.moment.now_us,
        config_version=execution.moment.state.config_version,
        checks=(ev.Check(code="FLATTEN", passed=True, text=text),),
    )
    admission = Admission(verdict=verdict)
    take_on(order_id=order_id, terms=terms, source=FLATTEN, admission=admission, execution=execution)
    return True


def _in_scope(command: cmd.FlattenPositions, state: State) -> list[str]:
    """Return the positions of the scope, of accounts that hold any."""
    scope, key = command.scope, command.key
    holders: Iterable[str] = state.positions_of
    if scope == "account":
        holders = (key,)
    elif scope == "symbol":
        holders = state.holders.get(key, ())
    elif scope == "group":
        holders = (account_id for account_id in state.positions_of if state.accounts[account_id].group == key)
    held = (position_id for account_id in holders for position_id in state.positions_of.get(account_id, ()))
    return [each for each in held if scope != "symbol" or state.positions[each].symbol == key]


def _refused(code: str, field: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field=field, text=text)
