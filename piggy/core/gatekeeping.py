"""Gatekeeping: put before the pre-trade gate what the desk knows of an order. The gate itself is risk.py."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core import risk
from piggy.core.accounts import Account, TradingState
from piggy.core.activity import Activity, fingerprint
from piggy.core.crossing import meets_itself
from piggy.core.events import Check, Verdict
from piggy.core.execution import Execution, opening_lots
from piggy.core.funds import margin_per_lot, margin_percent, margin_percent_min
from piggy.core.gate import GateContext, Permissions, Request, numbers_are_sane
from piggy.core.instruments import Instrument
from piggy.core.market import BestQuote
from piggy.core.moment import Moment
from piggy.core.money import ZERO, round_money
from piggy.core.orders import OrderTerms, OrderType, Side
from piggy.core.positions import Position
from piggy.core.state import Order
from piggy.core.working import street_price

YEAR_US = 365 * 86_400 * 1_000_000
NEVER_ACTIVE = Activity()
CLEARED = Permissions.granted()
ONE_LOT = Decimal(1)
# Looking a member up in its enum class costs more than a comparison does, and the gate makes many.
_BUY, _MARKET, _KILLED = Side.BUY, OrderType.MARKET, TradingState.KILLED
_NEW, _REPLACE = Request.NEW, Request.REPLACE
_ACTIVE_ONLY = (TradingState.ACTIVE,)


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's verdict and the margin that the order binds while it works, in the account's currency."""

    verdict: Verdict
    margin_required: Decimal = ZERO
    notional: Decimal = ZERO


def admit(*, terms: OrderTerms, moment: Moment, replaces: Order | None = None) -> Admission:
    """Return whether the desk may take these terms, as a new order or in the place of `replaces`."""
    state = moment.state
    account = state.accounts.get(terms.account_id)
    instrument = state.instruments.get(terms.symbol)
    if account is None or account.group not in state.groups:
        return Admission(verdict=risk.refusal(terms=terms, code="P-02", text="no such account"))
    if instrument is None:
        return Admission(verdict=risk.refusal(terms=terms, code="P-05", text=f"no such symbol: {terms.symbol}"))
    context = context_of(terms=terms, account=account, instrument=instrument, moment=moment, replaces=replaces)
    verdict = risk.assess(context=context)
    if terms.reduce_only and not context.reduces:
        check = Check(code="REDUCE_ONLY", passed=False, text="there is no position of that size to reduce")
        verdict = msgspec.structs.replace(verdict, checks=(*verdict.checks, check))
    return Admission(
        verdict=verdict,
        margin_required=round_money(amount=context.margin_required or ZERO, currency=account.currency),
        notional=context.notional or ZERO,
    )


