"""Interrupting: when clients would meet too far from the last prices, a volatility call begins and collects orders."""

from __future__ import annotations

from decimal import Decimal

from piggy.core.auctions import CALLS, AuctionPhase, AuctionRules, interrupts
from piggy.core.crossing import Meeting, meet
from piggy.core.events import PhaseChanged
from piggy.core.execution import Execution
from piggy.core.moment import Moment
from piggy.core.orders import OrderTerms, OrderType, TimeInForce
from piggy.core.retrying import may_rest
from piggy.core.standing import FLATTEN, phase_of
from piggy.core.state import Order

FORCED = (FLATTEN, "stop_out")
_AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)


def interrupted(*, terms: OrderTerms, meeting: Meeting, moment: Moment) -> AuctionRules | None:
    """Return the rules of the volatility call that must begin before clients meet at these prices."""
    rules, known = moment.state.auction_rules.get(terms.symbol), moment.state.crossed_at.get(terms.symbol)
    if rules is None or known is None:
        return None
    tick = moment.instrument(terms.symbol).tick_size
    far = any(
        interrupts(
            price=int(cross.price / tick),
            reference=int(known.last / tick),
            static_reference=int(known.static / tick),
            dynamic_bps=rules.dynamic_bps,
            static_bps=rules.static_bps,
        )
        for cross in meeting.crosses
    )
    return rules if far else None


def meeting_of(
    *, order: Order, quantity: Decimal, street: Decimal | None, execution: Execution
) -> tuple[Meeting, AuctionRules | None]:
    """Return whom an order meets, and the rules of the call that must begin first, None for none.

    What closes because it must deals in the street with no client instead: in a call more could be lost, and whoever
    wanted that could begin one. So do a stop-out, a flattening and a stop that has come alive.
    """
    meeting = meet(terms=order.terms, quantity=quantity, street=street, execution=execution)
    rules = interrupted(terms=order.terms, meeting=meeting, moment=execution.moment)
    must = order.source in FORCED or (order.triggered and not may_rest(order))
    return (Meeting(), None) if rules and must else (meeting, rules)


def call(*, rules: AuctionRules, moment: Moment) -> PhaseChanged:
    """Return the beginning of a volatility call."""
    return PhaseChanged(
        symbol=rules.symbol,
        phase=AuctionPhase.VOLATILITY_CALL,
        ends_at_us=moment.now_us + rules.call_s * 1_000_000,
        reason="clients would meet outside of the corridors",
        by="",
    )


def waits_for_auction(*, order: Order, execution: Execution) -> bool:
    """Whether a market order is collected by a call, also one that has just begun."""
    terms, moment = order.terms, execution.moment
    if terms.type is not OrderType.MARKET or terms.time_in_force in _AT_ONCE:
        return False
    in_call = terms.symbol in execution.called or phase_of(state=moment.state, symbol=terms.symbol) in CALLS
    return in_call and moment.group_of(terms.account_id).internal_cross
