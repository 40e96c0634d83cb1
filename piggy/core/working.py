"""Working an order: cross it with other clients, keep the B part, send the A part; rest or cancel what is left."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial

import msgspec

from piggy.core import venue_cancels
from piggy.core.auctions import AuctionRules
from piggy.core.bookbuild import BuiltSide
from piggy.core.crossing import Meeting
from piggy.core.entry import CLOSED
from piggy.core.events import RoutingDecision
from piggy.core.execution import Execution, position_id_of
from piggy.core.instruments import Instrument
from piggy.core.interrupting import call, meeting_of, waits_for_auction
from piggy.core.keeping import Keep, at_venues, guaranteed_keep, keep_lots, keeps_of
from piggy.core.market import AttributedLevel
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms, OrderType, TimeInForce
from piggy.core.positions import Position, opening_lots
from piggy.core.pricing import at_least_as_good, client_price, raw_limit
from piggy.core.ranking import Ranking
from piggy.core.retrying import ATTEMPTS_MAX, may_rest, nothing_left, passed_over
from piggy.core.routing import FREE, Leg, decision, spread, waiting
from piggy.core.routing_rules import Situation, Treatment, treatment
from piggy.core.splitting import split
from piggy.core.standing import dealable_lots, may_deal, over_with, switched_off
from piggy.core.state import Order
from piggy.core.venue_room import full_venues
from piggy.core.whole_orders import Way, is_whole, short, torn_up, ways, whole_leg

HIDDEN = "no price is shown: the spread is beyond the maximum, or the book too thin for the size"
STOPPED = "nothing deals here now: halted, only reducing, in a call, or too near its guaranteed stop"
PAIRED = "the other of its pair deals, or is out at a venue"
NOWHERE = Situation(account_id="", owner_id="", group="", symbol="", lots=ZERO, at_us=0)
PRICED = (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.MARKET_IF_TOUCHED)
IOC, FOK = TimeInForce.IOC.value, TimeInForce.FOK.value
NOBODY = Meeting()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be done with an order's free lots now; `decision` is the record of why.

    `markup` is what the client pays over every raw price of it.
    """

    decision: RoutingDecision
    meeting: Meeting
    keeps: tuple[Keep, ...] = ()
    legs: tuple[Leg, ...] = ()
    markup: Decimal = ZERO
    interrupts: AuctionRules | None = None

    @property
    def acts(self) -> bool:
        """Whether it would change anything now."""
        if self.interrupts:
            return True
        return bool(self.lots or self.meeting.cancels or self.meeting.reductions or self.meeting.ends_incoming)

    @property
    def takes(self) -> bool:
        """Whether it would deal with, or act on, somebody who was there before."""
        return self.meeting.touched or bool(self.keeps or self.legs)

    @property
    def lots(self) -> Decimal:
        """The lots that would be filled or sent out now."""
        parts: tuple[Keep | Leg, ...] = (*self.keeps, *self.legs)
        return sum((part.quantity for part in parts), self.meeting.lots)


