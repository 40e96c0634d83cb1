"""The pre-trade gate: a fixed tuple of questions, cheap ones first, and one verdict with every reason to refuse.

Every control answers for every order, NEW and REPLACE; a CANCEL only ever makes risk smaller, so it passes. Who may
override a refusal, alerts, limit changes and cancel-on-disconnect are in oversight.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from piggy.core import controls_flow as flow
from piggy.core import controls_order as order
from piggy.core import gate, oversight
from piggy.core.builds import build_of
from piggy.core.events import Check, Verdict
from piggy.core.gate import GateContext, Request
from piggy.core.orders import OrderTerms
from piggy.core.oversight import override_holds

PLAIN_CHECKS = (
    flow.not_killed,
    order.trading_state,
    order.authorised,
    order.product_permitted,
    order.not_restricted,
    order.market_open,
    flow.review_current,
    order.well_formed,
)
# These compute with the order's numbers, so they are asked only when those are numbers at all.
NUMBER_CHECKS = (
    flow.message_rate,
    flow.not_duplicate,
    flow.executions_throttled,
    flow.no_reject_storm,
    flow.no_self_trade,
    order.order_volume,
    order.order_value,
    order.price_fresh,
    order.market_protection,
    order.price_collar,
    flow.value_in_window,
    flow.leverage_capped,
    flow.volume_share,
    flow.short_sale_located,
    flow.position_caps,
    flow.exposure_caps,
    flow.daily_loss,
    flow.margin_free,
)
CHECKS = PLAIN_CHECKS + NUMBER_CHECKS
NUMBER_CODES = (
    *("P-14", "P-13", "P-15", "P-16", "P-22", "P-08", "P-07", "P-11", "P-10", "P-09", "P-12", "P-24", "P-21"),
    *("P-23", "P-18", "P-19", "P-20", "P-17"),
)
assert len(NUMBER_CODES) == len(NUMBER_CHECKS), "every control that computes has its code"
_CANCEL = Request.CANCEL
_UNJUDGED = tuple(Check(code=code, passed=False, text="cannot be judged: no numbers") for code in NUMBER_CODES)
# What adds no lots and comes at no price that was not there is no new exposure. It wants an open market all the
# same, and is a message.
_OF_EXPOSURE = ("P-07", "P-08", "P-09", "P-12", "P-17", "P-18", "P-19", "P-20", "P-21", "P-23")
_ADDS_NOTHING: dict[Callable[..., Check], Check] = {
    check: Check(code=code, passed=True, text="adds nothing")
    for check, code in zip(NUMBER_CHECKS, NUMBER_CODES, strict=True)
    if code in _OF_EXPOSURE
}
# P-25 is deliberately not here: no person's signature lets an order through a kill.
OVERRIDABLE = frozenset({"P-07", "P-08", "P-09", "P-12", "P-13", "P-18", "P-19", "P-21"})


def assess(*, context: GateContext, order_id: str = "") -> Verdict:
    """Return what the gate says of the order: every check with value and limit, and all reasons to refuse."""
    if context.request is _CANCEL:
        checks: tuple[Check, ...] = (flow.message_rate(context=context),)
    elif context.sane:
        if context.eases or context.is_exit:
            checks = tuple([_ADDS_NOTHING.get(check) or check(context=context) for check in CHECKS])
        else:
            checks = tuple([check(context=context) for check in CHECKS])
    else:
        checks = (*[check(context=context) for check in PLAIN_CHECKS], *_UNJUDGED)
    if context.override is not None:
        checks = _overridden(checks, context)
    return verdict_on(
        order_id=order_id,
        terms=context.terms,
        at_us=context.now_us,
        config_version=context.config_version,
        checks=checks,
    )


def verdict_on(
    *, order_id: str, terms: OrderTerms, at_us: int, config_version: int, checks: tuple[Check, ...]
) -> Verdict:
    """Return the record of what was said of exactly these terms: by the gate, or by the desk of an order of its own."""
    return Verdict(
        order_id=order_id,
        terms_hash=terms_hash(terms=terms),
        config_version=config_version,
        checks=checks,
        at_us=at_us,
        build=GATE_BUILD,
    )


def refusal(*, order_id: str, terms: OrderTerms, at_us: int, code: str, text: str, config_version: int = 0) -> Verdict:
    """Return the verdict for an order that no context can be made of: an unknown account, group or instrument."""
    checks = (Check(code=code, passed=False, text=text),)
    return verdict_on(order_id=order_id, terms=terms, at_us=at_us, config_version=config_version, checks=checks)


def terms_hash(*, terms: OrderTerms) -> str:
    """Return SHA-256 (hex) of what the order sets, as canonical JSON: in declaration order, numbers as text."""
    return hashlib.sha256(msgspec.json.encode(terms)).hexdigest()


def _overridden(checks: tuple[Check, ...], context: GateContext) -> tuple[Check, ...]:
    """P-26: turn refusals that a second person signed for into passes which say so; a bad override changes nothing."""
    override = context.override
    assert override is not None
    if not override_holds(override=override, order_id=context.order_id, now_us=context.now_us):
        return (*checks, Check(code="P-26", passed=False, text="the override is not valid for this order now"))
    signed = override.codes & OVERRIDABLE
    return tuple(
        msgspec.structs.replace(check, passed=True, text=f"overridden by {override.authorised_by}: {check.text}")
        if not check.passed and check.code in signed
        else check
        for check in checks
    )


# Every verdict says which gate it is of: these rules, as they stand in this program.
GATE_BUILD = build_of(namespaces=(vars(gate), vars(order), vars(flow), vars(oversight), globals()))
