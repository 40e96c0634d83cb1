"""What every venue must survive. Each scenario is given a ground, does one thing, and raises UnableToPass."""

from __future__ import annotations

import time
from decimal import Decimal

from piggy.adapters.interface import ReportKind, UnableToSend, UnableToTranslate
from piggy.adapters.terms import mismatches
from piggy.core.market import VenueState
from piggy.simulator.certification.ground import Ground, Kept, UnableToPass
from piggy.simulator.faults import Fault

QUIET_S = 0.3
RATE_S = 1.5


def check(condition: object, text: str) -> None:
    """Raises UnableToPass with `text` unless the condition holds."""
    if not condition:
        raise UnableToPass(text)


def logon(ground: Ground) -> None:
    """The session becomes ready; with a wrong secret it never does."""
    ground.wait_ready()
    kept = Kept()
    stranger = ground.make_driver(ground.stranger, kept)
    stranger.start()
    ground.wait(lambda: VenueState.DOWN in kept.states, "a wrong key was not refused")
    check(not stranger.ready, "a wrong key became ready")
    stranger.stop()


def quotes(ground: Ground) -> None:
    """Every book equals the venue's, best first, and follows it."""
    ground.wait_ready()
    for _ in range(3):
        ground.server.step()
    ground.server.pause()
    ground.server.step()
    ground.wait(ground.books_agree, "the books differ from the venue's")
    quote = ground.quote()
    assert quote is not None
    check(quote.bids[0].price < quote.asks[0].price, "the book is crossed")
    check(quote.bids[0].price > quote.bids[-1].price or len(quote.bids) == 1, "bids are not best first")
    ground.server.resume()


def gap_and_resync(ground: Ground) -> None:
    """Updates that never came leave no wrong level behind."""
    ground.wait_ready()
    for _ in range(3):
        ground.server.faults.arm(Fault.SKIP_DEPTH, times=2 * len(ground.server.exchange.symbols))
        for _ in range(5):
            ground.server.step()
    ground.server.pause()
    ground.server.step()
    ground.wait(ground.books_agree, "after a gap the books differ from the venue's")
    ground.server.resume()


def repeated_depth(ground: Ground) -> None:
    """An update that comes twice changes nothing the second time."""
    ground.wait_ready()
    ground.server.faults.arm(Fault.REPEAT_DEPTH, times=4)
    for _ in range(4):
        ground.server.step()
    ground.server.pause()
    ground.server.step()
    ground.wait(ground.books_agree, "after repeated updates the books differ from the venue's")
    ground.server.resume()


def submit_and_fill(ground: Ground) -> None:
    """An order at any price is taken, filled, and heard of once, with the venue's own numbers."""
    cl_ord_id = ground.place()
    ground.wait(lambda: ground.filled(cl_ord_id) == ground.lots, "the fill was not heard of")
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.ACK) or ground.filled(cl_ord_id), "no acknowledgement")
    order = ground.truth(cl_ord_id)
    assert order is not None
    check(order.received == 1, f"the venue got the order {order.received} times")
    fills = ground.kept.fills(ground.client_id(cl_ord_id))
    paid = sum((fill.quantity * fill.price for fill in fills), Decimal(0)) * ground.mapping.units_per_lot
    check(paid == order.filled * order.average, f"we heard of {paid}, the venue has {order.filled * order.average}")
    check(all(fill.side is ground.created[cl_ord_id].side for fill in fills), "a fill is on the wrong side")


def partial(ground: Ground) -> None:
    """Of an order larger than the book the rest ends, and what was filled is all heard of."""
    cl_ord_id = ground.place(lots=ground.lots_offered() * 2)
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.DONE), "the end of the rest was not heard of")
    ground.wait(lambda: ground.filled(cl_ord_id) == ground.truth_lots(cl_ord_id), "fills are missing")
    done = ground.kept.of(ground.client_id(cl_ord_id), ReportKind.DONE)[0].report
    check(done.cumulative == ground.truth_lots(cl_ord_id), f"the end says {done.cumulative} lots")
    check(0 < done.cumulative < ground.created[cl_ord_id].quantity, "nothing, or everything, was filled")


