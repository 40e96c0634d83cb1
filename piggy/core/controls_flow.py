"""Controls P-12 to P-25 and P-30: flow, margin, caps, exposure, losses. Each answers one question."""

from __future__ import annotations

from decimal import Decimal

from piggy.core.events import Check
from piggy.core.gate import UNKNOWN, UNSET, GateContext, Request, all_at_most, at_most, unpriced, yes
from piggy.core.instruments import AssetClass
from piggy.core.money import ZERO
from piggy.core.orders import SelfTradePrevention, Side

HUNDRED = Decimal(100)
_NEW, _CANCEL = Request.NEW, Request.CANCEL
_BUY, _SHARE, _CANCEL_NEWEST = Side.BUY, AssetClass.SHARE, SelfTradePrevention.CANCEL_NEWEST
_PASSED = {
    code: Check(code=code, passed=True) for code in ("P-13", "P-14", "P-21", "P-22", "P-23", "P-24", "P-25", "P-30")
}
_REDUCES = {code: Check(code=code, passed=True, text="reduces") for code in ("P-17", "P-19", "P-20")}


def value_in_window(*, context: GateContext) -> Check:
    """P-12: order value over a short period, this order included."""
    value = _sum(context.window_notional, _added(context))
    if context.notional is None:
        return yes(
            code="P-12", passed=False, limit=str(context.limits.window_value_max), text=unpriced(context=context)
        )
    text = "too much value in a short time"
    return at_most(code="P-12", value=value, limit=context.limits.window_value_max, text=text)


def not_duplicate(*, context: GateContext) -> Check:
    """P-13: the same account, instrument, side, quantity, price and type came a moment ago."""
    window_ms = context.limits.duplicate_window_ms
    if window_ms is None:
        return yes(code="P-13", passed=False, text=f"duplicate window: {UNSET}")
    if context.duplicate_at_us is None:
        return _PASSED["P-13"]
    ago_us = context.now_us - context.duplicate_at_us
    passed = ago_us >= window_ms * 1_000
    text = "the same order came a moment ago"
    return yes(code="P-13", passed=passed, value=f"{ago_us} us", limit=f"{window_ms} ms", text=text)


def message_rate(*, context: GateContext) -> Check:
    """P-14 (RTS 6 15.1d): messages of the second that ends now, this one included; a cancel is never throttled."""
    if context.request is _CANCEL:
        return _PASSED["P-14"]
    limits = context.limits
    return all_at_most(
        code="P-14",
        pairs=(
            (context.venue_messages + 1, limits.venue_messages_per_s_max, "the venue's rate is used up"),
            (context.tenant_messages + 1, limits.tenant_messages_per_s_max, "the tenant sends too fast"),
            (context.account_messages + 1, limits.account_messages_per_s_max, "the account sends too fast"),
        ),
    )


def executions_throttled(*, context: GateContext) -> Check:
    """P-15 (RTS 6 15.3): repeated execution; once latched, only a person opens it again."""
    if context.throttle_latched:
        return yes(code="P-15", passed=False, text="the execution throttle is latched")
    limit = context.limits.executions_max
    return at_most(code="P-15", value=context.executions + 1, limit=limit, text="too many executions in the window")


def no_reject_storm(*, context: GateContext) -> Check:
    """P-16: rejects in a row, and as a share of the last 30 seconds."""
    limits = context.limits
    return all_at_most(
        code="P-16",
        pairs=(
            (context.rejects_percent, limits.rejects_percent_max, "too many rejects in 30 s"),
            (context.rejects_consecutive, limits.rejects_consecutive_max, "too many rejects in a row"),
        ),
    )


def margin_free(*, context: GateContext) -> Check:
    """P-17: what the order binds, working orders counted as filled, must be free; a reduction always may."""
    if context.reduces:
        return _REDUCES["P-17"]
    if context.margin_free is None:
        return yes(code="P-17", passed=False, text="the open positions have no live price")
    if context.margin_required is None:
        return yes(code="P-17", passed=False, limit=str(context.margin_free), text=unpriced(context=context))
    text = "the free margin does not cover the order"
    return at_most(code="P-17", value=context.margin_required, limit=context.margin_free, text=text)


