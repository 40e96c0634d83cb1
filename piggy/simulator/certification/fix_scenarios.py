"""What an LP over FIX 4.4 must survive; each scenario is given the range and raises UnableToPass."""

from __future__ import annotations

import time
from decimal import Decimal

import quickfix as fix

from piggy.adapters.fix import outbound
from piggy.adapters.fix.config import LOT_STEP
from piggy.adapters.fix.refusals import REPLACE_REFUSED, REPLACED
from piggy.adapters.interface import ReportKind, UnableToTranslate
from piggy.adapters.terms import mismatches
from piggy.simulator.certification.fix_ground import COARSE, LPS, SYMBOL, TENANT, UNITS, FixGround, FixKept
from piggy.simulator.certification.ground import UnableToPass
from piggy.simulator.certification.scenarios import check

QUIET_S = 0.5
GAP = 3


def logon(ground: FixGround) -> None:
    """Every LP takes us and hears us."""
    for lp in LPS:
        ground.wait_quoted(lp.name)


def wrong_password(ground: FixGround) -> None:
    """A wrong password is refused, and the right one taken again."""
    ground.wait_quoted()
    ground.log_out("LP1")
    stranger = FixKept()
    session = ground.log_on("LP1", password="wrong", kept=stranger)
    time.sleep(2 * QUIET_S)
    check(not session.ready, "a wrong password became ready")
    ground.log_out("LP1")
    ground.log_on("LP1")
    ground.wait_quoted()


def quotes(ground: FixGround) -> None:
    """Books come two-sided, best first, uncrossed, and follow the LP."""
    ground.wait_quoted()
    first = ground.quote()
    assert first is not None
    check(first.bids[0].price < first.asks[0].price, "the book is crossed")
    check(first.asks[0].price < first.asks[-1].price, "asks are not best first")
    check(first.asks[0].size == 10, f"10 lots were offered, {first.asks[0].size} are shown")
    ground.wait(
        lambda: (now := ground.quote()) and now.venue_at_us > first.venue_at_us and now.asks != first.asks,
        "the book stands still",
    )


def submit_and_fill(ground: FixGround) -> None:
    """An order is acknowledged, filled, and heard of once."""
    cl_ord_id = ground.place()
    ground.wait(lambda: ground.filled(cl_ord_id) == 1, "the fill was not heard of")
    check(ground.has(cl_ord_id, ReportKind.ACK), "no acknowledgement")
    order = ground.truth(cl_ord_id)
    check(order is not None and order.received == 1, "the LP got it more than once")


def partial(ground: FixGround) -> None:
    """Of an order larger than the book the rest ends, and what was filled is all heard of."""
    cl_ord_id = ground.place(lots="1000")
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.DONE), "the end of the rest was not heard of")
    check(ground.filled(cl_ord_id) == ground.truth_lots(cl_ord_id), "fills are missing")
    check(0 < ground.filled(cl_ord_id) < 1_000, "nothing, or everything, was filled")


def reject(ground: FixGround) -> None:
    """A refusal is told with its reason."""
    cl_ord_id = ground.place("LP2")
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.REJECT), "the refusal was not heard of")
    check(ground.kept["LP2"].of(cl_ord_id, ReportKind.REJECT)[0].report.text, "the refusal has no reason")


def cancel(ground: FixGround) -> None:
    """A resting order ends when asked; a second cancel ends nothing."""
    cl_ord_id = ground.place(limit="0.5", force="gtc")
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.ACK), "a resting order was not acknowledged")
    ground.cancel(cl_ord_id)
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.DONE), "the end was not heard of")
    ground.cancel(cl_ord_id)
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.UNCANCEL), "the late cancel was not answered")
    check(len(ground.kept["LP1"].of(cl_ord_id, ReportKind.DONE)) == 1, "it ended twice")