def reject(ground: Ground) -> None:
    """A refusal is told with the venue's reason, and nothing of the order lives."""
    ground.wait_ready()
    ground.server.faults.arm(Fault.REJECT)
    cl_ord_id = ground.place()
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.REJECT), "the refusal was not heard of")
    said = ground.kept.of(ground.client_id(cl_ord_id), ReportKind.REJECT)[0].report
    check(said.text or said.command, "the refusal has no reason")
    check(not ground.filled(cl_ord_id), "a refused order was filled")


def cancel(ground: Ground) -> None:
    """A resting order is known to the venue, ends when asked, and a second cancel ends nothing."""
    cl_ord_id = ground.place(reach="rest", force="gtc")
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.ACK), "a resting order was not acknowledged")
    client_id = ground.client_id(cl_ord_id)
    working = ground.driver.run(ground.driver.venue.open_orders(now_us=time.time_ns() // 1_000))
    check(client_id in working, f"open orders lack it: {working}")
    check(ground.driver.cancel(order=ground.order(cl_ord_id)), "the cancel could not be sent")
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.DONE), "the end was not heard of")
    order = ground.truth(cl_ord_id)
    check(order is not None and order.ended == "cancelled", "the venue did not end it")
    ground.driver.cancel(order=ground.order(cl_ord_id))
    check(len(ground.kept.of(client_id, ReportKind.DONE)) == 1, "it ended twice")
    check(ground.has(cl_ord_id, ReportKind.UNCANCEL), "the refused second cancel was not told")


def replace(ground: Ground) -> None:
    """A resting order gets another quantity in place, under the same id."""
    cl_ord_id = ground.place(reach="rest", force="gtc")
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.ACK), "a resting order was not acknowledged")
    order = ground.order(cl_ord_id)
    smaller = ground.lots / 2
    ground.driver.replace(order=order, quantity=smaller, limit_price=order.limit_price)
    changed = ground.truth(cl_ord_id)
    assert changed is not None
    ground.wait(
        lambda: (found := ground.truth(cl_ord_id)) and found.quantity == smaller * ground.mapping.units_per_lot,
        "the venue still has the old quantity",
    )
    ground.driver.cancel(order=order)
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.DONE), "the replaced order did not end")


def replace_refused(ground: Ground) -> None:
    """A venue that cannot change an order in place is not asked to; the order stays as it is."""
    cl_ord_id = ground.place(reach="rest", force="gtc")
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.ACK), "a resting order was not acknowledged")
    order = ground.order(cl_ord_id)
    try:
        ground.driver.replace(order=order, quantity=ground.lots / 2, limit_price=order.limit_price)
    except UnableToTranslate:
        found = ground.truth(cl_ord_id)
        check(found is not None and not found.ended, "the order ended")
    else:
        raise UnableToPass("a change in place was not refused")
    ground.driver.cancel(order=order)
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.DONE), "the order did not end")


def duplicate_id(ground: Ground) -> None:
    """The same id twice leaves one order, and the refusal of the second is no refusal of the first."""
    cl_ord_id = ground.place(reach="rest", force="gtc")
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.ACK), "a resting order was not acknowledged")
    ground.send(cl_ord_id)
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.DOUBT), "the second copy was not doubted")
    check(not ground.has(cl_ord_id, ReportKind.REJECT), "the first order was told to be refused")
    said = ground.settle(cl_ord_id, "no status came")
    check(said.report.standing == "working", f"the order is {said.report.standing}")
    ground.driver.cancel(order=ground.order(cl_ord_id))


def cut_before_the_venue(ground: Ground) -> None:
    """An order lost on its way is in doubt until the venue says that it never had it."""
    ground.wait_ready()
    ground.server.faults.arm(Fault.CUT_BEFORE)
    cl_ord_id = ground.place()
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.DOUBT), "a lost order was not doubted")
    said = ground.settle(cl_ord_id, "the doubt was never settled")
    check(said.report.standing == "unknown", f"the venue never had it, yet it is {said.report.standing}")
    check(ground.truth(cl_ord_id) is None, "the order was sent again")


