"""Gatekeeping: put before the pre-trade gate what the desk knows of an order. The gate itself is risk.py."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core import risk
from piggy.core.accounts import Account, PositionMode, TradingState
from piggy.core.activity import Activity
from piggy.core.auctions import CALLS, AuctionPhase
from piggy.core.crossing import meets_itself
from piggy.core.events import Check, Verdict
from piggy.core.execution import Execution
from piggy.core.gate import GateContext, Override, Permissions, Request
from piggy.core.guarantees import judged
from piggy.core.instruments import Instrument
from piggy.core.margin import Holding, MarginTerms, holding_of, lot_value, required_for
from piggy.core.margining import names_its_own, opposite_lots, positions_in, window_of
from piggy.core.market import touch_of
from piggy.core.moment import Moment
from piggy.core.money import ZERO, plain, round_money
from piggy.core.option_margin import option_margin
from piggy.core.orders import OrderTerms, OrderType, Side, TimeInForce
from piggy.core.positions import Position
from piggy.core.profiles import GuaranteedStops
from piggy.core.repeats import repeated_at_us
from piggy.core.routing import is_kept, only_passed_on
from piggy.core.standing import phase_of, restricted
from piggy.core.state import Order, State
from piggy.core.venue_room import least_sent, opened_by
from piggy.core.working import street_price, treatment_of

NEVER_ACTIVE = Activity()
UNCLEARED = Permissions()
# Looking a member up in its enum class costs more than a comparison does, and the gate makes many.
_BUY, _MARKET, _KILLED = Side.BUY, OrderType.MARKET, TradingState.KILLED
_NEW, _REPLACE = Request.NEW, Request.REPLACE
_AT_ONCE = (OrderType.MARKET, OrderType.LIMIT)
_ACTIVE_ONLY = (TradingState.ACTIVE,)
_NETTING = PositionMode.NETTING
FLAT = Holding()


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's verdict and the margin that the order binds while it works, in the account's currency; None: unknown.

    `notional_added` is what an amendment adds to the value ordered, never less than nothing; a new order all of it.
    """

    verdict: Verdict
    margin_required: Decimal | None = None
    notional: Decimal = ZERO
    notional_added: Decimal = ZERO
    conversion_rate: Decimal | None = None
    guarantee: GuaranteedStops | None = None


def admit(
    *, order_id: str, terms: OrderTerms, moment: Moment, replaces: Order | None = None, eases: bool = False,
    is_exit: bool = False,
) -> Admission:  # fmt: skip
    """Return whether the desk may take these terms, new or in the place of `replaces`; not all is new exposure."""
    state = moment.state
    account = state.accounts.get(terms.account_id)
    instrument = state.instruments.get(terms.symbol)
    if account is None or account.group not in state.groups:
        return _turned_away(order_id, terms, moment, "P-02", "no such account")
    if instrument is None:
        return _turned_away(order_id, terms, moment, "P-05", f"no such symbol: {terms.symbol}")
    context = context_of(terms=terms, account=account, instrument=instrument, moment=moment, replaces=replaces)
    context.eases, context.is_exit = eases, is_exit
    context.lots_given = is_exit if replaces is None else context.sane and terms.quantity == replaces.quantity
    verdict = risk.assess(context=context, order_id=order_id)
    more: list[Check] = []
    if terms.reduce_only and not context.reduces and not eases:
        hedging = context.closable is not None and terms.position_id is None
        text = "name the position to reduce" if hedging else "there is no position to reduce"
        more.append(Check(code="REDUCE_ONLY", passed=False, text=text))
    if (beyond := _beyond_position(context=context, replaces=replaces)) is not None:
        more.append(beyond)
    if replaces is None and terms.position_id is not None and not names_its_own(state=state, terms=terms):
        more.append(Check(code="POSITION", passed=False, text="the account has no such position in this symbol"))
    if replaces is None and terms.oco_group and not is_exit and _has_dealt(terms=terms, state=state):
        more.append(Check(code="OCO", passed=False, text="an order of this pair has dealt already"))
    opens_cross = instrument.cross is not None and context.sane and not context.reduces and not eases
    if opens_cross and only_passed_on(treatment=treatment_of(terms=terms, moment=moment)):
        text = "no venue deals a cross, and this flow is only passed on"
        more.append(Check(code="CROSS", passed=False, text=text))
    guarantee = None
    if terms.guaranteed_stop and context.sane:
        check, guarantee = judged(context=context, moment=moment, replaces=replaces)
        more.append(check)
    if more:
        verdict = msgspec.structs.replace(verdict, checks=(*verdict.checks, *more))
    # What was refused binds nothing, and may be more than has cents.
    bound = context.margin_required if verdict.passed else None
    return Admission(
        verdict=verdict,
        margin_required=None if bound is None else round_money(amount=bound, currency=account.currency),
        notional=context.notional or ZERO,
        notional_added=ZERO if is_exit else max(ZERO, (context.notional or ZERO) - context.replaced_notional),
        conversion_rate=context.conversion_rate,
        guarantee=guarantee,
    )


