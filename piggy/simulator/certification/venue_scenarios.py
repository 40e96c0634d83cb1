"""What only some venues must survive: agents, pacing, clocks, executions restated after the fact."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from piggy.adapters.interface import ReportKind, UnableToSend
from piggy.core.commands import RecordVenueBust, RecordVenueCorrection
from piggy.simulator.certification.ground import Ground
from piggy.simulator.certification.scenarios import QUIET_S, RATE_S, check
from piggy.simulator.faults import Fault
from piggy.simulator.ibkr import OVERRUNS_MAX, TwsServer
from piggy.simulator.mt5 import TerminalServer

PACED_ORDERS = 40


def agent_logon(ground: Ground) -> None:
    """The agent is let in; one that signs with another secret never is."""
    ground.wait_ready()
    assert isinstance(ground.server, TerminalServer)
    ground.server.go_away()
    ground.wait(lambda: not ground.driver.ready, "the agent's going was not noticed")
    stranger = ground.server.agent("wrong")
    thread = threading.Thread(target=stranger.run, daemon=True)
    thread.start()
    time.sleep(QUIET_S)
    check(not ground.driver.ready, "a stranger was let in")
    stranger.stopping.set()
    thread.join(5)
    ground.server.come_back()
    ground.wait_ready()


def whole_or_nothing(ground: Ground) -> None:
    """An order larger than the book is refused, and nothing of it is done."""
    cl_ord_id = ground.place(lots=ground.lots_offered() * 2)
    ground.wait(lambda: ground.has(cl_ord_id, ReportKind.REJECT), "the refusal was not heard of")
    check(not ground.filled(cl_ord_id) and not ground.truth_lots(cl_ord_id), "a part of it was done")


def paced(ground: Ground) -> None:
    """However much is asked at once, the venue is never asked faster than it allows, and orders go before questions."""
    assert isinstance(ground.server, TwsServer)
    ground.wait_ready()
    names = [ground.child(lots=ground.lots, reach="rest", force="gtc") for _ in range(PACED_ORDERS)]
    started, late = time.monotonic(), []

    def send(cl_ord_id: str) -> None:
        ground.driver.run(ground.driver.venue.open_orders(now_us=time.time_ns() // 1_000))
        try:
            ground.send(cl_ord_id)
        except UnableToSend as error:
            late.append(str(error))

    with ThreadPoolExecutor(max_workers=20) as pool:
        list(pool.map(send, names))
    check(late or time.monotonic() - started > 1, "orders left faster than the venue allows")
    check(ground.server.overruns < OVERRUNS_MAX, "the venue was asked so fast that it hung up")
    time.sleep(RATE_S)
    again = ground.place()
    ground.wait(lambda: ground.filled(again) == ground.lots, "orders did not go on after the pause")


def clock(ground: Ground) -> None:
    """An order refused for its time is timed anew and goes out once."""
    ground.wait_ready()
    ground.server.faults.arm(Fault.CLOCK)
    cl_ord_id = ground.place()
    ground.wait(lambda: ground.filled(cl_ord_id) == ground.lots, "the order did not go out")
    order = ground.truth(cl_ord_id)
    check(order is not None and order.received == 1, "the order went out twice")


def restated(ground: Ground) -> None:
    """Executions that the venue corrects and takes back later are told so, by the name that we gave them (F-15)."""
    for price, kind in ((Decimal(1), ReportKind.CORRECTION), (Decimal(0), ReportKind.BUST)):
        cl_ord_id = ground.place()
        ground.wait(lambda: ground.filled(cl_ord_id) == ground.lots, "the fill was not heard of")  # noqa: B023
        first = ground.kept.fills(ground.client_id(cl_ord_id))[0]
        left = first.quantity * ground.mapping.units_per_lot / 2 if price else Decimal(0)
        ground.server.exchange.restate(cl_ord_id=ground.client_id(cl_ord_id), quantity=left, price=price)
        ground.wait(lambda: ground.has(cl_ord_id, kind), f"the {kind.value} was not heard of")  # noqa: B023
        said = ground.kept.of(ground.client_id(cl_ord_id), kind)[0].report
        assert isinstance(said.command, RecordVenueBust | RecordVenueCorrection)
        check(said.command.ref_fill_id == first.fill_id, f"it restates {said.command.ref_fill_id}, not {first.fill_id}")
        truth = ground.truth_lots(cl_ord_id)
        check(said.cumulative == truth, f"we heard of {said.cumulative} lots, the venue has {truth}")
        # What was restated is compared here; the last scenario compares fills.
        del ground.created[cl_ord_id]
