"""Covering: the house deals away its own risk. A hedge is an order of nobody's: its fills move what venues hold.

Whatever is proposed, on its way or in doubt counts as done, so neither a lost connection nor a slow dealer can make the
house hedge the same risk twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.correction_events import HedgeFillBusted, VenueFillBusted
from piggy.core.entry import CLOSED
from piggy.core.gate import NUMBER_MAX
from piggy.core.hedges_under_way import under_way
from piggy.core.hedging import HedgePolicy, HedgeScope, hedge_lots, lots_to_target
from piggy.core.instruments import has_expired
from piggy.core.market import AttributedLevel
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import Side, TimeInForce
from piggy.core.positions import Fold, Position, filled
from piggy.core.pricing import worst_price
from piggy.core.routing import FREE, Leg, legs, rank
from piggy.core.staging import proven
from piggy.core.standing import switched_off
from piggy.core.state import Child, Hedge
from piggy.core.venue_room import busy_venues

Events = list[ev.AnyEvent]
HOUSE = "house"
BY_HAND = "by hand"
STOPPED = (TradingState.HALTED, TradingState.KILLED)


def act_on_exposure(*, command: cmd.ActOnExposure, moment: Moment) -> Events:
    """Withdraw proposals that risk has outrun, then cover what is past a threshold."""
    return due(moment=moment)


def due(*, moment: Moment) -> Events:
    """Return what hedging would do now: usually nothing, and cheaply."""
    state = moment.state
    pending = under_way(state=state)
    events: Events = []
    for hedge_id in sorted(state.open_hedges):
        hedge = state.hedges[hedge_id]
        needed = hedge.quantity if hedge.approved else _still_needed(hedge=hedge, pending=pending, moment=moment)
        if needed == 0:  # Off price nobody knows, so that it waits on.
            pending[hedge.symbol] -= hedge.side.sign * hedge.quantity
            events.append(_closed(hedge, "withdrawn", "", "the risk is gone"))
    count, sending = state.hedge_count, Counter[str]()
    for key in sorted(state.hedge_policies):
        policy = state.hedge_policies[key]
        proposed = _proposed(policy=policy, pending=pending, number=count + 1, moment=moment, sending=sending)
        for event in proposed:
            if isinstance(event, ev.ChildOrderCreated):
                sending[event.venue] += 1
            if isinstance(event, ev.HedgeProposed):
                count += 1
                signed = event.side.sign * event.quantity
                pending[event.symbol] = pending.get(event.symbol, ZERO) + signed
        events += proposed
    return events


def approve_hedge(*, command: cmd.ApproveHedge, moment: Moment) -> Events:
    """Send a queued hedge out, no larger than the risk now needs."""
    hedge = moment.state.hedges.get(command.hedge_id)
    if hedge is None or hedge.state.final or hedge.approved:
        return [_refused("HEDGE_NOT_QUEUED", "hedge_id", "no such hedge waits for approval")]
    lots = _still_needed(hedge=hedge, pending=under_way(state=moment.state), moment=moment)
    if lots is None:
        return [_refused("NO_PRICE", "hedge_id", f"what is open in {hedge.key} has no price now")]
    if not lots:
        return [_closed(hedge, "withdrawn", command.by, "the risk is gone")]
    if _is_stopped(hedge.symbol, moment):
        return [_refused("TRADING_STOPPED", "hedge_id", f"trading in {hedge.symbol} is stopped")]
    policy = moment.state.hedge_policies[hedge.key]
    sent = _children(hedge.hedge_id, policy, hedge.side, lots, moment, {})
    if not sent:
        return [_refused("NO_LIQUIDITY", "hedge_id", "no venue may take it at an acceptable price now")]
    return [ev.HedgeApproved(hedge_id=hedge.hedge_id, quantity=lots, by=command.by), *sent]


def reject_hedge(*, command: cmd.RejectHedge, moment: Moment) -> Events:
    """Drop a queued hedge; the policy is quiet for a while."""
    hedge = moment.state.hedges.get(command.hedge_id)
    if hedge is None or hedge.state.final or hedge.approved:
        return [_refused("HEDGE_NOT_QUEUED", "hedge_id", "no such hedge waits for approval")]
    return [_closed(hedge, "rejected", command.by, command.reason)]


def cover_by_hand(*, command: cmd.CoverByHand, moment: Moment) -> Events:
    """Deal what a dealer asks for, within the venues, limits and slippage of the symbol's own policy if it has one."""
    symbol = command.symbol
    if symbol not in moment.state.instruments:
        return [_refused("SYMBOL_UNKNOWN", "symbol", f"no symbol is called {symbol}")]
    if not (command.by and command.reason):
        return [_refused("REASON_MISSING", "reason", "who deals, and why, is recorded")]
    if _is_stopped(symbol, moment):
        return [_refused("TRADING_STOPPED", "symbol", f"trading in {symbol} is stopped")]
    policy = moment.state.hedge_policies.get(symbol) or HedgePolicy(
        key=symbol, symbol=symbol, threshold=ZERO, version=0
    )
    risk = _open_lots(symbol, under_way(state=moment.state), moment)
    wanted = _by_hand(command, policy, risk, moment)
    if isinstance(wanted, ev.CommandRefused):
        return [wanted]
    side, lots = wanted
    hedge_id = f"H{moment.state.hedge_count + 1:09d}"
    sent = _children(hedge_id, policy, side, lots, moment, {})
    if not sent:
        return [_refused("NO_LIQUIDITY", "symbol", "no venue may take it at an acceptable price now")]
    proposed = ev.HedgeProposed(
        hedge_id=hedge_id,
        key=BY_HAND,
        version=policy.version,
        symbol=symbol,
        side=side,
        quantity=lots,
        risk=risk,
        automatic=True,
        text=command.reason,
        by=command.by,
    )
    return [proposed, *sent]