def _beyond_position(*, context: GateContext, replaces: Order | None) -> Check | None:
    """Return the check that refuses more lots than the position has that a hedging account's order is to close.

    An amendment that asks for no more lots passes, though the position became smaller since, and so does the other exit
    of a pair that stands: no more is dealt than it has.
    """
    if context.closable is None or not context.reduces or (context.is_exit and replaces is None):
        return None
    lots, most = context.open_lots, abs(context.closable)
    if lots <= most or (replaces is not None and context.terms.quantity <= replaces.quantity):
        return None
    text = f"the quantity is more than the {plain(most)} lots of the position to close"
    return Check(code="POSITION_SIZE", passed=False, value=plain(lots), limit=plain(most), text=text)


def _has_dealt(*, terms: OrderTerms, state: State) -> bool:
    """Return whether one that works under the same name has been filled: whatever came now could deal besides it."""
    pair = state.oco.get((terms.account_id, terms.oco_group or ""), ())
    return any(state.orders[order_id].filled for order_id in pair)


def _turned_away(order_id: str, terms: OrderTerms, moment: Moment, code: str, text: str) -> Admission:
    """Return what becomes of an order of an account or a symbol that there is not."""
    verdict = risk.refusal(order_id=order_id, terms=terms, at_us=moment.now_us, code=code, text=text)
    return Admission(verdict=verdict)


def context_of(
    *, terms: OrderTerms, account: Account, instrument: Instrument, moment: Moment, replaces: Order | None
) -> GateContext:
    """Return everything the gate asks about, at this moment."""
    state, now_us, netting = moment.state, moment.now_us, account.position_mode is _NETTING
    bid, ask, quote_at_us = touch_of(best=moment.market.best(symbol=terms.symbol, now_us=now_us))
    held = positions_in(state=state, account_id=account.account_id, symbol=terms.symbol)
    open_orders = state.open_orders.get(account.account_id, ())
    others = _others(state=state, terms=terms, replaces=replaces) if open_orders else []
    context = GateContext(
        terms,
        instrument,
        account,
        state.groups[account.group],
        moment.limits(group=account.group),
        now_us,
        state.permissions.get(account.account_id, UNCLEARED),
        bid,
        ask,
        quote_at_us,
        sum([position.quantity for position in held], ZERO) if held else ZERO,
        None if netting else _closable(held=held, terms=terms),
        _working_lots(others=others, terms=terms, netting=netting) if others else ZERO,
        replaces.filled if replaces else ZERO,
    )
    context.request = _REPLACE if replaces else _NEW
    context.config_version = state.config_version
    context.states = states = (
        _states(state=state, account=account, terms=terms) if state.trading_states else _ACTIVE_ONLY
    )
    context.killed = _KILLED in states
    context.review_due_at_us = state.review_due_at_us
    context.position_gross = sum([position.lots for position in held], ZERO) if held else ZERO
    if open_orders and not netting:
        context.position_gross += opposite_lots(state=state, terms=terms)
    context.orders_open = len(open_orders)
    context.self_trade = context.sane and _self_trade(terms=terms, moment=moment, replaces=replaces)
    _value(context=context, held=held, others=others, replaces=replaces, moment=moment)
    _heed_activity(context=context, replaces=replaces, moment=moment)
    _ask_venues(context=context, moment=moment)
    _heed_people(context=context, state=state, replaces=replaces)
    return context


def _value(
    *, context: GateContext, held: list[Position], others: list[Order], replaces: Order | None, moment: Moment
) -> None:
    """Put in what the order is worth, binds and exposes, as far as there is a price and a rate."""
    state, terms, instrument, account = moment.state, context.terms, context.instrument, context.account
    margin, context.margin_percent_min = moment.margins.of(state=state, account=account, instrument=instrument)
    context.margin_percent = margin.percent
    context.margin_free = _free_margin(moment=moment, account=account, replaces=replaces)
    context.conversion_rate = rate = moment.rate(source=instrument.quote, target=account.currency, gain=False)
    if replaces is not None:
        context.replaced_notional = _replaced_notional(
            replaces=replaces, instrument=instrument, rate=rate, currency=account.currency
        )
    price = reference_price(context=context, moment=moment) if context.sane else None
    if price is None or rate is None:
        return
    unit = lot_value(instrument=instrument, price=price, rate=rate, account_currency=account.currency)
    context.notional = terms.quantity * unit
    context.margin_required = _margin_required(
        context=context, margin=margin, price=price, rate=rate, held=held, others=others, moment=moment
    )
    opened = opened_by(
        terms=terms, lots=context.open_lots, before=replaces.leaves if replaces else ZERO, unit=unit,
        currency=account.currency, moment=moment,
    )  # fmt: skip
    context.exposure_account, context.exposure_venue = opened.account, opened.venue
    context.exposure_tenant = context.exposure_firm = opened.house


