"""Corrections: a venue busts an execution or restates it, days later (F-15) or before we heard of it (F-16).

Nothing is rewritten: the execution and the client's fill are taken back by events of their own, and a correction deals
anew in their place. Whatever the order in which the reports arrive, the same stands in the end.
"""

from __future__ import annotations

from piggy.core import covering
from piggy.core import events as ev
from piggy.core.commands import RecordVenueBust, RecordVenueCorrection, RecordVenueFill
from piggy.core.correction_events import ITS_OWN, VenueFillBusted, VenueReportParked
from piggy.core.execution import Execution
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.state import Child, Dealt, Hedge, State
from piggy.core.undoing import make_good, place_of, take_back
from piggy.core.venue_books import booked
from piggy.core.venue_reports import (
    beyond_limit,
    child_filled,
    fill_client,
    is_dealable,
    leg_closed,
    suspended,
    work_on,
)

Events = list[ev.AnyEvent]
Report = RecordVenueBust | RecordVenueCorrection
PARKED_US_MAX = 24 * 3_600 * 1_000_000


def record_bust(*, command: RecordVenueBust, moment: Moment) -> Events:
    """The venue takes an execution back; so does the house, from whoever was given it."""
    return _restate(command, None, moment)


def record_correction(*, command: RecordVenueCorrection, moment: Moment) -> Events:
    """The venue puts an execution with other numbers in the place of one."""
    fill = RecordVenueFill(
        venue=command.venue,
        cl_ord_id=command.cl_ord_id,
        venue_order_id="",
        fill_id=command.report_id,
        symbol=command.symbol,
        side=command.side,
        quantity=command.quantity,
        price=command.price,
        occurred_at_us=command.occurred_at_us,
    )
    return _restate(command, fill, moment)


def ripe(*, state: State, now_us: int) -> tuple[Report, ...]:
    """Return the parked reports whose execution has come, or that have waited for too long."""
    waiting = sorted(state.parked.items())
    return tuple(
        parked.report
        for _, parked in waiting
        if _is_known(state, parked.report) or now_us - parked.parked_at_us >= PARKED_US_MAX
    )


def _restate(command: Report, fill: RecordVenueFill | None, moment: Moment) -> Events:
    state = moment.state
    key = (command.venue, command.report_id)
    if key in state.venue_fills:
        return [_kept(command, "id_taken")] if key in state.parked else []
    if not _is_known(state, command):
        return _park(command, moment)
    child = state.children.get(command.cl_ord_id)
    dealt = child.dealt.get(_standing(child, command.ref_fill_id)) if child else None
    wrong = _misfit(child, dealt, command, fill, moment)
    if child is None or dealt is None or wrong:
        return [_kept(command, wrong)]
    hedge = state.hedges.get(dealt.venue.order_id)
    if hedge is not None:
        return _restate_hedge(hedge, child, _bust(dealt, command, fill), fill, moment)
    return _restate_order(child, dealt, _bust(dealt, command, fill), fill, moment)


def _restate_order(
    child: Child, dealt: Dealt, bust: VenueFillBusted, fill: RecordVenueFill | None, moment: Moment
) -> Events:
    order, given = moment.state.orders[bust.order_id], dealt.client
    execution = Execution(moment=moment)
    taken, anew = _told(bust, fill, child, moment)
    execution.events += taken
    open_lots = ZERO if child.closed else child.leaves + bust.quantity
    if not child.closed:
        execution.release(order=order, lots=-bust.quantity)
    else:
        execution.come_back(order=order, lots=bust.quantity)
    # What a guaranteed stop closed stays closed at its price; what the venue makes of its side is the house's.
    stays = order.guaranteed and order.state.final
    if given is not None and not stays:
        take_back(
            fill=given,
            seq=dealt.client_seq,
            at_us=dealt.at_us,
            reason=bust.text,
            replaced=min(given.quantity, fill.quantity) if fill else ZERO,
            execution=execution,
        )
    if fill is not None:
        execution.events += [*anew, *beyond_limit(fill=fill, child=child)]
        execution.release(order=order, lots=min(fill.quantity, open_lots))
        execution.come_back(order=order, lots=min(fill.quantity, open_lots) - fill.quantity)
        open_lots -= min(fill.quantity, open_lots)
    if fill is not None and not stays:
        room = (given.quantity if given else ZERO) if order.state.final else max(ZERO, execution.free(order))
        lots, place = min(fill.quantity, room), ITS_OWN
        if given:
            place = place_of(fill=given, seq=dealt.client_seq, at_us=dealt.at_us)
        fill_client(order=order, child=child, command=fill, lots=lots, execution=execution, place=place)
    make_good(execution=execution)
    if closing := _closing(child, bust, fill):
        execution.events += closing
        execution.release(order=order, lots=open_lots)
        execution.come_back(order=order, lots=open_lots)
    return work_on(order=order, lots=execution.free(order), leg=child.created, execution=execution)