def hedge_filled(
    *, hedge: Hedge, fill: ev.ChildOrderFilled, moment: Moment, position: Position | None
) -> ev.HedgeFilled:
    """Return what a venue's fill of a hedge brings: the house's `position` there moves, its profit is booked."""
    fold = _house_fold(position, fill.side, fill, moment)
    return ev.HedgeFilled(
        hedge_id=hedge.hedge_id,
        fill_id=fill.fill_id,
        venue=fill.venue,
        symbol=fill.symbol,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        realised=fold.realised_quote,
        currency=moment.instrument(fill.symbol).quote,
        occurred_at_us=fill.occurred_at_us,
        venue_booked=True,
    )


def hedge_busted(*, hedge: Hedge, bust: VenueFillBusted, moment: Moment) -> tuple[HedgeFillBusted, Position | None]:
    """Return what a venue takes back of a hedge, dealt back at its price, and the house's position without it."""
    fold = _house_fold(house_position(fill=bust, moment=moment), bust.side.contra, bust, moment)
    event = HedgeFillBusted(
        hedge_id=hedge.hedge_id,
        fill_id=bust.fill_id,
        venue=bust.venue,
        symbol=bust.symbol,
        side=bust.side,
        quantity=bust.quantity,
        price=bust.price,
        realised=fold.realised_quote,
        currency=moment.instrument(bust.symbol).quote,
        occurred_at_us=bust.occurred_at_us,
        venue_booked=True,
    )
    return event, fold.position


def house_position(*, fill: ev.ChildOrderFilled | VenueFillBusted, moment: Moment) -> Position | None:
    """Return what the house holds where `fill` was dealt."""
    return moment.state.house_positions.get((fill.venue, fill.symbol))


def ended(*, hedge: Hedge, child: Child, lots: Decimal, moment: Moment) -> Events:
    """Return the end of a hedge whose leg `child` ended as its last one; `lots` were just filled."""
    others = (other for other in moment.state.open_children.values() if other is not child)
    if hedge.state.final or any(other.created.order_id == hedge.hedge_id for other in others):
        return []
    done = hedge.filled + lots
    outcome = "filled" if done >= hedge.quantity else "short" if done else "unfilled"
    return [_closed(hedge, outcome, "", f"{done} of {hedge.quantity} lots", filled_lots=done)]


def _by_hand(
    command: cmd.CoverByHand, policy: HedgePolicy, risk: Decimal, moment: Moment
) -> tuple[Side, Decimal] | ev.CommandRefused:
    """Return what to deal: the lots asked for, or those that bring the symbol to flat as nearly as lots go."""
    instrument = moment.instrument(command.symbol)
    if command.side is None or command.quantity is None:
        flat = msgspec.structs.replace(policy, scope=HedgeScope.SYMBOL, target=ZERO, hedge_lots_max=abs(risk))
        signed = lots_to_target(policy=flat, instrument=instrument, risk=risk, per_lot=Decimal(1))
        if not signed:
            return _refused("NOTHING_OPEN", "symbol", f"{risk} lots are open, less than can be dealt")
        return (Side.BUY if signed > 0 else Side.SELL), abs(signed)
    lots = command.quantity
    if not lots.is_finite() or not instrument.lot_min <= lots <= NUMBER_MAX or lots % instrument.lot_step:
        text = f"at least {instrument.lot_min} lots, in steps of {instrument.lot_step}"
        return _refused("QUANTITY_UNUSABLE", "quantity", text)
    return command.side, lots