def context_of(
    *, terms: OrderTerms, account: Account, instrument: Instrument, moment: Moment, replaces: Order | None
) -> GateContext:
    """Return everything the gate asks about, at this moment."""
    state, now_us = moment.state, moment.now_us
    group = state.groups[account.group]
    best = moment.market.best(symbol=terms.symbol, now_us=now_us)
    bid, ask, quote_at_us = _touch(best)
    sane = numbers_are_sane(terms=terms)
    price = _reference_price(terms=terms, bid=bid, ask=ask) if sane else None
    rate = moment.rate(source=instrument.quote, target=account.currency, gain=False)
    position = _position(moment=moment, terms=terms)
    net = position.quantity if position else ZERO
    activity = state.activity.get(account.account_id, NEVER_ACTIVE)
    limits = state.effective_limits[account.group]
    notional = margin = None
    if price is not None and rate is not None:
        notional = instrument.notional(lots=terms.quantity, price=price) * rate
        opening = opening_lots(position=position, side=terms.side, quantity=terms.quantity)
        margin = opening * margin_per_lot(instrument=instrument, account=account, group=group, price=price, rate=rate)
    exposure = state.exposure[terms.symbol]
    states = _states(moment=moment, account=account, terms=terms)
    unit = instrument.notional(lots=ONE_LOT, price=price) * rate if price and rate else None
    tenant_exposure = abs(exposure.uncovered) * unit if unit is not None else None
    return GateContext(
        terms=terms,
        instrument=instrument,
        account=account,
        group=group,
        limits=limits,
        now_us=now_us,
        permissions=CLEARED,
        request=_REPLACE if replaces else _NEW,
        states=states,
        bid=bid,
        ask=ask,
        quote_at_us=quote_at_us,
        notional=notional,
        window_notional=activity.notional_within(now_us=now_us, window_s=limits.window_s),
        duplicate_at_us=None if replaces or not sane else activity.latest.get(fingerprint(terms=terms)),
        account_messages=activity.messages_this_second(now_us=now_us),
        tenant_messages=state.tenant_activity.messages_this_second(now_us=now_us),
        executions=activity.executions_within(now_us=now_us, window_s=limits.executions_window_s),
        margin_required=margin,
        margin_free=_free_margin(moment=moment, account=account, replaces=replaces),
        position_net=net,
        position_gross=abs(net),
        orders_open=len(state.open_orders.get(account.account_id, ())),
        exposure_account=abs(net) * unit if unit is not None else None,
        exposure_tenant=tenant_exposure,
        exposure_venue=abs(exposure.venue_net) * unit if unit is not None else None,
        exposure_firm=tenant_exposure,
        loss_today_account=activity.loss_today(now_us=now_us),
        loss_today_tenant=state.tenant_activity.loss_today(now_us=now_us),
        margin_percent=margin_percent(instrument=instrument, account=account, group=group),
        margin_percent_min=margin_percent_min(instrument=instrument, account=account),
        self_trade=_self_trade(terms=terms, moment=moment, replaces=replaces),
        killed=_KILLED in states,
        review_due_at_us=now_us + YEAR_US,
    )


def _self_trade(*, terms: OrderTerms, moment: Moment, replaces: Order | None) -> bool:
    """Whether an order of the same owner rests where this one would deal, and the newest is to give way."""
    rests = len(moment.state.resting[terms.symbol]) > 0
    if not rests or terms.type not in (OrderType.MARKET, OrderType.LIMIT) or replaces is not None:
        return False
    street = street_price(terms=terms, moment=moment)
    return meets_itself(terms=terms, street=street, execution=Execution(moment=moment))


def _touch(best: BestQuote | None) -> tuple[Decimal | None, Decimal | None, int | None]:
    if best is None:
        return None, None, None
    bid, ask = best.bid, best.ask
    if bid is not None and ask is not None:
        return bid.price, ask.price, min(bid.received_at_us, ask.received_at_us)
    if bid is not None:
        return bid.price, None, bid.received_at_us
    return (None, ask.price, ask.received_at_us) if ask is not None else (None, None, None)


def _reference_price(*, terms: OrderTerms, bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    """Return the price that the order's value is judged at: its own limit or stop, else the touch it would take."""
    own = terms.limit_price if terms.limit_price is not None else terms.stop_price
    if own is not None and own.is_finite() and own > 0 and terms.type is not _MARKET:
        return own
    return ask if terms.side is _BUY else bid


def _position(*, moment: Moment, terms: OrderTerms) -> Position | None:
    wanted = terms.position_id or f"{terms.account_id}:{terms.symbol}"
    return moment.state.positions.get(wanted)


def _free_margin(*, moment: Moment, account: Account, replaces: Order | None) -> Decimal | None:
    funds = moment.funds(account.account_id)
    if not funds.priced:
        return None
    given_back = replaces.margin_per_lot * replaces.leaves if replaces else ZERO
    return funds.free_margin + given_back


def _states(*, moment: Moment, account: Account, terms: OrderTerms) -> tuple[TradingState, ...]:
    known = moment.state.trading_states
    if not known:
        return _ACTIVE_ONLY
    keys = (
        ("firm", ""),
        ("tenant", ""),
        ("group", account.group),
        ("account", account.account_id),
        ("symbol", terms.symbol),
    )
    return (*_ACTIVE_ONLY, *(known[key] for key in keys if key in known))