def _restate_hedge(
    hedge: Hedge, child: Child, bust: VenueFillBusted, fill: RecordVenueFill | None, moment: Moment
) -> Events:
    back, position = covering.hedge_busted(hedge=hedge, bust=bust, moment=moment)
    taken, anew = _told(bust, fill, child, moment)
    events: Events = [*taken, back]
    lots = -bust.quantity
    if fill is not None:
        dealt = child_filled(command=fill, child=child)
        events += [*anew, covering.hedge_filled(hedge=hedge, fill=dealt, moment=moment, position=position)]
        events += beyond_limit(fill=fill, child=child)
        lots += fill.quantity
    closing = _closing(child, bust, fill)
    if closing or child.filled + lots >= child.created.quantity:
        events += [*closing, *covering.ended(hedge=hedge, child=child, lots=lots, moment=moment)]
    return events


def _told(bust: VenueFillBusted, fill: RecordVenueFill | None, child: Child, moment: Moment) -> tuple[Events, Events]:
    """Return the bust, after what is booked at the venue with both, and what is dealt anew."""
    anew = (child_filled(command=fill, child=child),) if fill else ()
    told = booked(events=(bust, *anew), books=moment.state.venue_books, instrument=moment.instrument(bust.symbol))
    return list(told[: len(told) - len(anew)]), list(told[len(told) - len(anew) :])


def _closing(child: Child, bust: VenueFillBusted, fill: RecordVenueFill | None) -> Events:
    """Close a leg that the venue had said ended with as many lots as now stand."""
    standing = child.filled - bust.quantity + (fill.quantity if fill else ZERO)
    if child.closed or child.filled_at_venue != standing or standing >= child.created.quantity:
        return []
    return [leg_closed(child=child, filled=standing, text="ended at the venue", at_us=bust.occurred_at_us)]


def _bust(dealt: Dealt, command: Report, fill: RecordVenueFill | None) -> VenueFillBusted:
    was = dealt.venue
    return VenueFillBusted(
        supersedes=dealt.seq,
        order_id=was.order_id,
        cl_ord_id=was.cl_ord_id,
        venue=was.venue,
        fill_id=was.fill_id,
        report_id=command.report_id,
        corrected_by=fill.fill_id if fill else "",
        symbol=was.symbol,
        side=was.side,
        quantity=was.quantity,
        price=was.price,
        text=command.text or f"{'corrected' if fill else 'taken back'} by {was.venue}",
        occurred_at_us=command.occurred_at_us,
    )


def _misfit(
    child: Child | None, dealt: Dealt | None, command: Report, fill: RecordVenueFill | None, moment: Moment
) -> str:
    """Return why a report cannot be carried out, '' where it can: a person decides about the rest."""
    if child is None or dealt is None or child.created.venue != command.venue:
        return "no_such_fill"
    was = dealt.venue
    if was.fill_id in child.superseded:
        return "already_busted"
    if fill is None:
        return ""
    if was.fill_id != command.ref_fill_id and command.occurred_at_us < was.occurred_at_us:
        return "outdated"
    if (fill.symbol, fill.side) != (was.symbol, was.side):
        return "wrong_order"
    if not is_dealable(fill=fill, instrument=moment.instrument(fill.symbol)):
        return "bad_numbers"
    return "overfill" if child.filled - was.quantity + fill.quantity > child.created.quantity else ""


def _is_known(state: State, command: Report) -> bool:
    return (command.venue, command.ref_fill_id) in state.venue_fills


def _standing(child: Child, fill_id: str) -> str:
    """Return which execution stands in the place of the one that a report names."""
    while later := child.superseded.get(fill_id):
        fill_id = later
    return fill_id


def _park(command: Report, moment: Moment) -> Events:
    parked = moment.state.parked.get((command.venue, command.report_id))
    if parked is None:
        return [VenueReportParked(report=command, parked_at_us=moment.now_us)]
    return [] if moment.now_us - parked.parked_at_us < PARKED_US_MAX else [_kept(command, "unknown_fill")]


def _kept(command: Report, code: str) -> ev.VenueReportSuspended:
    kind = "a bust" if isinstance(command, RecordVenueBust) else "a correction"
    return suspended(
        venue=command.venue,
        cl_ord_id=command.cl_ord_id,
        code=code,
        text=f"{kind} of {command.ref_fill_id}: {command.text}",
        fill_id=command.report_id,
    )
