"""Signals: what a quant desk posts, strictly read, proven, and turned into one command.

Body: {"id", "symbol" or "ticker", "action": buy|sell|flat|close|reverse, "quantity": "0.10", "type", "price", "time"}.
Numbers are strings. `id` makes a signal once; `time` (ISO 8601 or Unix seconds) is needed where nothing is signed.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NoReturn

import msgspec

from piggy.core.accounts import PositionMode, Strategy
from piggy.core.commands import AnyCommand, PlaceOrder
from piggy.core.desk import Desk
from piggy.core.events import CommandRefused
from piggy.core.orders import OrderTerms, OrderType, Side
from piggy.engine.loop import CommandMaker
from piggy.messaging import signing

WINDOW_S = 300
ID_LENGTH_MAX = 128
SCOPE = "trade"

_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,10})?")
_SYMBOL = re.compile(r"[A-Za-z0-9._:!-]{1,64}")
_TIME = re.compile(r"[0-9]{10}")


class UnableToAcceptSignal(Exception):
    """The signal is answered with `status`; `field` names what is wrong with it."""

    def __init__(self, status: int, code: str, text: str, *, field: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.field = field


class Signal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body as it may be; all texts, so that no number passes through a float."""

    id: str
    action: Literal["buy", "sell", "flat", "close", "reverse"]
    symbol: str = ""
    ticker: str = ""
    quantity: str = ""
    type: Literal["market", "limit", "stop"] = "market"
    price: str = ""
    time: str = ""
    comment: str = ""