def replace(ground: FixGround) -> None:
    """A resting order gets other terms in place, twice; what fills then is of the one order, and the rest ends."""
    cl_ord_id = ground.place(limit="0.5", force="gtc")
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.ACK), "a resting order was not acknowledged")
    ground.replace(cl_ord_id, lots="0.5", limit="0.6")
    ground.wait(lambda: ground.stands(cl_ord_id, REPLACED), "the change was not heard of")
    order = ground.truth(cl_ord_id)
    assert order is not None
    check((order.quantity, order.price) == (UNITS / 2, Decimal("0.6")), f"the LP has {order.quantity} at {order.price}")
    ground.replace(cl_ord_id, lots="1000", limit="2", change=2)
    ground.wait(lambda: ground.filled(cl_ord_id) > 0, "what was changed to a price that deals did not fill")
    ground.cancel(cl_ord_id, change=2)
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.DONE), "the end was not heard of")
    check(ground.filled(cl_ord_id) == ground.truth_lots(cl_ord_id), "fills are missing")
    taken = ground.quote()
    assert taken is not None
    # Until the LP quotes anew there is nothing left to deal with.
    ground.wait(lambda: (now := ground.quote()) and now.venue_at_us > taken.venue_at_us, "the book stands still")


def replace_refused(ground: FixGround) -> None:
    """A change that comes too late is refused: no refusal of the order, and none of a cancel that nobody asked for."""
    cl_ord_id = ground.place()
    ground.wait(lambda: ground.filled(cl_ord_id) == 1, "the fill was not heard of")
    ground.replace(cl_ord_id, lots="2", limit="2")
    ground.wait(lambda: ground.stands(cl_ord_id, REPLACE_REFUSED), "the refusal was not heard of")
    check(not ground.has(cl_ord_id, ReportKind.UNCANCEL), "it was taken for the refusal of a cancel")
    check(ground.filled(cl_ord_id) == 1, "what was filled changed")


def mass_status(ground: FixGround) -> None:
    """The LP names every order of ours that works there."""
    working = [ground.place(limit="0.5", force="gtc") for _ in range(2)]
    for cl_ord_id in working:
        ground.wait(lambda: ground.has(cl_ord_id, ReportKind.ACK), "a resting order was not acknowledged")  # noqa: B023
    ground.sessions["LP1"].send(outbound.mass_status_request(request_id=f"all-{working[0]}"))
    for cl_ord_id in working:
        ground.wait(lambda: ground.has(cl_ord_id, ReportKind.STATUS), "an order was not named")  # noqa: B023
        said = ground.kept["LP1"].of(cl_ord_id, ReportKind.STATUS)[-1].report
        check(said.standing == "working", f"an order that rests is {said.standing}")
        ground.cancel(cl_ord_id)


def duplicate_id(ground: FixGround) -> None:
    """The same id twice leaves one order, and the refusal of the second is no refusal of the first."""
    cl_ord_id = ground.place(limit="0.5", force="gtc")
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.ACK), "a resting order was not acknowledged")
    ground.send(cl_ord_id)
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.DOUBT), "the second copy was not doubted")
    check(not ground.has(cl_ord_id, ReportKind.REJECT), "the first order was told to be refused")
    check(ground.status(cl_ord_id).report.standing == "working", "the first order does not work")
    ground.cancel(cl_ord_id)


def status_on_doubt(ground: FixGround) -> None:
    """The LP says how an order stands, and that it never had one that never left."""
    filled = ground.place()
    ground.wait(lambda: ground.filled(filled) == 1, "the fill was not heard of")
    said = ground.status(filled).report
    check((said.standing, said.cumulative) == ("filled", Decimal(1)), f"{said.standing} with {said.cumulative}")
    never = ground.prepare("LP1")
    check(ground.status(never).report.standing == "unknown", "an order that never left is known")


def sequence_gap(ground: FixGround) -> None:
    """Numbers that we skip are passed over by a gap fill, which may swallow an order: it is unknown, never repeated."""
    before = ground.place()
    ground.wait(lambda: ground.filled(before) == 1, "the fill was not heard of")
    session = fix.Session.lookupSession(fix.SessionID("FIX.4.4", TENANT.upper(), "LP1"))
    session.setNextSenderMsgSeqNum(session.getExpectedSenderNum() + GAP)
    within = ground.place()
    time.sleep(QUIET_S)
    if not ground.filled(within):
        check(ground.status(within).report.standing == "unknown", "an order in the gap is neither filled nor unknown")
    after = ground.place()
    ground.wait(lambda: ground.filled(after) == 1, "after a gap nothing was filled")
    check(ground.filled(within) == ground.truth_lots(within), "the order in the gap filled unheard")
    for cl_ord_id in (before, after):
        order = ground.truth(cl_ord_id)
        check(order is not None and order.received == 1, "an order was repeated")