def _house_fold(
    position: Position | None, side: Side, fill: ev.ChildOrderFilled | VenueFillBusted, moment: Moment
) -> Fold:
    return filled(
        position=position,
        side=side,
        quantity=fill.quantity,
        price=fill.price,
        contract_size=moment.instrument(fill.symbol).contract_size,
        account_id=HOUSE,
        symbol=fill.symbol,
        position_id=f"{fill.venue}:{fill.symbol}",
    )


def open_risk(*, policy: HedgePolicy, moment: Moment) -> Decimal | None:
    """Return the risk that a policy looks at, in its unit, once all that is pending is done; None off price."""
    measured = _measured(policy=policy, pending=under_way(state=moment.state), moment=moment)
    return measured[0] if measured else None


def _proposed(
    *, policy: HedgePolicy, pending: Mapping[str, Decimal], number: int, moment: Moment, sending: Mapping[str, int]
) -> Events:
    state = moment.state
    last = state.hedges.get(state.last_hedges.get(policy.key, ""))
    if not policy.enabled or _is_quiet(policy, last, moment.now_us) or _is_stopped(policy.symbol, moment):
        return []
    measured = _measured(policy=policy, pending=pending, moment=moment)
    if measured is None:
        return []
    risk, per_lot = measured
    unfinished = last is not None and last.state.final and ZERO < last.filled < last.quantity and not last.settled
    if last is not None and unfinished and abs(risk) <= policy.target + policy.band:
        return [ev.HedgeSettled(hedge_id=last.hedge_id, risk=risk)]
    instrument = moment.instrument(policy.symbol)
    signed = hedge_lots(policy=policy, instrument=instrument, risk=risk, per_lot=per_lot, unfinished=unfinished)
    side, hedge_id = (Side.BUY if signed > 0 else Side.SELL), f"H{number:09d}"
    sent = _children(hedge_id, policy, side, abs(signed), moment, sending) if signed and policy.automatic else []
    if not signed or (policy.automatic and not sent):
        return []
    proposed = ev.HedgeProposed(
        hedge_id=hedge_id,
        key=policy.key,
        version=policy.version,
        symbol=policy.symbol,
        side=side,
        quantity=abs(signed),
        risk=risk,
        automatic=policy.automatic,
        text=f"risk {risk} is past {policy.target + policy.band if unfinished else policy.threshold}",
    )
    return [proposed, *sent]


def _measured(*, policy: HedgePolicy, pending: Mapping[str, Decimal], moment: Moment) -> tuple[Decimal, Decimal] | None:
    """Return the risk left once all that is pending is done, and what one bought lot takes off it; None off price."""
    if policy.scope is HedgeScope.SYMBOL:
        return _open_lots(policy.symbol, pending, moment), Decimal(1)
    risk = ZERO
    for symbol in sorted(moment.state.exposure):
        if lots := _open_lots(symbol, pending, moment):
            each = _units_per_lot(symbol, policy.key, moment)
            if each is None:
                return None
            risk += lots * each
    per_lot = _units_per_lot(policy.symbol, policy.key, moment)
    return None if per_lot is None else (risk, per_lot)


def _open_lots(symbol: str, pending: Mapping[str, Decimal], moment: Moment) -> Decimal:
    return moment.state.exposure[symbol].uncovered - pending.get(symbol, ZERO)


def _units_per_lot(symbol: str, currency: str, moment: Moment) -> Decimal | None:
    """Return how much of `currency` a long lot of `symbol` is; a short currency is below zero."""
    instrument, mark = moment.instrument(symbol), moment.marks.get(symbol)
    if currency == instrument.base:
        return instrument.contract_size
    if currency != instrument.quote:
        return ZERO
    return None if mark is None else -instrument.contract_size * (mark.bid + mark.ask) / 2