def plan(*, order: Order, quantity: Decimal, execution: Execution) -> Plan:
    """Return what to do with `quantity` free lots of `order` now, on top of what `execution` has decided."""
    moment, terms = execution.moment, order.terms
    # Once its price was reached, a guarantee is owed, whatever is stopped since.
    if not may_deal(order=order, execution=execution) and not (order.guaranteed and order.triggered):
        return _nothing(order=order, moment=moment, text=STOPPED)
    if terms.oco_group and execution.waits(order):
        return _nothing(order=order, moment=moment, text=PAIRED)
    state, side = moment.state, terms.side
    account, instrument = state.accounts[terms.account_id], state.instruments[terms.symbol]
    position = execution.position(position_id_of(account=account, order=order))
    quantity = dealable_lots(order=order, quantity=quantity, position=position, execution=execution)
    levels = moment.levels(symbol=terms.symbol, side=side)
    markup = moment.markup(account_id=account.account_id, symbol=terms.symbol, side=side, lots=terms.quantity)
    front = None
    if moment.market.is_deep:
        front = moment.front(account_id=account.account_id, symbol=terms.symbol, side=side, levels=levels)
    best = front.price if front else levels[0].price if levels else None
    limit = _raw_limit(terms=terms, instrument=instrument, best=best, markup=markup, moment=moment)
    treated = treatment_of(terms=terms, moment=moment)
    if order.guaranteed:
        return _guaranteed(
            order=order, quantity=quantity, treated=treated, limit=limit, levels=levels, front=front, markup=markup,
            position=position, execution=execution,
        )  # fmt: skip
    meeting = NOBODY
    if treated.internal_cross:
        street = None if best is None or markup is None else client_price(raw=best, markup=markup, side=side)
        meeting, rules = meeting_of(order=order, quantity=quantity, street=street, execution=execution)
        if rules:
            made = _nothing(order=order, moment=moment, text="clients would meet too far away: a call begins")
            return msgspec.structs.replace(made, interrupts=rules)
    tear = partial(
        torn_up, order=order, quantity=quantity, position=position, treated=treated, execution=execution,
        hidden=HIDDEN if markup is None else "",
    )  # fmt: skip
    way, rest, b_net = tear(meeting=meeting)
    opening = opening_lots(position=position, side=side, quantity=quantity)
    found: tuple[Way, ...] = (way,)
    if is_whole(terms=terms):
        if not opening and way.a_lots and meeting.crosses and not meeting.reductions:
            # A part of it closes at a venue, which may not deal it: so nobody is met before.
            way, rest, b_net = tear(meeting=Meeting(touched=True))
        found = ways(
            terms=terms, quantity=quantity, torn=way, treated=treated, opening=opening, b_net_lots=b_net, position=rest
        )
    for way in found:
        made = _made(
            order=order, way=way, treated=treated, limit=limit, levels=levels, front=front, markup=markup,
            opens=opening > 0, execution=execution,
        )  # fmt: skip
        lacking = short(order=order, lots=made.lots)
        if not lacking:
            return msgspec.structs.replace(made, keeps=()) if way.house_last else made
    text = f"{made.decision.text}; {lacking}"
    kept = Meeting(touched=meeting.touched)
    return Plan(decision=msgspec.structs.replace(made.decision, text=text), meeting=kept)


def _guaranteed(
    *,
    order: Order,
    quantity: Decimal,
    treated: Treatment,
    limit: Decimal | None,
    levels: tuple[AttributedLevel, ...],
    front: BuiltSide | None,
    markup: Decimal | None,
    position: Position | None,
    execution: Execution,
) -> Plan:
    """Return how a guaranteed stop deals all of `quantity` now: A's part at venues as ever, the house takes the rest.

    Nobody meets it: what other clients bid is not its price.
    """
    moment, terms = execution.moment, order.terms
    going, _ = at_venues(order=order, position=position, execution=execution)
    a_lots, _, why = split(
        treatment=treated, instrument=moment.instrument(terms.symbol), quantity=quantity, side=terms.side,
        position=position, going=going,
    )  # fmt: skip
    if order.attempts >= ATTEMPTS_MAX or not may_deal(order=order, execution=execution):
        a_lots = ZERO
    why = f"{why}; guaranteed at {terms.stop_price}"
    way = Way(meeting=NOBODY, a_lots=a_lots, b_lots=quantity - a_lots, why=why)
    deal = partial(
        _made, order=order, treated=treated, limit=limit, levels=levels, front=front, markup=markup, opens=False,
        execution=execution,
    )  # fmt: skip
    made = deal(way=way)
    sent = sum((leg.quantity for leg in made.legs), ZERO)
    if sent < a_lots:
        why = f"{why}; venues take {sent} of {a_lots} lots"
        made = deal(way=Way(meeting=NOBODY, a_lots=sent, b_lots=quantity - sent, why=why))
    keeps: tuple[Keep, ...] = ()
    if quantity > sent:
        rest = quantity - sent
        keeps = (guaranteed_keep(order=order, quantity=rest, levels=levels, front=front, execution=execution),)
    return msgspec.structs.replace(made, keeps=keeps)


