"""Signals: what a quant desk posts, strictly read, proven, and turned into one command.

Body: {"id", "symbol" or "ticker", "action": buy|sell|flat|close|reverse, "quantity": "0.10", "type", "price", "time"}.
Numbers are strings. `id` makes a signal once; `time` (ISO 8601 or Unix seconds) is needed where nothing is signed.
`before` says what is held when the signal is right: flat, long or short. README.md has the template for alerts.
"""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

import msgspec

from piggy.core import strategies
from piggy.core.accounts import PositionMode, Strategy
from piggy.core.commands import AnyCommand, PlaceOrder
from piggy.core.desk import Desk
from piggy.core.events import CommandRefused
from piggy.core.orders import OrderTerms, OrderType, Side
from piggy.engine.loop import CommandMaker

MALFORMED = "MALFORMED"

# As the tables keep them: what is longer is no symbol of anybody, and no id that could be shown.
ID_LENGTH_MAX, SYMBOL_LENGTH_MAX = 100, 40

# A chart service says JSON of what is JSON and text of everything else; it is read as JSON in any case.
UTF_8 = "utf-8"
CONTENT_TYPES = ("application/json", "text/plain", "")
CONTENT_TYPES_KEPT = 100
# Of what is larger the strict reader, which makes an object of each bracket, sees only what a quick one let through;
# and for the id of what is no signal nobody looks there.
STRICT_BYTES_MAX, NAMED_BYTES_MAX = 4_096, 1_024

_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,10})?")
_decoder = msgspec.json.Decoder(dict[str, str])
_SYMBOL = re.compile(r"[A-Za-z0-9._:!-]{1,64}")
# As a chart service leaves it that knows nothing to put in its place, in an alert that is no strategy's.
_PLACEHOLDER = re.compile(r"\{\{[^{}]{0,60}\}\}")


class UnableToAcceptSignal(Exception):
    """The signal is answered with `status`; `field` names what is wrong with it, `retry_after_s` when to come again.

    `why` is for its strategy's own desk, never for who sent it; `proven` whether that was shown to be the strategy.
    """

    def __init__(
        self, status: int, code: str, text: str, *, field: str = "", retry_after_s: int = 0, why: str = ""
    ) -> None:
        super().__init__(text)
        self.why = why
        self.proven = False
        self.status = status
        self.code = code
        self.field = field
        self.retry_after_s = retry_after_s


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
    before: Literal["", "long", "short", "flat"] = ""
    comment: str = ""


CHOICES = {
    name: tuple(filter(None, get_args(kind)))
    for name, kind in get_type_hints(Signal).items()
    if get_origin(kind) is Literal
}
_whole = msgspec.json.Decoder(Signal)
_QUOTES_MAX = 4 * len(Signal.__struct_fields__)


@lru_cache(CONTENT_TYPES_KEPT)
def require_readable(*, content_type: str) -> None:
    """Let through JSON and text in UTF-8, and who says nothing. Raises UnableToAcceptSignal 415."""
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    named = dict(part.partition("=")[::2] for part in parameters)
    if media not in CONTENT_TYPES or named.get("charset", UTF_8).strip('"') != UTF_8:
        text = "Content-Type must be application/json or text/plain, each in UTF-8, or left out."
        raise UnableToAcceptSignal(415, "CONTENT_TYPE", text, field="Content-Type")


def parse(*, body: bytes) -> Signal:
    """Return the signal in `body`. Raises UnableToAcceptSignal.

    400 MALFORMED for what is no strict JSON, 400 INVALID_FIELD where a field is unknown, missing or no text, 422 for
    one whose text cannot be used.
    """
    try:
        found = _texts(body) or _strict(body)
        if b"{{" in body:
            _require_filled_in(found)
        signal = msgspec.convert(found, Signal)
    except msgspec.ValidationError as error:
        field = re.search(r"`\$\.(\w+)`|field `(\w+)`", str(error))
        name = next((part for part in field.groups() if part), "") if field else ""
        if name in CHOICES and str(error).startswith("Invalid enum value"):
            _refuse(name, f"one of {', '.join(CHOICES[name])}")
        raise UnableToAcceptSignal(400, "INVALID_FIELD", str(error), field=name) from error
    except (ValueError, RecursionError) as error:
        raise UnableToAcceptSignal(400, MALFORMED, f"The body is not strict JSON: {error}") from error
    if not 1 <= len(signal.id) <= ID_LENGTH_MAX:
        _refuse("id", f"1 to {ID_LENGTH_MAX} characters")
    if not (_SYMBOL.fullmatch(signal.symbol or signal.ticker) and 1 <= len(_symbol(signal)) <= SYMBOL_LENGTH_MAX):
        _refuse("symbol", f"a symbol as EURUSD or FX:EURUSD, of at most {SYMBOL_LENGTH_MAX} characters")
    if signal.quantity or signal.action in ("buy", "sell"):
        _decimal("quantity", signal.quantity)
    if signal.price or signal.type != "market":
        _decimal("price", signal.price)
    return signal


