"""What the engine does for a dealer: trading states, orders, hedges."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from apps.accounts import selectors as accounts
from apps.dealing.services.acting import Outcome, UnableToAct, Wish, perform
from apps.instruments import selectors as instruments
from apps.liquidity import selectors as liquidity
from apps.tenants import selectors as tenants
from apps.trading import selectors as trading
from piggy.core.accounts import TradingState
from piggy.core.commands import (
    AmendOrder,
    ApproveHedge,
    CancelOrder,
    CoverByHand,
    PlaceOrder,
    RejectHedge,
    ScoreAccount,
    SetTradingState,
)
from piggy.core.orders import OrderTerms, Side

SOURCE = "dealer"
WHOLE = ("firm", "tenant")


def set_trading_state(
    *, wish: Wish, scope: str, key: str, state: TradingState, confirm: str, cancel_working: bool
) -> Outcome:
    """Halt, reduce, kill or reopen a scope; what one person stopped another reopens (the engine holds them to it).

    A kill cancels working orders, so its target's name must be typed. Raises UnableToAct for an unknown target.
    """
    require_target(scope=scope, key=key)
    if scope in WHOLE and state is TradingState.ACTIVE and tenants.is_suspended(schema=wish.tenant):
        raise UnableToAct("The platform has suspended this broker.", code="SUSPENDED", field="scope")
    if state is TradingState.KILLED:
        require_confirmation(given=confirm, expected=key or wish.tenant)
    command = SetTradingState(
        scope=scope, key=key, state=state, reason=wish.reason, by=wish.by, cancel_working=cancel_working
    )
    return perform(wish=wish, subject=f"{scope}:{key}" if key else scope, command=command)


def place_order(*, wish: Wish, terms: OrderTerms, confirm: str) -> Outcome:
    """Place an order for a client; every control of the gate holds as for the client. Raises UnableToAct."""
    require_target(scope="account", key=terms.account_id)
    require_target(scope="symbol", key=terms.symbol)
    require_confirmation(given=confirm, expected=f"{terms.side.value} {terms.quantity} {terms.symbol}")
    subject = f"account:{terms.account_id}"
    return perform(wish=wish, subject=subject, command=PlaceOrder(terms=terms, source=SOURCE), waits=False)


def cancel_order(*, wish: Wish, order_id: str) -> Outcome:
    """Cancel what is left of a client's order. Raises UnableToAct where there is none."""
    account_id = trading.account_of_order(order_id=order_id)
    if account_id is None:
        raise UnableToAct("There is no such order.", code="ORDER_UNKNOWN", field="order_id")
    command = CancelOrder(order_id=order_id, account_id=account_id, reason=f"dealer {wish.by}: {wish.reason}")
    return perform(wish=wish, subject=f"order:{order_id}", command=command, waits=False)


def amend_order(*, wish: Wish, order_id: str, confirm: str, **changes: Any) -> Outcome:
    """Change what a working order asks for, as AmendOrder names it. Raises UnableToAct where there is none."""
    account_id = trading.account_of_order(order_id=order_id)
    if account_id is None:
        raise UnableToAct("There is no such order.", code="ORDER_UNKNOWN", field="order_id")
    if not changes:
        text = "Give lots, a price, a time or an exit that is to be otherwise."
        raise UnableToAct(text, code="INCOMPLETE", field="quantity")
    require_confirmation(given=confirm, expected=f"amend {order_id}")
    command = AmendOrder(order_id=order_id, account_id=account_id, **changes)
    return perform(wish=wish, subject=f"order:{order_id}", command=command, waits=False)


def score_account(*, wish: Wish, account_id: str, score: Decimal) -> Outcome:
    """Say how toxic an account's flow is, in basis points against the house; routing rules may look at it."""
    require_target(scope="account", key=account_id)
    command = ScoreAccount(account_id=account_id, score=score)
    return perform(wish=wish, subject=f"account:{account_id}", command=command)


def cover(*, wish: Wish, symbol: str, side: Side | None, quantity: Decimal | None, confirm: str) -> Outcome:
    """Deal for the house: a side and a quantity, or neither, and the symbol is dealt flat. Raises UnableToAct."""
    require_target(scope="symbol", key=symbol)
    if (side is None) != (quantity is None):
        raise UnableToAct("Give a side and a quantity, or neither.", code="INCOMPLETE", field="quantity")
    expected = f"flatten {symbol}" if side is None else f"{side.value} {quantity} {symbol}"
    require_confirmation(given=confirm, expected=expected)
    command = CoverByHand(symbol=symbol, by=wish.by, reason=wish.reason, side=side, quantity=quantity)
    return perform(wish=wish, subject=f"symbol:{symbol}", command=command, waits=False)


def decide_hedge(*, wish: Wish, hedge_id: str, approves: bool) -> Outcome:
    """Let a queued hedge go out, or drop it."""
    command = (
        ApproveHedge(hedge_id=hedge_id, by=wish.by)
        if approves
        else RejectHedge(hedge_id=hedge_id, by=wish.by, reason=wish.reason)
    )
    return perform(wish=wish, subject=f"hedge:{hedge_id}", command=command, waits=False)


def require_confirmation(*, given: str, expected: str) -> None:
    """Raise UnableToAct unless the dealer repeated what cannot be undone."""
    if given.strip().lower() != expected.lower():
        raise UnableToAct(f'Confirm with "{expected}".', code="CONFIRMATION_NEEDED", field="confirm")


def require_target(*, scope: str, key: str) -> None:
    """Raise UnableToAct unless there is such a group, account, symbol, LP or strategy; the wider two have no key.

    A symbol at one venue is VENUE/SYMBOL.
    """
    venue, _, symbol = key.partition("/")
    known: dict[str, QuerySet] = {
        "group": accounts.all_groups().filter(name=key),
        "account": accounts.all_accounts().filter(account_id=key),
        "symbol": instruments.all_instruments().filter(symbol=key),
        "venue": liquidity.providers().filter(name=key),
        "venue_symbol": liquidity.providers().filter(name=venue, symbols__symbol=symbol),
        "strategy": trading.all_strategies().filter(strategy_id=key),
    }
    if scope in WHOLE and not key:
        return
    if scope not in known or not known[scope].exists():
        raise UnableToAct(f"There is no {scope} {key}.", code="TARGET_UNKNOWN", field="key")