def _made(
    *,
    order: Order,
    way: Way,
    treated: Treatment,
    limit: Decimal | None,
    levels: tuple[AttributedLevel, ...],
    front: BuiltSide | None,
    markup: Decimal | None,
    opens: bool,
    execution: Execution,
) -> Plan:
    """Return what would be done one `way`, as far as venues have what it asks for inside `limit`."""
    moment, terms, a_lots = execution.moment, order.terms, way.a_lots
    instrument, deal = moment.state.instruments[terms.symbol], whole_leg if is_whole(terms=terms) else spread
    barred = dict.fromkeys(moment.closed, CLOSED) if opens and moment.closed else {}
    ranking = _ranking(order=order, limit=limit, levels=levels, barred=barred, opens=opens, moment=moment)
    legs: tuple[Leg, ...] = ()
    keeps: tuple[Keep, ...] = ()
    if limit is not None:
        while a_lots and instrument.cross is None:
            legs = deal(reachable=ranking.reachable, quantity=a_lots, limit=limit, instrument=instrument)
            full = full_venues(legs=legs, terms=terms, opens=opens, sending=execution.sent_to, moment=moment)
            if not full:
                break
            barred |= full
            ranking = _ranking(order=order, limit=limit, levels=levels, barred=barred, opens=opens, moment=moment)
        if way.b_lots:
            keeps = keeps_of(
                levels=levels, quantity=way.b_lots, side=terms.side, limit=limit, instrument=instrument, front=front
            )
    record = decision(
        treatment=treated,
        a_quantity=a_lots,
        b_quantity=way.b_lots,
        cross_quantity=way.meeting.lots,
        venues=ranking.venues,
        at_us=moment.now_us,
        text=_told(why=_of_depth(way.why, front) if front else way.why, meeting=way.meeting, planned=legs),
        cost_version=ranking.cost_version,
    )
    return Plan(decision=record, meeting=way.meeting, keeps=keeps, legs=legs, markup=markup or ZERO)


def _nothing(*, order: Order, moment: Moment, text: str) -> Plan:
    return Plan(decision=waiting(group=moment.group_of(order.terms.account_id), text=text), meeting=NOBODY)


def treatment_of(*, terms: OrderTerms, moment: Moment) -> Treatment:
    """Return what the tenant's rules, or else the group, say of an order with these terms now."""
    state, group = moment.state, moment.group_of(terms.account_id)
    policy = state.policy
    if policy is None:
        return treatment(policy=None, group=group, situation=NOWHERE)
    account, exposure = moment.account(terms.account_id), state.exposure[terms.symbol]
    situation = Situation(
        account_id=account.account_id,
        owner_id=account.owner_id,
        group=group.name,
        symbol=terms.symbol,
        lots=terms.quantity,
        at_us=moment.now_us,
        uncovered_lots=exposure.uncovered,
        b_net_lots=exposure.b_net,
        margin_level_percent=moment.funds(account.account_id).level_percent if policy.asks_margin_level else None,
        markout_score=state.markout_scores.get(account.account_id),
    )
    return treatment(policy=policy, group=group, situation=situation)


def carry_out(*, order: Order, plan: Plan, execution: Execution) -> None:
    """Turn a plan into events, then rest or end what is left."""
    if plan.interrupts is not None:
        execution.called.add(plan.interrupts.symbol)
        execution.events.append(call(rules=plan.interrupts, moment=execution.moment))
    if plan.meeting is not NOBODY:
        _meet(order=order, meeting=plan.meeting, execution=execution)
    for keep in plan.keeps:
        keep_lots(order=order, keep=keep, markup=plan.markup, execution=execution)
    if plan.legs:
        force = FOK if is_whole(terms=order.terms) else IOC
        execution.send(order=order, legs=plan.legs, time_in_force=force, markup=plan.markup)
    if plan.meeting.ends_incoming and execution.free(order) == execution.leaves(order) > 0:
        execution.cancel(order=order, outcome="cancelled", reason="self-trade prevention")
    end_if_nothing_works(order=order, execution=execution)


def end_if_nothing_works(*, order: Order, execution: Execution) -> None:
    """Cancel an order that may not rest once no leg of it lives anywhere."""
    if execution.sent(order) > 0 or execution.leaves(order) <= 0:
        return
    stays = waits_for_auction(order=order, execution=execution) or may_rest(order)
    if over := over_with(order=order, stays=stays, execution=execution):
        execution.cancel(order=order, outcome="cancelled", reason=over)
        return
    if stays:
        return
    if order.refused_by and not execution.filled(order):
        execution.cancel(order=order, outcome="rejected", reason="refused by " + ", ".join(sorted(order.refused_by)))
    else:
        least = execution.moment.instrument(order.terms.symbol).lot_min
        too_little = execution.came_back(order) == execution.leaves(order) < least
        reason = PAIRED if execution.waits(order) else nothing_left(order=order, too_little=too_little)
        execution.cancel(order=order, outcome="cancelled", reason=reason)