def filled_while_away(ground: FixGround) -> None:
    """What the LP did while our session was gone comes by its resend, once."""
    cl_ord_id = ground.place("LP3", lots="2")
    ground.wait(lambda: ground.truth(cl_ord_id) is not None, "the LP never got it")
    ground.log_out("LP3")
    time.sleep(2 * QUIET_S)
    check(ground.truth_lots(cl_ord_id) == 2, "the LP did not fill it")
    ground.log_on("LP3")
    ground.wait(lambda: ground.filled(cl_ord_id) == 2, "the fills were lost")
    time.sleep(QUIET_S)
    check(ground.filled(cl_ord_id) == 2, "fills were counted twice")


def lp_killed(ground: FixGround) -> None:
    """A dead LP loses its quotes, gets no order, and is itself again after its restart."""
    ground.wait_quoted()
    ground.go_away()
    ground.wait(lambda: not ground.sessions["LP1"].ready, "the lost session was not noticed")
    check(not ground.sessions["LP1"].all_quotes(), "quotes of a lost LP are still shown")
    late = ground.prepare("LP1")
    check(not ground.send(late), "an order was taken for a session that is down")
    ground.come_back()
    ground.wait_quoted()
    again = ground.place()
    ground.wait(lambda: ground.filled(again) == 1, "orders did not go on")
    check(ground.truth(late) is None, "the order of the outage was sent later")


def symbols(ground: FixGround) -> None:
    """The LP bears out our mapping, each symbol with its steps; one without a mapping never leaves."""
    ground.wait_quoted()
    listed = {terms.venue_symbol: terms for terms in ground.sessions["LP1"].tradables.symbols}
    found = mismatches(mappings=ground.config("LP1").from_venue, symbols=tuple(listed.values()), lot_step=LOT_STEP)
    check(not found, "; ".join(found))
    eurusd = listed[SYMBOL]
    check((eurusd.unit_step, eurusd.tick_size) == (UNITS * LOT_STEP, Decimal("0.00001")), f"listed as {eurusd}")
    cl_ord_id = ground.prepare("LP1")
    child = ground.created.pop(cl_ord_id)
    config = ground.config("LP1")
    narrow = type(config)(**{name: getattr(config, name) for name in config.__struct_fields__} | {"symbols": ()})
    try:
        outbound.new_order(child=child, config=narrow, at_us=1)
    except UnableToTranslate:
        return
    raise UnableToPass("a symbol without a mapping was translated")


def wrong_mapping(ground: FixGround) -> None:
    """What the LP trades in other steps than ours is told, shown to nobody and sent to nobody."""
    session = ground.log_on(COARSE.name)
    ground.wait(lambda: session.ready, "the session never became ready")
    time.sleep(QUIET_S)
    check(f"{SYMBOL}: a step of" in session.status().text, f"people are told {session.status().text!r}")
    check(not session.all_quotes(), "a symbol with a wrong size is quoted")
    cl_ord_id = ground.prepare(COARSE.name)
    child = ground.created.pop(cl_ord_id)
    try:
        session.tradables.terms_of(symbol=child.symbol)
    except UnableToTranslate:
        ground.log_out(COARSE.name)
        return
    raise UnableToPass("an order of a wrong size may leave")


def nothing_missing(ground: FixGround) -> None:
    """INV-04: what we heard of is what the LPs did, order by order."""
    for cl_ord_id in ground.created:
        heard, did = ground.filled(cl_ord_id), ground.truth_lots(cl_ord_id)
        check(heard == did, f"{cl_ord_id}: heard of {heard}, the LP did {did}")
