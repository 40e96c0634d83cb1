"""Standing: whether an order that works already may deal now. The gate asks when it comes; markets stop later too.

A halt, a kill or the end of a session stops what rests, what a price would trigger, what a venue gave back and what a
dealer holds; while a scope only reduces, what waits deals only as far as it makes its position smaller. In a call, or
closed, a symbol deals nothing until its auction. Of an account that was closed or blocked since, or may not trade the
symbol any more, what waits only reduces too. An entry whose stop is to be guaranteed waits until that is far enough
from the market.
"""

from __future__ import annotations

from decimal import Decimal

from piggy.core.accounts import Account, PositionMode, TradingState
from piggy.core.amendment_folding import ENDING
from piggy.core.auctions import AuctionPhase
from piggy.core.controls_order import STRICTNESS
from piggy.core.execution import Execution, position_id_of
from piggy.core.guarantees import may_enter
from piggy.core.orders import FLATTEN as FLATTEN
from piggy.core.orders import OrderTerms, TimeInForce
from piggy.core.positions import Position, opening_lots
from piggy.core.rollover import next_rollover_at_us
from piggy.core.state import Order, State

# The scope of one symbol at one venue; its key is VENUE/SYMBOL.
VENUE_SYMBOL = "venue_symbol"
NEVER_US = 1 << 62
_CONTINUOUS = AuctionPhase.CONTINUOUS
_ACTIVE, _REDUCING = TradingState.ACTIVE, TradingState.REDUCING
NONE: frozenset[str] = frozenset()


def strictest_state(*, state: State, group: str, account_id: str, symbol: str) -> TradingState:
    """Return the strictest of the trading states that firm, tenant, group, account and symbol are in (P-01)."""
    known = state.trading_states
    if not known:
        return _ACTIVE
    keys = (("firm", ""), ("tenant", ""), ("group", group), ("account", account_id), ("symbol", symbol))
    return max((known.get(key, _ACTIVE) for key in keys), key=STRICTNESS.__getitem__)


def switched_off(*, state: State, symbol: str, opens: bool = True) -> dict[str, str]:
    """Return the venues that get no orders in a symbol, each with why; one that only reduces gets what `opens` none."""
    found: dict[str, str] = {}
    for (scope, key), known in state.trading_states.items():
        if known is _ACTIVE or (known is _REDUCING and not opens):
            continue
        if scope == "venue":
            found[key] = f"trading state {known.value}"
        elif scope == VENUE_SYMBOL and key.endswith(f"/{symbol}"):
            found[key.partition("/")[0]] = f"trading state {known.value} in {symbol}"
    return found


def phase_of(*, state: State, symbol: str) -> AuctionPhase:
    """Return where in its day a symbol is; one that nobody ever put elsewhere is traded continuously."""
    known = state.phases.get(symbol)
    return known.phase if known else _CONTINUOUS


def is_stopped(*, state: State, account_id: str, symbol: str) -> bool:
    """Return whether nothing of the account may be dealt in the symbol now, not even what reduces."""
    group = state.accounts[account_id].group
    return is_group_stopped(state=state, group=group, symbol=symbol, account_id=account_id)


def is_group_stopped(*, state: State, group: str, symbol: str, account_id: str = "") -> bool:
    """Return whether nothing of any account in the group, or of that one, may be dealt in the symbol now."""
    if symbol in state.expired or phase_of(state=state, symbol=symbol) is not _CONTINUOUS:
        return True
    strictest = strictest_state(state=state, group=group, account_id=account_id, symbol=symbol)
    return STRICTNESS[strictest] > STRICTNESS[_REDUCING]


def expires_at_us(*, order: Order) -> int:
    """Return when the order ends by itself: its own time, or the end of the trading day that it was given for."""
    if order.terms.time_in_force is TimeInForce.GTD and order.terms.expires_at_us is not None:
        return order.terms.expires_at_us
    return next_rollover_at_us(at_us=order.day_from_us or order.accepted_at_us)


def ends_at_us(*, order: Order) -> int:
    """Return when a working order ends by itself; NEVER_US where only somebody, or its fill, ends it."""
    return expires_at_us(order=order) if order.terms.time_in_force in ENDING else NEVER_US