def _still_needed(*, hedge: Hedge, pending: Mapping[str, Decimal], moment: Moment) -> Decimal | None:
    """Return how many of a queued hedge's lots the risk without it still calls for; None off price."""
    policy = moment.state.hedge_policies[hedge.key]
    if not policy.enabled or has_expired(instrument=moment.instrument(hedge.symbol), now_us=moment.now_us):
        return ZERO
    without = {**pending, hedge.symbol: pending[hedge.symbol] - hedge.side.sign * hedge.quantity}
    measured = _measured(policy=policy, pending=without, moment=moment)
    if measured is None:
        return None
    instrument = moment.instrument(hedge.symbol)
    signed = lots_to_target(policy=policy, instrument=instrument, risk=measured[0], per_lot=measured[1])
    return min(hedge.quantity, max(ZERO, hedge.side.sign * signed))


def _is_quiet(policy: HedgePolicy, last: Hedge | None, now_us: int) -> bool:
    if last is None or not last.state.final:
        return False
    wait_ms = policy.snooze_ms if last.outcome == "rejected" else policy.retry_ms
    return last.outcome not in ("filled", "withdrawn") and now_us < last.ended_at_us + wait_ms * 1_000


def _is_stopped(symbol: str, moment: Moment) -> bool:
    if has_expired(instrument=moment.instrument(symbol), now_us=moment.now_us):
        return True
    keys = {"firm": None, "tenant": None, "symbol": symbol}
    return any(
        state in STOPPED and scope in keys and keys[scope] in (None, key)
        for (scope, key), state in moment.state.trading_states.items()
    )


def _children(
    hedge_id: str, policy: HedgePolicy, side: Side, lots: Decimal, moment: Moment, sending: Mapping[str, int]
) -> Events:
    return [
        ev.ChildOrderCreated(
            order_id=hedge_id,
            cl_ord_id=f"{hedge_id}-{leg.venue}-1",
            venue=leg.venue,
            symbol=policy.symbol,
            side=side,
            quantity=leg.quantity,
            limit_price=leg.limit_price,
            time_in_force=TimeInForce.IOC.value,
            attempt=1,
        )
        for leg in _legs(policy, side, lots, moment, sending)
    ]


def _legs(
    policy: HedgePolicy, side: Side, lots: Decimal, moment: Moment, sending: Mapping[str, int]
) -> tuple[Leg, ...]:
    state, instrument = moment.state, moment.instrument(policy.symbol)
    excluded = {name: "not for hedges" for name in state.venues if policy.venues and name not in policy.venues}
    excluded |= switched_off(state=state, symbol=policy.symbol) | dict.fromkeys(moment.closed, CLOSED)
    excluded |= busy_venues(sending=sending, moment=moment)
    levels = _within_limits(policy, side, moment)
    if not levels or instrument.cross is not None:
        return ()
    limit = worst_price(price=levels[0].price, bps=policy.slippage_bps_max, instrument=instrument, side=side)
    ranked = rank(
        venues=proven(venues=state.venues),
        levels=levels,
        excluded=excluded,
        scores=state.scores,
        cost_model=state.policy.cost_model if state.policy else FREE,
        side=side,
        limit=limit,
    )
    return legs(levels=levels, ranked=ranked, quantity=lots, side=side, limit=limit, instrument=instrument)


def _within_limits(policy: HedgePolicy, side: Side, moment: Moment) -> tuple[AttributedLevel, ...]:
    """Return the live levels, each venue's cut to the room that its limit leaves; legs under way count as filled."""
    room: dict[str, Decimal] = {}
    for venue, lots_max in policy.venue_lots_max.items():
        net = moment.state.venue_nets.get((venue, policy.symbol), ZERO) * side.sign
        for child in moment.state.open_children.values():
            created = child.created
            if (created.venue, created.symbol, created.side) == (venue, policy.symbol, side):
                net += child.leaves
        room[venue] = max(ZERO, lots_max - net)
    levels: list[AttributedLevel] = []
    for level in moment.levels(symbol=policy.symbol, side=side):
        size = min(level.size, room.get(level.venue, level.size))
        if level.venue in room:
            room[level.venue] -= size
        if size:
            levels.append(msgspec.structs.replace(level, size=size))
    return tuple(levels)


def _closed(hedge: Hedge, outcome: str, by: str, text: str, *, filled_lots: Decimal = ZERO) -> ev.HedgeClosed:
    return ev.HedgeClosed(hedge_id=hedge.hedge_id, outcome=outcome, filled=filled_lots, by=by, text=text)


def _refused(code: str, field: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field=field, text=text)
