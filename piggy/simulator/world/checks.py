"""What must hold of a world at rest, each by the name it has in the reliability contract."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

from piggy.core import events as ev
from piggy.core import ledger
from piggy.core.correction_events import OrderFillBusted, VenueFillBusted
from piggy.core.desk import Desk
from piggy.core.events import AnyEvent
from piggy.core.money import ZERO
from piggy.core.pricing import at_least_as_good
from piggy.core.state import Order
from piggy.engine.snapshot import digest
from piggy.simulator.world.clients import Client
from piggy.simulator.world.lp import UNITS, SimulatedLp
from piggy.simulator.world.worker import SimulatedWorker


class RuleBroken(AssertionError):
    """A rule does not hold; the message names it and what was found."""


def check(
    *,
    log: list[AnyEvent],
    live: Desk,
    replayed: Desk,
    whole: Desk,
    clients: Iterable[Client],
    lps: Iterable[SimulatedLp],
    workers: Iterable[SimulatedWorker],
) -> None:
    """Check every rule; `replayed` is the desk of the log from its first event, without snapshots, `whole` that of one
    in which nothing ever left. Raises RuleBroken."""
    lps = list(lps)
    _acknowledged_is_kept(log, clients)
    arrived_once(lps=lps)
    _lps_and_log_agree(log, lps)
    _workers_are_at_rest(workers)
    _orders_add_up(log, live, whole)
    _money_adds_up(log, live)
    _require("INV-08 replay", digest(state=live.state) == digest(state=replayed.state), "the live desk is not its log")


def arrived_once(*, lps: Iterable[SimulatedLp]) -> None:
    """No LP ever got a ClOrdID twice, at rest or not. Raises RuleBroken."""
    for lp in lps:
        for order in lp.truth.orders.values():
            _require("INV-03 an order arrives once", order.received == 1, order)


def canonical(value: Any) -> Any:
    """Return `value` with every set and mapping in order, so that two states compare by what they hold."""
    if isinstance(value, dict):
        return sorted(((repr(key), canonical(item)) for key, item in value.items()), key=lambda pair: pair[0])
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    if isinstance(value, list | tuple | deque):
        return [canonical(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: canonical(getattr(value, field.name)) for field in fields(value)}
    plain = "__repr__" not in {name for kind in type(value).__mro__[:-1] for name in vars(kind)}
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    if plain and slots:
        return {name: canonical(getattr(value, name)) for name in slots if hasattr(value, name)}
    if plain and hasattr(value, "__dict__"):
        return canonical(vars(value))
    return repr(value)


def _acknowledged_is_kept(log: list[AnyEvent], clients: Iterable[Client]) -> None:
    known = {event.order_id for event in log if isinstance(event, ev.OrderAccepted | ev.OrderDenied)}
    by_client: Counter[str] = Counter(
        event.terms.client_order_id for event in log if isinstance(event, ev.OrderAccepted | ev.OrderDenied)
    )
    twice = {name: times for name, times in by_client.items() if name and times > 1}
    _require("INV-02 one effect per id", not twice, twice)
    for client in clients:
        told = {answer.order.order_id for answer in client.heard.values() if answer.order is not None}
        _require("INV-01 nothing acknowledged is lost", told <= known, told - known)
        _require("INV-02 repeats hear the same", not client.wrong, client.wrong)


def _lps_and_log_agree(log: list[AnyEvent], lps: Iterable[SimulatedLp]) -> None:
    sent = Counter(event.cl_ord_id for event in log if isinstance(event, ev.ChildOrderCreated))
    _require("INV-03 a ClOrdID is made once", set(sent.values()) <= {1}, sent.most_common(1))
    recorded: Counter[tuple[object, ...]] = Counter(
        (event.venue, event.cl_ord_id, event.fill_id, event.quantity * UNITS, event.price)
        for event in log
        if isinstance(event, ev.ChildOrderFilled)
    )
    # A correction puts an execution of its own in the place of one.
    recorded.subtract(
        (event.venue, event.cl_ord_id, event.fill_id, event.quantity * UNITS, event.price)
        for event in log
        if isinstance(event, VenueFillBusted)
    )
    made: Counter[tuple[object, ...]] = Counter()
    for lp in lps:
        for order in lp.truth.orders.values():
            _require("INV-15 no order without its event", order.cl_ord_id in sent, order)
            made.update((lp.name, order.cl_ord_id, fill.exec_id, fill.quantity, fill.price) for fill in order.fills)
    _require("INV-04 each fill counts once", +recorded == made and not -recorded, (recorded - made) + (made - recorded))
    # What an LP makes of an execution whose client's fill a person has put right since is the house's.
    put_right = {event.cl_ord_id for event in log if isinstance(event, OrderFillBusted) and event.by}
    suspended = Counter(
        (event.venue, event.cl_ord_id, event.fill_id)
        for event in log
        if isinstance(event, ev.VenueReportSuspended)
        and not (event.code == "overfill" and event.cl_ord_id in put_right)
    )
    beyond = _beyond_their_limits(log)
    _require(
        "F-14 only what is beyond its limit is suspended", suspended == beyond, (suspended - beyond, beyond - suspended)
    )


def _beyond_their_limits(log: list[AnyEvent]) -> Counter[tuple[str, str, str]]:
    """Count the executions worse than what their venue was told; here an LP only ever corrects to such."""
    limits = {event.cl_ord_id: event.limit_price for event in log if isinstance(event, ev.ChildOrderCreated)}
    dealt = (event for event in log if isinstance(event, ev.ChildOrderFilled))
    return Counter(
        (fill.venue, fill.cl_ord_id, f"{fill.fill_id}/limit")
        for fill in dealt
        if not at_least_as_good(price=fill.price, limit=limits[fill.cl_ord_id], side=fill.side)
    )


def _workers_are_at_rest(workers: Iterable[SimulatedWorker]) -> None:
    for worker in workers:
        doubtful = [row for row in worker.kept.orders.values() if row.state in ("doubt", "persisted", "sent")]
        _require("F-02 every doubt is settled", not doubtful, doubtful)


def _orders_add_up(log: list[AnyEvent], live: Desk, whole: Desk) -> None:
    filled: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for event in log:
        if isinstance(event, ev.OrderFilled):
            filled[event.order_id] += event.quantity
        elif isinstance(event, OrderFillBusted):
            filled[event.order_id] -= event.quantity
    for order_id, order in whole.state.orders.items():
        _require("INV-05 filled is the sum of fills", order.filled == filled[order_id], order)
        _require("INV-05 never overfilled", ZERO <= order.filled <= order.quantity, order)
    for order_id, order in live.state.orders.items():
        same = _of(order) == _of(whole.state.orders[order_id])
        _require("INV-08 what came back is as if it had never left", same, order)
    working = [order for order in whole.state.orders.values() if not order.state.final]
    left = [order for order in working if order.order_id not in live.state.orders]
    _require("INV-01 what works has not left", not left, left)
    in_doubt = [child for child in live.state.open_children.values() if child.in_doubt or not child.acknowledged]
    _require("every leg is settled", not in_doubt, in_doubt)
    _require("F-16 nothing is parked any more", not live.state.parked, live.state.parked)


def _of(order: Order) -> tuple[object, ...]:
    return order.state, order.filled, order.text


def _money_adds_up(log: list[AnyEvent], live: Desk) -> None:
    clients: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for event in log:
        account_id = getattr(event, "account_id", "")
        currency = live.state.accounts[account_id].currency if account_id in live.state.accounts else "USD"
        for line in ledger.postings(event=event, currency=currency):
            if line.gl_account == ledger.CLIENT_MONEY:
                clients[line.owner] -= line.amount
    for account_id, balance in live.state.balances.items():
        _require("INV-07 balance is the sum of the ledger", clients[account_id] == balance, (account_id, balance))
    net: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for position in live.state.positions.values():
        net[position.account_id] += position.quantity
    dealt: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for event in log:
        if isinstance(event, ev.OrderFilled):
            dealt[event.account_id] += event.quantity * event.side.sign
        elif isinstance(event, OrderFillBusted):
            dealt[event.account_id] -= event.quantity * event.side.sign
    for account_id, quantity in dealt.items():
        _require("INV-07 position is the sum of fills", net[account_id] == quantity, (account_id, quantity))


def _require(rule: str, holds: bool, found: object) -> None:
    if not holds:
        raise RuleBroken(f"{rule}: {str(found)[:600]}")