def may_deal(*, order: Order, execution: Execution) -> bool:
    """Return whether what is free of a working order may be dealt now; what flattens a stopped scope always may."""
    state, terms = execution.moment.state, order.terms
    if state.expired and terms.symbol in state.expired:
        return False
    if order.order_id in state.expiring and execution.moment.now_us >= expires_at_us(order=order):
        return False  # Its time is up, and what says so comes in a moment.
    if order.source == FLATTEN:
        return True
    if not execution.moment.in_session(symbol=terms.symbol):
        return False
    if terms.guaranteed_stop and not may_enter(order=order, moment=execution.moment):
        return False
    if state.phases and phase_of(state=state, symbol=terms.symbol) is not _CONTINUOUS:
        return False
    account = state.accounts[terms.account_id]
    now = strictest_state(state=state, group=account.group, account_id=terms.account_id, symbol=terms.symbol)
    if now is _ACTIVE and may_open(state=state, account=account, symbol=terms.symbol):
        return True
    if now is not _ACTIVE and now is not _REDUCING:
        return False
    position = execution.position(position_id_of(account=account, order=order))
    if position is None or position.side is terms.side:
        return False
    return is_bound(terms=terms, account=account) or execution.free(order) <= position.lots


def may_open(*, state: State, account: Account, symbol: str) -> bool:
    """Return whether the account may still open anything in the symbol (P-02 to P-04).

    The gate takes nothing of an account of which nothing is on record, so what it works was let in before that was
    asked; it goes on.
    """
    allowed = state.permissions.get(account.account_id)
    if not account.open or (allowed is not None and not (allowed.cleared and allowed.permits(symbol=symbol))):
        return False
    return not state.restrictions or symbol not in restricted(state=state, owner_id=account.owner_id)


def restricted(*, state: State, owner_id: str) -> frozenset[str]:
    """Return the symbols on the restricted lists of firm, tenant and client (P-04)."""
    lists = (("firm", ""), ("tenant", ""), ("client", owner_id))
    return NONE.union(*(state.restrictions.get(key, NONE) for key in lists))


def is_bound(*, terms: OrderTerms, account: Account) -> bool:
    """Return whether an order has to do with one position only, so that it ends with it and never turns it round.

    That is what only reduces, and on a hedging account whatever names a position.
    """
    return terms.reduce_only or (terms.position_id is not None and account.position_mode is PositionMode.HEDGING)


def serves(*, order: Order, position: Position | None) -> bool:
    """Return whether there is the `position` that a bound order has to do with; one that only reduces adds to none."""
    return position is not None and (position.side is not order.terms.side or not order.terms.reduce_only)


def over_with(*, order: Order, stays: bool, execution: Execution) -> str:
    """Return why a bound order has nothing to deal any more; '' where it has, or `stays` while its position does."""
    account = execution.moment.account(order.terms.account_id)
    if not is_bound(terms=order.terms, account=account):
        return ""
    position = execution.position(position_id_of(account=account, order=order))
    if not serves(order=order, position=position):
        return why_gone(terms=order.terms)
    free = execution.free(order)
    if stays or dealable_lots(order=order, quantity=free, position=position, execution=execution) > 0:
        return ""
    return "nothing left to reduce: other orders have the position on its way out"


def why_gone(*, terms: OrderTerms) -> str:
    """Return why a bound order ends whose position is gone."""
    return "nothing left to reduce" if terms.reduce_only else "the position that it names is gone"


def dealable_lots(*, order: Order, quantity: Decimal, position: Position | None, execution: Execution) -> Decimal:
    """Return how many of `quantity` lots the order may deal: all, or for a bound one what there is to close."""
    terms = order.terms
    if not is_bound(terms=terms, account=execution.moment.account(terms.account_id)):
        return quantity
    if position is not None and position.side is terms.side and not terms.reduce_only:
        return quantity  # It adds to the position that it names.
    closing = quantity - opening_lots(position=position, side=terms.side, quantity=quantity)
    # What is already on its way out cannot be closed twice.
    return min(closing, position.lots - execution.under_way(position=position)) if position else closing