def marketable(*, order: Order, moment: Moment) -> bool:
    """Return whether a limit order could deal now at the street's price with its group's markup."""
    price, limit = street_price(terms=order.terms, moment=moment), order.terms.limit_price
    return price is not None and (limit is None or at_least_as_good(price=price, limit=limit, side=order.terms.side))


def street_price(*, terms: OrderTerms, moment: Moment) -> Decimal | None:
    """Return what a client with these terms would pay or get in the street now, markup included; None off quotes."""
    return moment.street_price(account_id=terms.account_id, symbol=terms.symbol, side=terms.side, lots=terms.quantity)


def _raw_limit(
    *, terms: OrderTerms, instrument: Instrument, best: Decimal | None, markup: Decimal | None, moment: Moment
) -> Decimal | None:
    """Return the worst raw price for the order: its limit less markup, or the market protection; None off quotes.

    The protection reaches so far beyond the `best` price that markup is put on.
    """
    if markup is None:
        return None
    priced = terms.type in PRICED
    if priced and terms.limit_price is not None:
        return raw_limit(limit=terms.limit_price, markup=markup, side=terms.side)
    if best is None:
        return None
    bps = moment.slippage_bps(group=moment.state.accounts[terms.account_id].group)
    worst = moment.rankings.worst(price=best, bps=bps, instrument=instrument, side=terms.side)
    if terms.limit_price is not None:
        own = raw_limit(limit=terms.limit_price, markup=markup, side=terms.side)
        return own if at_least_as_good(price=own, limit=worst, side=terms.side) else worst
    return worst


def _ranking(
    *,
    order: Order,
    limit: Decimal | None,
    levels: tuple[AttributedLevel, ...],
    barred: Mapping[str, str],
    opens: bool,
    moment: Moment,
) -> Ranking:
    state = moment.state
    excluded = switched_off(state=state, symbol=order.terms.symbol, opens=opens) if state.trading_states else {}
    # Whom an order was refused by concerns no other order; what is closed for entry is not for a close.
    version = None
    if order.refused_by or order.misses or barred or (state.trading_states and not opens):
        away = passed_over(order=order, venues=state.venues, now_us=moment.now_us)
        excluded = {**excluded, **barred, **away}
    else:
        spared = moment.rankings.spared(
            order_id=order.order_id, venues=state.venues, config_version=state.config_version
        )
        version = (state.config_version, state.scores_version, spared)
    return moment.rankings.of(
        order_id=order.order_id,
        symbol=order.terms.symbol,
        side=order.terms.side,
        venues=state.venues,
        levels=levels,
        excluded=excluded,
        scores=state.scores,
        cost_model=state.policy.cost_model if state.policy else FREE,
        limit=limit,
        version=version,
    )


def _meet(*, order: Order, meeting: Meeting, execution: Execution) -> None:
    """Fill clients against each other at the resting order's price, the house flat; keep owners from themselves."""
    orders = execution.moment.state.orders
    ended = (orders[order_id] for order_id in meeting.cancels)
    venue_cancels.end(orders=ended, outcome="cancelled", reason="self-trade prevention", execution=execution)
    for order_id, lots in meeting.reductions:
        for mine in (orders[order_id], order):
            execution.reduce(order=mine, lots=lots, reason="self-trade prevention")
    for cross in meeting.crosses:
        resting = orders[cross.order_id]
        for mine, other, maker in ((order, resting, False), (resting, order, True)):
            execution.fill(
                order=mine,
                quantity=cross.quantity,
                raw=cross.price,
                price=cross.price,
                book="CROSS",
                counterparty=other.order_id,
                reason=f"crossed with order {other.order_id}",
                maker=maker,
            )


def _of_depth(why: str, front: BuiltSide) -> str:
    return f"{why}; the book has only {front.lots} lots" if front.is_thin else why


def _told(*, why: str, meeting: Meeting, planned: tuple[Leg, ...]) -> str:
    parts = [f"{meeting.lots} lots crossed with resting clients"] if meeting.crosses else []
    parts.append("self-trade prevention" if meeting.ends_incoming else why)
    if planned:
        parts.append(", ".join([f"{leg.quantity} to {leg.venue}" for leg in planned]))
    return "; ".join(parts)
