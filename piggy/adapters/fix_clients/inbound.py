"""What a client asks over FIX 4.4 -> requests in the desk's words. A bad field is refused by its tag and its limit."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, TypeVar

import msgspec

from piggy.adapters.fix.messages import at_us
from piggy.adapters.fix_clients.config import CL_ORD_ID_CHARACTERS_MAX, ORDER_AGE_S_MAX, TEXT_CHARACTERS_MAX, Terms
from piggy.core.money import plain
from piggy.core.orders import OrderTerms, OrderType, Side, TimeInForce
from piggy.core.rollover import rollover_at_us

REQUIRED, EMPTY, INCORRECT, FORMAT = "1", "4", "5", "6"
_SIDES = {"1": Side.BUY, "2": Side.SELL}
_TYPES = {
    "1": OrderType.MARKET,
    "2": OrderType.LIMIT,
    "3": OrderType.STOP,
    "4": OrderType.STOP_LIMIT,
    "J": OrderType.MARKET_IF_TOUCHED,
    "P": OrderType.TRAILING_STOP,
}
_TIMES = {"0": TimeInForce.DAY, "1": TimeInForce.GTC, "3": TimeInForce.IOC, "4": TimeInForce.FOK, "6": TimeInForce.GTD}
_POST_ONLY, _REDUCE_ONLY, _ALL_OR_NONE, _TRAILS = "6", "E", "G", "a"
_INSTRUCTIONS = {_POST_ONLY, _REDUCE_ONLY, _ALL_OR_NONE, _TRAILS}
_NUMBER = re.compile(r"\d{1,18}(\.\d{1,10})?", re.ASCII)
T = TypeVar("T")
_DATE = re.compile(r"[0-9]{8}", re.ASCII)
_ID = re.compile(r"[!-~]+", re.ASCII)


class UnableToTake(Exception):
    """A field is missing or wrong: `tag` names it, `reason` is FIX's SessionRejectReason, the text names the limit."""

    def __init__(self, text: str, *, tag: str, reason: str) -> None:
        super().__init__(text)
        self.tag, self.reason = tag, reason


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    cl_ord_id: str
    terms: OrderTerms


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    cl_ord_id: str
    orig_cl_ord_id: str


class Replace(msgspec.Struct, frozen=True, kw_only=True):
    """Quantity in lots, the whole order's and not what is left of it; what the message leaves out stays."""

    cl_ord_id: str
    orig_cl_ord_id: str
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    trailing_distance: Decimal | None = None
    time_in_force: TimeInForce | None = None
    expires_at_us: int | None = None

    def changes(self) -> dict[str, Any]:
        """Return what is to be otherwise, as the desk's command names it."""
        named = msgspec.structs.asdict(self)
        return {name: named[name] for name in named if name not in ("cl_ord_id", "orig_cl_ord_id")}


class Status(msgspec.Struct, frozen=True, kw_only=True):
    cl_ord_id: str


class MassStatus(msgspec.Struct, frozen=True, kw_only=True):
    request_id: str


Request = NewOrder | Cancel | Replace | Status | MassStatus
REQUESTS = ("D", "F", "G", "H", "AF")


def read(*, values: dict[str, str], terms: Terms) -> Request:
    """Return what a message of a type in REQUESTS asks. Raises UnableToTake."""
    kind = values["35"]
    if kind == "AF":
        if _text(values, "585") not in ("7", "8"):
            _refuse("585", INCORRECT, "MassStatusReqType 7 (all orders) is what is answered.")
        return MassStatus(request_id=id_of(values, "584"))
    cl_ord_id = id_of(values, "11")
    if kind == "H":
        return Status(cl_ord_id=cl_ord_id)
    if kind == "F":
        return Cancel(cl_ord_id=cl_ord_id, orig_cl_ord_id=id_of(values, "41"))
    if kind == "G":
        return _replace(values, cl_ord_id, terms)
    return NewOrder(cl_ord_id=cl_ord_id, terms=_order(values, cl_ord_id, terms))


def is_late(*, values: dict[str, str], now_us: int) -> bool:
    """Whether a message that may have come before was sent for the first time longer ago than an order is good for."""
    return values.get("43") == "Y" and now_us - at_us(values["122"]) > ORDER_AGE_S_MAX * 1_000_000


def _replace(values: dict[str, str], cl_ord_id: str, terms: Terms) -> Replace:
    if "836" in values and values["836"] != "0":
        _refuse("836", INCORRECT, "PegOffsetType: 0, a distance in price.")
    return Replace(
        cl_ord_id=cl_ord_id,
        orig_cl_ord_id=id_of(values, "41"),
        quantity=_lots(values, "38", terms),
        limit_price=_price(values, "44") if "44" in values else None,
        stop_price=_price(values, "99") if "99" in values else None,
        trailing_distance=_price(values, "211") if "211" in values else None,
        time_in_force=_one_of(values, "59", _TIMES) if "59" in values else None,
        expires_at_us=_expiry(values) if "126" in values or "432" in values else None,
    )


