"""Liquidation: calling margin and stopping accounts out, as orders of the desk's own. The ladder is stopout.py's.

Lots already on their way out at a venue count as gone, and are never sent a second time (INV-17). Nothing is closed on
a price that is stale, out of session or without its quorum of venues, nor where nobody may be asked to deal: it waits
for its first good tick, and what else the account holds is closed instead.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core import events as ev
from piggy.core.accounts import Group
from piggy.core.closing import closing_terms
from piggy.core.execution import Execution
from piggy.core.funds import Funds, closing_price, stop_out_percent
from piggy.core.gatekeeping import Admission
from piggy.core.margin_watch import safe_bands
from piggy.core.margining import open_lot_value, terms_of
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import STOP_OUT as STOP_OUT
from piggy.core.placing import take_on
from piggy.core.positions import Position, filled
from piggy.core.pricing import commission_plan
from piggy.core.risk import verdict_on
from piggy.core.standing import is_stopped
from piggy.core.state import proposed_order
from piggy.core.stopout import Ladder, OpenLine, Rung, ladder, line_floating
from piggy.core.triggering import keep_guarantees
from piggy.core.working import plan

HUNDRED = Decimal(100)
RESTORED_PERCENT = Decimal(105)


def watch_margin(*, account_id: str, execution: Execution) -> None:
    """Call margin once until it is restored, and stop the account out where its level says so.

    Margin is called at the group's level, and at the maintenance margin where that is higher. It is restored only once
    the account is RESTORED_PERCENT of both, or nothing is bound any more: an account that hovers at its level would be
    called and restored with every other tick. A stop-out waits for no notice.
    """
    moment = execution.moment
    if execution.deals_for(account_id=account_id):
        return  # The account is looked at again once these fills are in its state.
    funds, group = moment.funds(account_id), moment.group_of(account_id)
    level = _level(account_id=account_id, funds=funds, moment=moment)
    called = account_id in moment.state.margin_called
    if not funds.priced or level is None:
        if funds.priced and called:
            execution.events.append(ev.MarginRestored(account_id=account_id))
        return
    is_low = level <= group.margin_call_percent or funds.equity <= funds.maintenance
    if is_low and not called:
        execution.events.append(
            ev.MarginCalled(
                account_id=account_id,
                equity=funds.equity,
                used_margin=funds.used_margin,
                level_percent=level,
                maintenance=funds.maintenance,
            )
        )
    elif called and _is_restored(level=level, funds=funds, group=group):
        execution.events.append(ev.MarginRestored(account_id=account_id, level_percent=level))
    elif not called and not _holds_options(account_id=account_id, moment=moment):
        bands = safe_bands(
            state=moment.state, account_id=account_id, funds=funds, marks=moment.marks, pairs=moment.pairs
        )
        if bands is not None:
            moment.watch.trust(account_id=account_id, bands=bands)
    bar = stop_out_percent(account=moment.account(account_id), group=group)
    if level <= bar if group.stop_out_inclusive else level < bar:
        _stop_out(account_id=account_id, funds=funds, level=level, execution=execution)


def _is_restored(*, level: Decimal, funds: Funds, group: Group) -> bool:
    """Return whether a called account is far enough above its group's level, and above its maintenance margin."""
    bar, least = group.margin_call_percent * RESTORED_PERCENT, funds.maintenance * RESTORED_PERCENT
    above = level > group.margin_call_percent and funds.equity > funds.maintenance
    return above and level * HUNDRED >= bar and funds.equity * HUNDRED >= least


def _level(*, account_id: str, funds: Funds, moment: Moment) -> Decimal | None:
    """Return the margin level, None where nothing is at stake.

    Positions that hedge each other may bind nothing and still lose, by spread and by swap: their level is nothing when
    nothing is left of the account.
    """
    if funds.used_margin > 0:
        return funds.level_percent
    return ZERO if funds.equity < 0 and moment.state.positions_of.get(account_id) else None


def _holds_options(*, account_id: str, moment: Moment) -> bool:
    """Whether what the account binds moves with prices too, so that no band of them is sure."""
    state = moment.state
    if not state.option_models:
        return False
    held = (state.positions[position_id].symbol for position_id in state.positions_of.get(account_id, ()))
    return any(state.instruments[symbol].option for symbol in held)


def stop_out_plan(*, account_id: str, execution: Execution) -> Ladder | None:
    """Return what a stop-out would close now and what it would leave; None where a position cannot be priced.

    An account above its level gets no rungs; lines that wait for a good price are `queued`.
    """
    moment = execution.moment
    state, account = moment.state, moment.account(account_id)
    group, balance = moment.group_of(account_id), state.balances.get(account_id, ZERO)
    lines: list[OpenLine] = []
    going_of: set[str] = set()
    for position_id in sorted(state.positions_of.get(account_id, ())):
        line = _line(position=state.positions[position_id], moment=moment)
        if line is None:
            return None
        going = execution.under_way(position=line.position)
        left, realised = _without(line, going)
        balance += realised
        if going:
            going_of.add(line.position.symbol)
        if left is not None:
            lines.append(left)
    untouched = {line.position.symbol for line in lines} - going_of
    bound = {symbol: state.margins[key] for symbol in untouched if (key := (account_id, symbol)) in state.margins}
    return ladder(
        lines=lines,
        balance=balance,
        currency=account.currency,
        level_percent=stop_out_percent(account=account, group=group),
        now_us=moment.now_us,
        mode=group.stop_out_mode,
        inclusive=group.stop_out_inclusive,
        turnover=moment.turnover(account_id),
        bound=bound,
    )