def parse(*, body: bytes) -> Signal:
    """Return the signal in `body`. Raises UnableToAcceptSignal: 400 for what is no JSON object, 422 for a bad field."""
    try:
        found = json.loads(body, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UnableToAcceptSignal(400, "MALFORMED", f"The body is not strict JSON: {error}") from error
    try:
        signal = msgspec.convert(found, Signal)
    except msgspec.ValidationError as error:
        field = re.search(r"`\$\.(\w+)`|field `(\w+)`", str(error))
        name = next((part for part in field.groups() if part), "") if field else ""
        raise UnableToAcceptSignal(422, "INVALID_FIELD", str(error), field=name) from error
    if not 1 <= len(signal.id) <= ID_LENGTH_MAX:
        _refuse("id", f"1 to {ID_LENGTH_MAX} characters")
    if not _SYMBOL.fullmatch(signal.symbol or signal.ticker):
        _refuse("symbol", "a symbol as EURUSD or FX:EURUSD")
    if signal.quantity or signal.action in ("buy", "sell"):
        _decimal("quantity", signal.quantity)
    if signal.type != "market":
        _decimal("price", signal.price)
    return signal


def prove_signed(
    *, headers: Mapping[str, str], body: bytes, strategy: Strategy, key: bytes, tenant: str, now_s: int
) -> None:
    """Check the signature over timestamp and raw body. Raises UnableToAcceptSignal 401, always with one text."""
    timestamp, given = headers.get("x-piggy-timestamp", ""), headers.get("x-piggy-signature", "")
    if not _TIME.fullmatch(timestamp) or abs(now_s - int(timestamp)) > WINDOW_S:
        raise unauthorised()
    for version in _versions(strategy):
        secret = signing.strategy_secret(key=key, tenant=tenant, strategy=strategy.strategy_id, key_version=version)
        if signing.same(given, signing.signature(secret=secret, timestamp=timestamp, body=body)):
            return
    raise unauthorised()


def prove_capability(
    *, mac: str, signal: Signal, strategy: Strategy, key: bytes, tenant: str, address: str, now_s: int
) -> None:
    """Check a capability URL's MAC, where the request comes from, and that the alert is fresh. Raises as above."""
    known = False
    for version in _versions(strategy):
        expected = signing.capability_mac(
            key=key,
            tenant=tenant,
            strategy=strategy.strategy_id,
            account_id=strategy.account_id,
            scope=SCOPE,
            key_version=version,
        )
        known = signing.same(mac, expected) or known
    if not known or not _is_allowed(address, strategy.sources) or abs(now_s - _seconds(signal.time)) > WINDOW_S:
        raise unauthorised()


def request_hash(*, signal: Signal, body: bytes, signed: bool) -> str:
    """Return what a repeat must have in common: the raw body where signed, else all but the alert's own time."""
    same = body if signed else msgspec.json.encode(msgspec.structs.replace(signal, time=""))
    return hashlib.sha256(same).hexdigest()


def command_maker(*, signal: Signal, strategy_id: str) -> CommandMaker:
    """Return what makes the signal's command from the desk at the moment of decision."""

    def make(desk: Desk) -> AnyCommand | CommandRefused:
        strategy = desk.state.strategies[strategy_id]
        if not strategy.enabled:
            return CommandRefused(code="STRATEGY_DISABLED", field="strategy", text="The strategy is switched off.")
        asked = Decimal(signal.quantity) if signal.quantity else Decimal(0)
        if asked > strategy.quantity_max:
            text = f"{asked} lots are more than the strategy's {strategy.quantity_max}."
            return CommandRefused(code="QUANTITY_MAX", field="quantity", text=text)
        if signal.action in ("buy", "sell"):
            return _place(signal, strategy, Side(signal.action), asked, reduce_only=False)
        return _turn(desk, signal, strategy, asked)

    return make


def unauthorised() -> UnableToAcceptSignal:
    """Return the one answer to every failed proof, so that it does not tell what failed."""
    return UnableToAcceptSignal(401, "UNAUTHORISED", "Strategy, signature or time window is not valid.")


def _turn(desk: Desk, signal: Signal, strategy: Strategy, asked: Decimal) -> AnyCommand | CommandRefused:
    """Close what is open, and for `reverse` open the other way with `quantity` or else as much as was closed."""
    state, symbol = desk.state, _symbol(signal)
    account = state.accounts.get(strategy.account_id)
    mine = [state.positions[each] for each in state.positions_of.get(strategy.account_id, ())]
    held = [position for position in mine if position.symbol == symbol]
    if not held:
        return CommandRefused(code="NO_POSITION", field="action", text=f"Nothing is open in {symbol}.")
    if len(held) > 1 or (account is not None and account.position_mode is PositionMode.HEDGING):
        return CommandRefused(code="HEDGED", field="action", text="A hedging account closes by position, not by flat.")
    net = held[0].quantity
    side = Side.SELL if net > 0 else Side.BUY
    if signal.action == "reverse":
        return _place(signal, strategy, side, abs(net) + (asked or abs(net)), reduce_only=False)
    return _place(signal, strategy, side, min(asked or abs(net), abs(net)), reduce_only=True)


def _place(signal: Signal, strategy: Strategy, side: Side, quantity: Decimal, *, reduce_only: bool) -> PlaceOrder:
    price = Decimal(signal.price) if signal.price else None
    terms = OrderTerms(
        account_id=strategy.account_id,
        symbol=_symbol(signal),
        side=side,
        quantity=quantity,
        type=OrderType(signal.type),
        limit_price=price if signal.type == "limit" else None,
        stop_price=price if signal.type == "stop" else None,
        reduce_only=reduce_only,
        client_order_id=signal.id,
    )
    return PlaceOrder(terms=terms, source=f"signal:{strategy.strategy_id}")


def _symbol(signal: Signal) -> str:
    return (signal.symbol or signal.ticker).rpartition(":")[2].upper()


def _versions(strategy: Strategy) -> tuple[int, ...]:
    if strategy.previous_key_valid and strategy.key_version > 1:
        return strategy.key_version, strategy.key_version - 1
    return (strategy.key_version,)


def _is_allowed(address: str, sources: tuple[str, ...]) -> bool:
    if not sources:
        return True
    try:
        return any(ipaddress.ip_address(address) in ipaddress.ip_network(source) for source in sources)
    except ValueError:
        return False


def _seconds(text: str) -> int:
    if _TIME.fullmatch(text):
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return 0
    return int(at.timestamp()) if at.tzinfo else 0


def _decimal(field: str, text: str) -> None:
    try:
        if _DECIMAL.fullmatch(text) and Decimal(text) > 0:
            return
    except InvalidOperation as error:
        raise UnableToAcceptSignal(422, "INVALID_FIELD", f"{field}: {error}", field=field) from error
    _refuse(field, 'a positive decimal in quotes, as "0.10"')


def _refuse(field: str, wanted: str) -> NoReturn:
    raise UnableToAcceptSignal(422, "INVALID_FIELD", f"{field} must be {wanted}.", field=field)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