def cut_after_the_venue(ground: Ground) -> None:
    """An order whose answer was lost is in doubt, never sent again, and its fills are found by the status."""
    ground.wait_ready()
    ground.server.faults.arm(Fault.MUTE_EVENT, times=3)
    ground.server.faults.arm(Fault.CUT_AFTER)
    cl_ord_id = ground.place()
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.DOUBT), "a lost answer was not doubted")
    said = ground.settle(cl_ord_id, "the doubt was never settled")
    ground.server.faults.disarm(Fault.MUTE_EVENT)
    check(said.report.standing == "filled", f"the venue filled it, yet it is {said.report.standing}")
    check(ground.filled(cl_ord_id) == ground.truth_lots(cl_ord_id) == ground.lots, "fills are missing or doubled")
    order = ground.truth(cl_ord_id)
    check(order is not None and order.received == 1, "the order was sent again")


def server_error(ground: Ground) -> None:
    """A 5xx says nothing of the order: doubt, then a status."""
    ground.wait_ready()
    ground.server.faults.arm(Fault.SERVER_ERROR)
    cl_ord_id = ground.place()
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.DOUBT), "a server error was not doubted")
    check(ground.settle(cl_ord_id, "the doubt was never settled").report.standing == "unknown", "not unknown")


def streams_cut(ground: Ground) -> None:
    """Cut streams withdraw every quote, no order leaves meanwhile, and both come back by themselves."""
    ground.wait_ready()
    ground.server.go_away()
    ground.wait(lambda: not ground.driver.ready, "the lost streams were not noticed")
    ground.wait(lambda: not ground.driver.all_quotes(), "quotes of a lost venue are still shown")
    cl_ord_id = ground.child(lots=ground.lots)
    try:
        ground.send(cl_ord_id)
    except UnableToSend:
        check(ground.truth(cl_ord_id) is None, "an order left while the venue was away")
    else:
        raise UnableToPass("an order was sent while its reports could not be heard")
    ground.server.come_back()
    ground.wait_ready()
    ground.server.pause()
    ground.server.step()
    ground.wait(ground.books_agree, "after the outage the books differ")
    ground.server.resume()


def filled_while_away(ground: Ground) -> None:
    """What filled during an outage is found by the reconciliation, once, and once more changes nothing."""
    since_us = time.time_ns() // 1_000 - 60_000_000
    cl_ord_id = ground.place(reach="rest", force="gtc")
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.ACK), "a resting order was not acknowledged")
    ground.server.go_away()
    ground.wait(lambda: not ground.driver.ready, "the outage was not noticed")
    half = ground.lots / 2 * ground.mapping.units_per_lot
    ground.server.exchange.fill_resting(cl_ord_id=ground.client_id(cl_ord_id), quantity=half)
    ground.server.exchange.fill_resting(cl_ord_id=ground.client_id(cl_ord_id), quantity=half)
    time.sleep(QUIET_S)
    check(not ground.filled(cl_ord_id), "the outage was none")
    ground.server.come_back()
    ground.wait_ready()
    check(ground.driver.reconcile(since_us=since_us), "the reconciliation failed")
    check(ground.filled(cl_ord_id) == ground.lots, f"{ground.filled(cl_ord_id)} of {ground.lots} lots were found")
    ground.driver.reconcile(since_us=since_us)
    ground.driver.ask_status(order=ground.order(cl_ord_id))
    check(ground.filled(cl_ord_id) == ground.lots, "a second reconciliation counted fills again")


def muted_stream(ground: Ground) -> None:
    """A stream that loses a message without breaking hides no fill for ever."""
    since_us = time.time_ns() // 1_000 - 60_000_000
    cl_ord_id = ground.place(reach="rest", force="gtc")
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.ACK), "a resting order was not acknowledged")
    ground.server.faults.arm(Fault.MUTE_EVENT)
    units = ground.lots * ground.mapping.units_per_lot
    ground.server.exchange.fill_resting(cl_ord_id=ground.client_id(cl_ord_id), quantity=units)
    time.sleep(QUIET_S)
    ground.driver.reconcile(since_us=since_us)
    check(ground.filled(cl_ord_id) == ground.lots, "the lost fill was not found")


