"""What must hold of the log all the way, not only at its end: kills reach what works, corrections append."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from decimal import Decimal
from itertools import groupby

import msgspec

from piggy.core import events as ev
from piggy.core import ledger
from piggy.core.accounts import TradingState
from piggy.core.correction_events import OrderFillBusted, VenueFillBusted
from piggy.core.desk import Desk
from piggy.core.events import Recorded
from piggy.core.money import ZERO
from piggy.core.orders import FORCED, OF_A_POSITION, OrderType
from piggy.core.positions import Position
from piggy.core.risk import terms_hash
from piggy.core.state import Order
from piggy.messaging.chain import Tip
from piggy.simulator.world.checks import RuleBroken, canonical
from piggy.simulator.world.recount import AtVenues, differences
from piggy.simulator.world.store import Store

ASK_S = 3.0


class Auditor:
    """Asks now and then what is true as of now, and in the end the same questions again (INV-23)."""

    def __init__(self, *, tenant: str, store: Store) -> None:
        self._tenant, self._store = tenant, store
        self._heard: dict[int, str] = {}
        self._desk, self._tip = Desk(tenant=tenant), Tip()

    async def watch(self) -> None:
        """Ask until cancelled."""
        while True:
            await asyncio.sleep(ASK_S)
            self._store.recover(tenant=self._tenant, desk=self._desk, tip=self._tip)
            self._heard[self._tip.seq] = _told(self._desk)

    def ask_again(self) -> None:
        """Raises RuleBroken where an answer is not what it was."""
        now = self._answers(set(self._heard))
        changed = [seq for seq, heard in self._heard.items() if now[seq] != heard]
        if changed:
            raise RuleBroken(f"INV-23 as of the same event the same answer: {changed}")

    def _answers(self, seqs: set[int]) -> dict[int, str]:
        """Return a digest of balances and positions after each of `seqs` events, out of the log alone."""
        desk, found = Desk(tenant=self._tenant), {}
        for recorded in self._store.events(tenant=self._tenant):
            desk.apply(recorded=recorded)
            if recorded.seq in seqs:
                found[recorded.seq] = _told(desk)
        return found | dict.fromkeys(seqs - found.keys(), _told(Desk(tenant=self._tenant)))


def _told(desk: Desk) -> str:
    told = canonical((desk.state.balances, desk.state.positions))
    return hashlib.sha256(repr(told).encode()).hexdigest()


def check_history(*, log: list[Recorded]) -> None:
    """Check kills and corrections event by event. Raises RuleBroken."""
    desk = Desk(tenant="history")
    by_seq = {recorded.seq: recorded.event for recorded in log}
    judged: set[str] = set()
    superseded: set[int] = set()
    at_venues = AtVenues()
    pairs = _Pairs()
    money: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for _, command in groupby(log, key=lambda recorded: recorded.command_id):
        kill: ev.TradingStateChanged | None = None
        for recorded in command:
            event = recorded.event
            if isinstance(event, ev.ChildOrderCreated):
                ours = event.order_id in judged or event.order_id in desk.state.hedges
                _require("INV-15 nothing leaves without a verdict that it passed", ours, event)
                allowed = _is_forced(desk, event) or not _is_killed(desk, event)
                _require("INV-16 nothing new goes out of a killed scope", allowed, event)
            held = desk.state.positions.get(getattr(event, "position_id", ""))
            desk.apply(recorded=recorded)
            at_venues.hear(event=event)
            if isinstance(event, ev.OrderFilled):
                _only_reduces(event, held, desk)
            pairs.hear(event=event, desk=desk)
            _is_judged(event, desk, judged)
            if event.supersedes:
                _require("INV-23 corrected once", event.supersedes not in superseded, event)
                _require("INV-23 it names what it corrects", _corrects(event, by_seq[event.supersedes]), event)
                superseded.add(event.supersedes)
            if isinstance(event, ev.TradingStateChanged) and event.state is TradingState.KILLED:
                kill = event
            _book(event, desk, money)
        wrong = {name: amount for name, amount in money.items() if desk.state.balances.get(name, ZERO) != amount}
        _require("INV-07 the ledger is the balance after every command", not wrong, (recorded.seq, wrong))
        if kill is not None:
            _reaches_all(desk, kill)
        found = differences(state=desk.state, at_venues=at_venues)
        _require("every running sum is its count", not found, (recorded.seq, found))


def _reaches_all(desk: Desk, kill: ev.TradingStateChanged) -> None:
    """Nothing of the scope works any more but what a venue was asked to end."""
    state = desk.state
    for child in state.open_children.values():
        leg, order = child.created, state.orders.get(child.created.order_id)
        if _is_in(kill.scope, kill.key, leg, order):
            _require("INV-16 a kill reaches the legs at venues", child.cancel is not None, leg)
    for order_id in (order_id for ids in state.open_orders.values() for order_id in ids):
        order = state.orders[order_id]
        place = {"group": order.group, "account": order.terms.account_id, "symbol": order.terms.symbol, "tenant": ""}
        if place.get(kill.scope) == kill.key:
            _require("INV-16 a kill ends what works", bool(order.cancelling), order)


def _is_judged(event: ev.AnyEvent, desk: Desk, judged: set[str]) -> None:
    """Require of an order, new or changed, that what it now says is what its verdict was passed on (INV-15).

    The desk's own changes have none: they make an order smaller, or move a stop after the market.
    """
    if isinstance(event, ev.OrderAccepted):
        verdict: ev.Verdict | None = event.verdict
    elif isinstance(event, ev.OrderAmended):
        verdict = event.verdict
    else:
        return
    if verdict is not None:
        terms = desk.state.orders[event.order_id].terms
        asked = {terms_hash(terms=terms)}
        if terms.type is OrderType.TRAILING_STOP:  # The desk gives it its stop unless somebody asked for one.
            asked.add(terms_hash(terms=msgspec.structs.replace(terms, stop_price=None)))
        same = verdict.terms_hash in asked and verdict.order_id == event.order_id
        _require("INV-15 the verdict is on exactly these terms", verdict.passed and same, event)
        judged.add(event.order_id)


def _only_reduces(fill: ev.OrderFilled, before: Position | None, desk: Desk) -> None:
    """What only reduces neither opens a position nor turns it round; legs that are out and fills that are put right
    are what they were."""
    order = desk.state.orders[fill.order_id]
    if not order.terms.reduce_only or fill.cl_ord_id or fill.place_seq:
        return
    was = before.quantity if before else ZERO
    after = desk.state.positions.get(fill.position_id)
    now = after.quantity if after else ZERO
    _require("reduce-only reduces", abs(now) < abs(was) and now * was >= 0, (fill, was, now))


class _Pairs:
    """Clients' orders under one name, of which only one ever deals. A name whose orders have all ended is free again.

    The exits of an entry are not among them: they share its lots, so that what one leaves stays protected.
    """

    def __init__(self) -> None:
        self._mates: dict[str, list[str]] = {}
        self._dealt: set[str] = set()

    def hear(self, *, event: ev.AnyEvent, desk: Desk) -> None:
        """Raises RuleBroken where a second one deals; `event` is applied."""
        if isinstance(event, ev.OrderAccepted) and event.terms.oco_group and event.source not in OF_A_POSITION:
            known = sorted(desk.state.oco[event.terms.account_id, event.terms.oco_group] - {event.order_id})
            mates = self._mates[known[0]] if known else []
            mates.append(event.order_id)
            self._mates[event.order_id] = mates
        elif isinstance(event, ev.OrderFilled) and event.order_id in self._mates:
            self._dealt.add(event.order_id)
            both = self._dealt.intersection(self._mates[event.order_id])
            _require("one cancels the other", len(both) == 1, (both, event))


def _is_forced(desk: Desk, leg: ev.ChildOrderCreated) -> bool:
    """Return whether the desk closes by itself what a killed scope still holds: a kill is no reason to keep it."""
    order = desk.state.orders.get(leg.order_id)
    return order is not None and order.source in FORCED


def _is_killed(desk: Desk, leg: ev.ChildOrderCreated) -> bool:
    order = desk.state.orders.get(leg.order_id)
    killed = (key for key, state in desk.state.trading_states.items() if state is TradingState.KILLED)
    return any(_is_in(scope, key, leg, order) for scope, key in killed)


def _is_in(scope: str, key: str, leg: ev.ChildOrderCreated, order: Order | None) -> bool:
    if scope == "tenant":
        return True
    if scope in ("symbol", "venue"):
        return key == {"symbol": leg.symbol, "venue": leg.venue}[scope]
    return order is not None and key == {"group": order.group, "account": order.terms.account_id}[scope]


def _corrects(event: ev.AnyEvent, earlier: ev.AnyEvent) -> bool:
    if isinstance(event, VenueFillBusted):
        return isinstance(earlier, ev.ChildOrderFilled) and earlier.fill_id == event.fill_id
    if isinstance(event, OrderFillBusted):
        return isinstance(earlier, ev.OrderFilled) and earlier.fill_id == event.fill_id
    return False


def _book(event: ev.AnyEvent, desk: Desk, money: defaultdict[str, Decimal]) -> None:
    account = desk.state.accounts.get(getattr(event, "account_id", ""))
    sums: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for line in ledger.postings(event=event, currency=account.currency if account else "USD"):
        sums[line.currency] += line.amount
        if line.gl_account == ledger.CLIENT_MONEY:
            money[line.owner] -= line.amount
    _require("every booking adds up to nothing", not any(sums.values()), event)


def _require(rule: str, holds: bool, found: object) -> None:
    if not holds:
        raise RuleBroken(f"{rule}: {str(found)[:600]}")