def _heed_activity(*, context: GateContext, replaces: Order | None, moment: Moment) -> None:
    """Put in what the account and the tenant did lately."""
    state = moment.state
    now_us, limits, account_id = context.now_us, context.limits, context.account.account_id
    activity = state.activity.get(account_id, NEVER_ACTIVE)
    context.window_notional, context.executions = moment.lately(account_id=account_id, activity=activity, limits=limits)
    if context.sane:
        context.duplicate_at_us = repeated_at_us(context=context, activity=activity, replaces=replaces, state=state)
    if state.messages.times:
        context.account_messages, context.tenant_messages = state.messages.lately(who=account_id, now_us=now_us)
    if state.venue_messages.times:
        context.venue_messages = least_sent(state=state, limits=limits, now_us=now_us)
    context.throttle_latched = account_id in state.throttled
    if activity.rejected_at_us:
        context.rejects_consecutive = activity.rejects_consecutive(now_us=now_us)
        context.rejects_percent = activity.rejects_percent(now_us=now_us)
    context.loss_today_account = activity.loss_today(now_us=now_us)
    context.loss_today_tenant = moment.loss_today_of_all(into=context.account.currency)


def _ask_venues(*, context: GateContext, moment: Moment) -> None:
    """Ask nothing of venues that have no room (P-14, P-19) for what none is sent; a close waits for no rate."""
    limits, terms, exposed = context.limits, context.terms, context.exposure_venue
    most = limits.exposure_venue_max
    is_full = most is None or exposed is None or exposed > most
    if not context.sane or not (is_full or context.venue_messages >= (limits.venue_messages_per_s_max or 0)):
        return
    b_net, treated = moment.state.exposure[terms.symbol].b_net, treatment_of(terms=terms, moment=moment)
    if is_kept(treatment=treated, side=terms.side, lots=context.open_lots, b_net_lots=b_net):
        context.exposure_venue, context.venue_messages = ZERO, 0
    elif context.reduces:
        context.venue_messages = 0


def _heed_people(*, context: GateContext, state: State, replaces: Order | None) -> None:
    """Put in what people set: restricted lists, sessions, daily volumes, locates, overrides."""
    if state.restrictions:
        context.restricted = restricted(state=state, owner_id=context.account.owner_id)
    if calendar := state.calendars.get(context.instrument.symbol):
        context.session_open = calendar.is_open(at_us=context.now_us)
    if state.phases:
        phase, terms = phase_of(state=state, symbol=context.terms.symbol), context.terms
        # A call collects what can wait; a closed symbol takes nothing.
        waits = terms.time_in_force not in (TimeInForce.IOC, TimeInForce.FOK)
        context.session_open &= phase is AuctionPhase.CONTINUOUS or (phase in CALLS and waits)
    if state.volume_averages:
        context.daily_volume_lots = state.volume_averages.get(context.instrument.symbol)
    if state.locates:
        located = state.locates.get((context.account.account_id, context.instrument.symbol), {}).values()
        context.located_lots = sum((one.lots for one in located if context.now_us < one.until_us), ZERO)
    if state.overrides and (override := _override(terms=context.terms, replaces=replaces, state=state)):
        context.override, context.order_id = override, override.order_id


def _self_trade(*, terms: OrderTerms, moment: Moment, replaces: Order | None) -> bool:
    """Whether an order of the same owner rests where this one would deal, and the newest is to give way."""
    rests = len(moment.state.resting[terms.symbol]) > 0
    if not rests or not (replaces.rests if replaces else terms.type in _AT_ONCE):
        return False
    quantity = terms.quantity - (replaces.filled if replaces else ZERO)
    street = street_price(terms=terms, moment=moment)
    return meets_itself(terms=terms, quantity=quantity, street=street, execution=Execution(moment=moment))


def reference_price(*, context: GateContext, moment: Moment) -> Decimal | None:
    """Return the price that the order is judged at: its own limit or stop, else what its client would deal at."""
    terms = context.terms
    own = terms.limit_price if terms.limit_price is not None else terms.stop_price
    if own is not None and terms.type is not _MARKET:
        return own
    touch, points = context.bid, context.group.bid_markup_points
    if terms.side is _BUY:
        touch, points = context.ask, context.group.ask_markup_points
    if touch is None or not (points or moment.state.profiles):
        return touch
    if moment.market.is_deep:
        return street_price(terms=terms, moment=moment) or touch
    markup = moment.markup(account_id=terms.account_id, symbol=terms.symbol, side=terms.side, lots=terms.quantity)
    return touch if markup is None else touch + terms.side.sign * markup