def repeated_events(ground: Ground) -> None:
    """Reports that come twice count once."""
    ground.wait_ready()
    ground.server.faults.arm(Fault.REPEAT_EVENT, times=4)
    cl_ord_id = ground.place()
    ground.wait(lambda: ground.filled(cl_ord_id) == ground.lots, "the fill was not heard of")
    time.sleep(QUIET_S)
    ground.server.faults.disarm(Fault.REPEAT_EVENT)
    check(ground.filled(cl_ord_id) == ground.lots, f"{ground.filled(cl_ord_id)} lots were counted")


def symbols(ground: Ground) -> None:
    """The venue bears out our mapping; a wrong one is named; an order off its steps never leaves."""
    ground.wait_ready()
    terms = ground.driver.run(ground.driver.venue.symbols(now_us=time.time_ns() // 1_000))
    mappings = ground.config.from_venue
    found = mismatches(mappings=mappings, symbols=terms, lot_step=Decimal("0.01"))
    check(not found, "; ".join(found))
    wrong = {"NOSUCH": ground.mapping}
    check(mismatches(mappings=wrong, symbols=terms, lot_step=Decimal("0.01")), "a wrong mapping passed")
    step = next(symbol.unit_step for symbol in terms if symbol.venue_symbol == ground.mapping.venue_symbol)
    cl_ord_id = ground.child(lots=(step / 2) / ground.mapping.units_per_lot)
    try:
        ground.send(cl_ord_id)
    except UnableToTranslate:
        check(ground.truth(cl_ord_id) is None, "it left all the same")
    else:
        raise UnableToPass("an order of half a step was sent")


def rate_limit(ground: Ground) -> None:
    """A throttled order is refused and told so; nothing is asked until the venue's time is over, then all is well."""
    ground.wait_ready()
    ground.server.faults.arm(Fault.THROTTLE)
    cl_ord_id = ground.place()
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.REJECT), "a throttled order was not told to be refused")
    asked = len(ground.server.requests)
    late = ground.child(lots=ground.lots)
    try:
        ground.send(late)
    except UnableToSend:
        check(len(ground.server.requests) == asked, "the venue was asked in its silence")
    else:
        raise UnableToPass("an order was sent while throttled")
    time.sleep(RATE_S)
    again = ground.place()
    ground.wait(lambda: ground.filled(again) == ground.lots, "orders did not go on after the throttle")


def account(ground: Ground) -> None:
    """Positions and balances are the venue's."""
    ground.wait_ready()
    cl_ord_id = ground.place()
    ground.wait(lambda: ground.filled(cl_ord_id) == ground.lots, "the fill was not heard of")
    now_us = time.time_ns() // 1_000
    check(ground.driver.run(ground.driver.venue.balances(now_us=now_us)), "no balance")
    held = {p.symbol: p.lots for p in ground.driver.run(ground.driver.venue.positions(now_us=now_us))}
    units = ground.server.exchange.position(symbol=ground.server_symbol(ground.mapping))
    if held:
        check(held[ground.symbol] * ground.mapping.units_per_lot == units, f"positions {held}, the venue has {units}")


def nothing_missing(ground: Ground) -> None:
    """INV-04: after all of it, what we heard of is what the venue did, order by order."""
    ground.wait_ready()
    ground.driver.reconcile(since_us=time.time_ns() // 1_000 - 600_000_000)
    for cl_ord_id in ground.created:
        heard, did = ground.filled(cl_ord_id), ground.truth_lots(cl_ord_id)
        check(heard == did, f"{cl_ord_id}: heard of {heard}, the venue did {did}")
        order = ground.truth(cl_ord_id)
        check(order is None or order.received <= 2, f"{cl_ord_id} was received {order.received if order else 0} times")