def _stop_out(*, account_id: str, funds: Funds, level: Decimal, execution: Execution) -> None:
    state = execution.moment.state
    held = {state.positions[position_id].symbol for position_id in state.positions_of.get(account_id, ())}
    # At a gap these close at better prices than the ladder would; the account is looked at again after them.
    kept = [keep_guarantees(account_id=account_id, symbol=symbol, execution=execution) for symbol in sorted(held)]
    if any(kept):
        return
    rungs = _rungs(account_id=account_id, execution=execution)
    if not rungs:
        return
    execution.events.append(
        ev.StoppedOut(
            account_id=account_id,
            equity=funds.equity,
            used_margin=funds.used_margin,
            level_percent=level,
            positions=tuple(dict.fromkeys(rung.position_id for rung in rungs)),
        )
    )
    for rung in rungs:
        _close(rung=rung, level=level, execution=execution)


def _rungs(*, account_id: str, execution: Execution) -> tuple[Rung, ...]:
    moment = execution.moment
    if not moment.option_margin(account_id):
        steps = stop_out_plan(account_id=account_id, execution=execution)
        return steps.rungs if steps else ()
    # What options bind is no sum over positions, so these accounts close the largest loser whole and look again.
    held = (moment.state.positions[key] for key in moment.state.positions_of[account_id])
    lines = [line for position in held if (line := _line(position=position, moment=moment))]
    free = [line for line in lines if line.trusted and not execution.under_way(position=line.position)]
    losers = sorted(free, key=lambda line: (line_floating(line=line), line.position.position_id))
    return tuple(_whole(line) for line in losers[:1])


def _whole(line: OpenLine) -> Rung:
    position = line.position
    return Rung(
        position_id=position.position_id,
        symbol=position.symbol,
        side=position.side.contra,
        quantity=position.lots,
        price=line.close_price,
        realised=line_floating(line=line),
        level_after=None,
    )


def _line(*, position: Position, moment: Moment) -> OpenLine | None:
    """Return what closing the position now would need, None where it has no price or no rate."""
    state, account = moment.state, moment.account(position.account_id)
    instrument, group = moment.instrument(position.symbol), moment.group_of(position.account_id)
    price = closing_price(state=state, position=position, marks=moment.marks)
    if price is None:
        return None
    gain = (position.quantity * price - position.cost) > 0
    rate = moment.rate(source=instrument.quote, target=account.currency, gain=gain)
    if rate is None:
        return None
    return OpenLine(
        position=position,
        close_price=price,
        rate=rate,
        contract_size=instrument.contract_size,
        lot_step=instrument.lot_step,
        lot_value=open_lot_value(positions=[position], instrument=instrument, account=account, rate=rate),
        terms=terms_of(state=state, account=account, instrument=instrument),
        trusted=_trusted(position=position, moment=moment, group=group),
        plan=commission_plan(
            group=group, profiles=moment.profiles(account_id=account.account_id, symbol=position.symbol)
        ),
    )


def _trusted(*, position: Position, moment: Moment, group: Group) -> bool:
    """Return whether a close may be dealt at the price there is: live, in session, and agreed on by enough venues."""
    symbol, side = position.symbol, position.side.contra
    calendar = moment.state.calendars.get(symbol)
    if is_stopped(state=moment.state, account_id=position.account_id, symbol=symbol):
        return False
    if not moment.levels(symbol=symbol, side=side) or (calendar and not calendar.is_open(at_us=moment.now_us)):
        return False
    if moment.markup(account_id=position.account_id, symbol=symbol, side=side, lots=position.lots) is None:
        return False  # At this spread its group is shown no price.
    trusted = group.stop_out_quorum <= 1 or moment.market.trusted(
        symbol=symbol, now_us=moment.now_us, k=group.stop_out_quorum, band_bps=group.stop_out_band_bps
    )
    return trusted and _finds_taker(position=position, group=group, moment=moment)


def _finds_taker(*, position: Position, group: Group, moment: Moment) -> bool:
    """Whether anybody would deal any of it now: where no venue may be asked, a close would end as it begins."""
    terms = closing_terms(position=position, lots=position.lots, tag=STOP_OUT)
    order = proposed_order(
        order_id="", terms=terms, source=STOP_OUT, group=group.name, at_us=moment.now_us, seq=moment.state.seq
    )
    # Not whether it acts: to end an order of its owner's own takes nobody out.
    return plan(order=order, quantity=terms.quantity, execution=Execution(moment=moment)).lots > 0


def _without(line: OpenLine, going: Decimal) -> tuple[OpenLine | None, Decimal]:
    """Return the line less the lots on their way out, which waits for them, and what they bring."""
    if not going:
        return line, ZERO
    fold = filled(
        position=line.position,
        side=line.position.side.contra,
        quantity=going,
        price=line.close_price,
        contract_size=line.contract_size,
    )
    left = msgspec.structs.replace(line, position=fold.position, trusted=False) if fold.position else None
    return left, fold.realised_quote * line.rate


def _close(*, rung: Rung, level: Decimal, execution: Execution) -> None:
    position = execution.moment.state.positions[rung.position_id]
    terms = closing_terms(position=position, lots=rung.quantity, tag=STOP_OUT)
    # A stop-out is the desk's own close: it passes no gate, for a gate that refused it would make the loss larger.
    order_id = execution.new_order_id()
    verdict = verdict_on(
        order_id=order_id,
        terms=terms,
        at_us=execution.moment.now_us,
        config_version=execution.moment.state.config_version,
        checks=(ev.Check(code="STOP_OUT", passed=True, value=f"{level:.2f}", text="closed by the desk"),),
    )
    take_on(
        order_id=order_id,
        terms=terms,
        source=STOP_OUT,
        admission=Admission(verdict=verdict, margin_required=ZERO),
        execution=execution,
    )