def id_of(*, body: bytes) -> str:
    """Return by which id a signal that cannot be used calls itself, '' where it has none that can be told."""
    try:
        found = _texts(body) or (_strict(body) if len(body) <= NAMED_BYTES_MAX else None)
    except (ValueError, RecursionError):
        return ""
    named = found.get("id", "") if isinstance(found, dict) else ""
    return named if isinstance(named, str) and len(named) <= ID_LENGTH_MAX else ""


def request_hash(*, signal: Signal, body: bytes, signed: bool) -> str:
    """Return what a repeat must have in common: the raw body where signed, else all but the alert's own time."""
    same = body if signed else msgspec.json.encode(msgspec.structs.replace(signal, time=""))
    return hashlib.sha256(same).hexdigest()


def command_maker(*, signal: Signal, strategy_id: str) -> CommandMaker:
    """Return what makes the signal's command from the desk at the moment of decision."""

    def make(desk: Desk, now_us: int) -> AnyCommand | CommandRefused:
        strategy = desk.state.strategies[strategy_id]
        if not strategy.enabled:
            return CommandRefused(code="STRATEGY_DISABLED", field="strategy", text="The strategy is switched off.")
        asked = Decimal(signal.quantity) if signal.quantity else Decimal(0)
        if signal.action in ("buy", "sell"):
            wanted: PlaceOrder | CommandRefused = _place(
                signal, strategy, Side(signal.action), asked, reduce_only=False
            )
        else:
            wanted = _turn(desk, signal, strategy, asked)
        if isinstance(wanted, CommandRefused):
            return wanted
        refused = strategies.refusal(
            state=desk.state, strategy=strategy, terms=wanted.terms, before=signal.before, now_us=now_us
        )
        return refused or wanted

    return make


def is_expected(*, desk: Desk, strategy: Strategy, signal: Signal) -> bool:
    """Return whether the account holds now what the signal says that it held before."""
    return strategies.expects(state=desk.state, strategy=strategy, symbol=_symbol(signal), before=signal.before)


def _turn(desk: Desk, signal: Signal, strategy: Strategy, asked: Decimal) -> PlaceOrder | CommandRefused:
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
        if strategies.is_moving(state=state, account_id=strategy.account_id, symbol=symbol):
            # One that came twice would turn over what the first is just turning.
            text = f"An order in {symbol} is under way: what there is to reverse is not known."
            return CommandRefused(code="POSITION_MOVING", field="action", text=text)
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
    return PlaceOrder(terms=terms, source=f"signal:{strategy.strategy_id}", shadow=strategy.shadow)


def _symbol(signal: Signal) -> str:
    return (signal.symbol or signal.ticker).rpartition(":")[2].upper()


def _decimal(field: str, text: str) -> None:
    try:
        if _DECIMAL.fullmatch(text) and Decimal(text) > 0:
            return
    except InvalidOperation as error:
        raise UnableToAcceptSignal(422, "INVALID_FIELD", f"{field}: {error}", field=field) from error
    _refuse(field, 'a positive decimal in quotes, as "0.10", of at most 12 digits and 10 decimals')


def _require_filled_in(found: Any) -> None:
    """Refuse a placeholder that was sent as it stands: as an id, all alerts of a chart would be one signal."""
    for name in Signal.__struct_fields__:
        text = found.get(name) if isinstance(found, dict) and name != "comment" else None
        if isinstance(text, str) and (left := _PLACEHOLDER.search(text)):
            said = f"{name} holds {left[0]}, which the chart service did not fill in."
            raise UnableToAcceptSignal(422, "INVALID_FIELD", said, field=name)


def _refuse(field: str, wanted: str) -> NoReturn:
    raise UnableToAcceptSignal(422, "INVALID_FIELD", f"{field} must be {wanted}.", field=field)


def _texts(body: bytes) -> dict[str, str] | None:
    """Return a body that plainly is an object of texts; None where only the strict reader can tell what it is.

    Without escapes every quote opens or closes a text, so four of them a pair say that no key came twice.
    """
    quotes = body.count(b'"')
    if b"\\" in body or quotes > _QUOTES_MAX:
        return None
    try:
        found = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if quotes == 4 * len(found) else None


def _strict(body: bytes) -> Any:
    """Return what the body holds. Raises ValueError for what is no JSON, and for texts that nothing can store."""
    text = body.decode()
    if len(body) > STRICT_BYTES_MAX:
        _whole.decode(text)
    found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    json.dumps(found, ensure_ascii=False).encode()  # Half a surrogate pair ends here.
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    if any("\0" in text for pair in pairs for text in pair if isinstance(text, str)):
        raise ValueError("a text holds NUL")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