def position_caps(*, context: GateContext) -> Check:
    """P-18: net and gross lots with all working orders of the side filled, and the number of open orders.

    What an order turns round is gross only once: its lots take off what they close.
    """
    limits, terms = context.limits, context.terms
    orders = context.orders_open + 1 if context.request is _NEW else context.orders_open
    count = (orders, limits.orders_open_max, "too many open orders")
    if context.reduces:
        return all_at_most(code="P-18", pairs=(count,))
    lots = context.open_lots + context.working_lots if context.working_lots else context.open_lots
    net = context.position_net + lots if terms.side is _BUY else context.position_net - lots
    held = context.position_net if context.closable is None else context.closable
    closed = min(lots, abs(held)) if held and (held > 0) is not (terms.side is _BUY) else ZERO
    return all_at_most(
        code="P-18",
        pairs=(
            count,
            (
                context.position_gross + lots - 2 * closed,
                limits.position_gross_max_lots,
                "the gross position is too large",
            ),
            (abs(net), limits.position_net_max_lots, "the net position is too large"),
        ),
    )


def exposure_caps(*, context: GateContext) -> Check:
    """P-19 (15c3-5 c1i): what account, tenant, venue and firm would have open with this order."""
    if context.reduces:
        return _REDUCES["P-19"]
    if context.notional is None:
        return yes(code="P-19", passed=False, text=unpriced(context=context))
    limits = context.limits
    return all_at_most(
        code="P-19",
        pairs=(
            (context.exposure_firm, limits.exposure_firm_max, "the firm's exposure is too large"),
            (context.exposure_tenant, limits.exposure_tenant_max, "the tenant's exposure is too large"),
            (context.exposure_venue, limits.exposure_venue_max, "the venue's exposure is too large"),
            (context.exposure_account, limits.exposure_account_max, "the account's exposure is too large"),
        ),
    )


def daily_loss(*, context: GateContext) -> Check:
    """P-20: past the day's loss only reductions pass."""
    if context.reduces:
        return _REDUCES["P-20"]
    limits = context.limits
    return all_at_most(
        code="P-20",
        pairs=(
            (context.loss_today_tenant, limits.loss_daily_tenant_max, "the tenant lost too much today"),
            (context.loss_today_account, limits.loss_daily_account_max, "the account lost too much today"),
        ),
    )


def volume_share(*, context: GateContext) -> Check:
    """P-21 (FINRA): the order as a share of the average daily volume; asked of shares."""
    if context.instrument.asset_class is not _SHARE:
        return _PASSED["P-21"]
    daily = context.daily_volume_lots
    percent = None if daily is None or daily <= 0 else context.terms.quantity * HUNDRED / daily
    text = "the order is too large a share of the daily volume"
    return at_most(code="P-21", value=percent, limit=context.limits.volume_share_percent_max, text=text)


def no_self_trade(*, context: GateContext) -> Check:
    """P-22: with cancel-newest the incoming order is refused here; the other modes act in the book."""
    if not context.self_trade or context.terms.stp is not _CANCEL_NEWEST:
        return _PASSED["P-22"]
    return yes(code="P-22", passed=False, text="it would trade with an order of the same beneficial owner")


def short_sale_located(*, context: GateContext) -> Check:
    """P-23: all that the account would be short must have been located, what it is short already included."""
    terms = context.terms
    if terms.side is _BUY or context.instrument.asset_class not in context.limits.locate_required:
        return _PASSED["P-23"]
    lots = context.open_lots + context.working_lots
    if context.reduces:
        held = context.position_net if context.closable is None else context.closable
        lots = max(context.working_lots, min(lots, held))
    short = max(ZERO, lots - context.position_net)
    return at_most(
        code="P-23", value=short, limit=context.located_lots, text="the shares to sell short are not located"
    )


def leverage_capped(*, context: GateContext) -> Check:
    """P-24: the margin percent charged is at least the client category's."""
    charged, least = context.margin_percent, context.margin_percent_min
    if charged is None or least is None:
        return yes(code="P-24", passed=False, text=f"leverage: {UNKNOWN}")
    if charged >= least:
        return _PASSED["P-24"]
    return yes(code="P-24", passed=False, value=str(charged), limit=str(least), text="the leverage is above the cap")


def not_killed(*, context: GateContext) -> Check:
    """P-25: nothing passes a kill, not even a reduction."""
    return _PASSED["P-25"] if not context.killed else yes(code="P-25", passed=False, text="the kill switch is on")


def review_current(*, context: GateContext) -> Check:
    """P-30: the yearly review of controls has been signed; one that is not on record blocks."""
    if context.review_due_at_us is not None and context.now_us < context.review_due_at_us:
        return _PASSED["P-30"]
    return yes(code="P-30", passed=False, text="the yearly review of controls is overdue")


def _added(context: GateContext) -> Decimal | None:
    if context.notional is None or not context.replaced_notional:
        return context.notional
    return context.notional - context.replaced_notional


def _sum(before: Decimal | None, added: Decimal | None) -> Decimal | None:
    return None if before is None or added is None else before + added