def _order(values: dict[str, str], cl_ord_id: str, terms: Terms) -> OrderTerms:
    kind = _one_of(values, "40", _TYPES)
    force = _one_of(values, "59", _TIMES) if "59" in values else TimeInForce.DAY
    needs_limit = kind in (OrderType.LIMIT, OrderType.STOP_LIMIT)
    needs_stop = kind in (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.MARKET_IF_TOUCHED)
    _time(values, "60")
    asked = set(values.get("18", "").split())
    if unknown := asked - _INSTRUCTIONS:
        _refuse("18", INCORRECT, f"ExecInst {min(unknown)}: one of {' '.join(sorted(_INSTRUCTIONS))}.")
    if (_TRAILS in asked) is not (kind is OrderType.TRAILING_STOP):
        _refuse("18", INCORRECT, "ExecInst: OrdType P with ExecInst a is a trailing stop; no other peg is dealt.")
    if kind is OrderType.TRAILING_STOP and values.get("836", "0") != "0":
        _refuse("836", INCORRECT, "PegOffsetType: 0, a distance in price.")
    return OrderTerms(
        account_id=account_of(values, terms),
        symbol=_symbol(values, terms),
        side=_one_of(values, "54", _SIDES),
        quantity=_lots(values, "38", terms),
        type=kind,
        limit_price=_price(values, "44") if needs_limit or "44" in values else None,
        stop_price=_price(values, "99") if needs_stop or "99" in values else None,
        trailing_distance=_price(values, "211") if kind is OrderType.TRAILING_STOP else None,
        time_in_force=force,
        expires_at_us=_expiry(values) if force is TimeInForce.GTD else None,
        minimum_quantity=_lots(values, "110", terms) if "110" in values else None,
        display_quantity=_lots(values, "111", terms) if "111" in values else None,
        client_order_id=cl_ord_id,
        tag=_text(values, "58") if "58" in values else "",
        post_only=_POST_ONLY in asked,
        reduce_only=_REDUCE_ONLY in asked,
        all_or_none=_ALL_OR_NONE in asked,
    )


def account_of(values: dict[str, str], terms: Terms) -> str:
    """Return the account that a message is about: the one it names, or the only one there is. Raises UnableToTake."""
    if "1" not in values and len(terms.accounts) == 1:
        return terms.accounts[0]
    account_id = _text(values, "1")
    if account_id not in terms.accounts:  # The same words whether or not somebody else has it.
        _refuse("1", INCORRECT, "Account: this session has no such account.")
    return account_id


def _symbol(values: dict[str, str], terms: Terms) -> str:
    symbol = _text(values, "55")
    if symbol not in terms.units:
        _refuse("55", INCORRECT, "Symbol: there is no such symbol.")
    return symbol


def _lots(values: dict[str, str], tag: str, terms: Terms) -> Decimal:
    number = _number(values, tag)
    symbol = _symbol(values, terms)
    return Decimal(plain(number / terms.units_per_lot(symbol)))


def _price(values: dict[str, str], tag: str) -> Decimal:
    return _number(values, tag)


def _number(values: dict[str, str], tag: str) -> Decimal:
    text = _text(values, tag)
    if not _NUMBER.fullmatch(text):
        _refuse(tag, FORMAT, f"{tag}: a number with at most 18 digits before the point and 10 after it.")
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise UnableToTake(f"{tag}: no number.", tag=tag, reason=FORMAT) from error
    if number <= 0:
        _refuse(tag, INCORRECT, f"{tag}: more than 0.")
    return number


def _one_of(values: dict[str, str], tag: str, among: dict[str, T]) -> T:
    text = _text(values, tag)
    if text not in among:
        _refuse(tag, INCORRECT, f"{tag}: one of {' '.join(among)}.")
    return among[text]


def _time(values: dict[str, str], tag: str) -> int:
    try:
        return at_us(_text(values, tag))
    except ValueError as error:
        raise UnableToTake(f"{tag}: a UTC time as yyyymmdd-HH:MM:SS.", tag=tag, reason=FORMAT) from error


def _expiry(values: dict[str, str]) -> int:
    """Return when a good-till-date order ends: at ExpireTime, or with the trading day of ExpireDate."""
    if "432" not in values or "126" in values:
        return _time(values, "126")
    text = _text(values, "432")
    if not _DATE.fullmatch(text):
        _refuse("432", FORMAT, "432: a date as yyyymmdd.")
    try:
        return rollover_at_us(business_date=date(int(text[:4]), int(text[4:6]), int(text[6:])))
    except ValueError as error:
        raise UnableToTake("432: there is no such date.", tag="432", reason=FORMAT) from error


def id_of(values: dict[str, str], tag: str) -> str:
    """Return an id that the client gave. Raises UnableToTake."""
    text = _text(values, tag)
    if len(text) > CL_ORD_ID_CHARACTERS_MAX or not _ID.fullmatch(text):
        _refuse(tag, INCORRECT, f"{tag}: 1 to {CL_ORD_ID_CHARACTERS_MAX} visible characters.")
    return text


def _text(values: dict[str, str], tag: str) -> str:
    text = values.get(tag)
    if text is None:
        _refuse(tag, REQUIRED, f"{tag} is missing.")
    if not text:
        _refuse(tag, EMPTY, f"{tag} has no value.")
    if len(text) > TEXT_CHARACTERS_MAX:
        _refuse(tag, INCORRECT, f"{tag}: at most {TEXT_CHARACTERS_MAX} characters.")
    return text


def _refuse(tag: str, reason: str, text: str) -> NoReturn:
    raise UnableToTake(text, tag=tag, reason=reason)