def _others(*, state: State, terms: OrderTerms, replaces: Order | None) -> list[Order]:
    """Return the account's other open orders on the order's side of the symbol."""
    open_ = (state.orders[order_id] for order_id in state.open_orders.get(terms.account_id, ()))
    return [
        order
        for order in open_
        if order is not replaces and order.terms.symbol == terms.symbol and order.terms.side is terms.side
    ]


def _working_lots(*, others: list[Order], terms: OrderTerms, netting: bool) -> Decimal:
    """Return the lots that other orders may deal on the same side; a waiting exit deals none unless there is room."""
    named = None if netting else terms.position_id
    same = (order for order in others if named in (None, order.terms.position_id))
    return sum((order.routed if order.terms.reduce_only else order.leaves for order in same), ZERO)


def _closable(*, held: list[Position], terms: OrderTerms) -> Decimal:
    """Return the signed lots that a hedging account's order could close: only those of the position it names."""
    return sum((position.quantity for position in held if position.position_id == terms.position_id), ZERO)


def _margin_required(
    *,
    context: GateContext,
    margin: MarginTerms,
    price: Decimal,
    rate: Decimal,
    held: list[Position],
    others: list[Order],
    moment: Moment,
) -> Decimal | None:
    """Return by how much the order raises the account's margin with the others of its side filled too (P-17)."""
    state, terms, account, instrument = moment.state, context.terms, context.account, context.instrument
    quantity = context.open_lots
    if context.reduces:  # What closes no more than there is deals no more of it, however many lots it names.
        quantity = min(quantity, abs(context.position_net if context.closable is None else context.closable))
    if instrument.option and instrument.option.underlying in state.option_models:
        return _option_margin_required(terms=terms, quantity=quantity, moment=moment)
    if context.reduces:
        return ZERO
    # What only reduces deals none but what is out already: that closes what this order then cannot.
    working = sum([order.routed if order.terms.reduce_only else order.leaves for order in others], ZERO)
    window = None
    if state.margin_settings:
        window = window_of(state=state, group=account.group, symbol=terms.symbol, now_us=moment.now_us)
    buying = terms.side is _BUY
    holding = FLAT
    if held or working:
        holding = holding_of(
            positions=held,
            buy_working=working if buying else ZERO,
            sell_working=ZERO if buying else working,
            now_us=moment.now_us,
        )
    return required_for(
        holding=holding,
        terms=margin,
        lot_value=lot_value(instrument=instrument, price=price, rate=rate, account_currency=account.currency),
        side=terms.side,
        quantity=quantity,
        news_percent=window.percent if window else ZERO,
    )


def _option_margin_required(*, terms: OrderTerms, quantity: Decimal, moment: Moment) -> Decimal | None:
    extra = (terms.symbol, terms.side.sign * quantity)
    before = moment.option_margin(terms.account_id)
    after = option_margin(
        state=moment.state, account_id=terms.account_id, marks=moment.marks, pairs=moment.pairs, extra=extra
    )
    return None if before is None or after is None else max(ZERO, after - before)


def _replaced_notional(*, replaces: Order, instrument: Instrument, rate: Decimal | None, currency: str) -> Decimal:
    """Return the value that an amendment takes back: what it replaces, at its own price."""
    price = replaces.terms.limit_price if replaces.terms.limit_price is not None else replaces.terms.stop_price
    if rate is None or price is None:
        return ZERO
    return replaces.quantity * lot_value(instrument=instrument, price=price, rate=rate, account_currency=currency)


def _override(*, terms: OrderTerms, replaces: Order | None, state: State) -> Override | None:
    """Return what a second person signed for this order: for its exact terms, or for its amendment."""
    return state.overrides.get(replaces.order_id if replaces else risk.terms_hash(terms=terms))


def _free_margin(*, moment: Moment, account: Account, replaces: Order | None) -> Decimal | None:
    free = moment.free_margin(account.account_id)
    if free is None or replaces is None:
        return free
    return free + replaces.margin_per_lot * replaces.leaves


def _states(*, state: State, account: Account, terms: OrderTerms) -> tuple[TradingState, ...]:
    known = state.trading_states
    keys = (
        ("firm", ""),
        ("tenant", ""),
        ("group", account.group),
        ("account", account.account_id),
        ("symbol", terms.symbol),
    )
    return (*_ACTIVE_ONLY, *(known[key] for key in keys if key in known))
