"""Events of the log -> ExecutionReports (35=8) of FIX 4.4. Pure: the same log gives the same reports for ever.

A report is made of the one before it of the same order and of one event, and is numbered by that event's seq: that is
its ExecID, so that a report sent again, or to somebody else, is known as the same.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import structs

from piggy.adapters.fix.messages import SOH, stamp
from piggy.core import events as ev
from piggy.core.correction_events import OrderFillBusted
from piggy.core.events import Recorded
from piggy.core.money import ZERO, plain
from piggy.core.orders import OrderType, Side, TimeInForce, good_till_us

_SIDES = {Side.BUY: "1", Side.SELL: "2"}
_TYPES = {
    OrderType.MARKET: "1",
    OrderType.LIMIT: "2",
    OrderType.STOP: "3",
    OrderType.STOP_LIMIT: "4",
    OrderType.MARKET_IF_TOUCHED: "J",
    OrderType.TRAILING_STOP: "P",
}
_TIMES = {TimeInForce.DAY: "0", TimeInForce.GTC: "1", TimeInForce.IOC: "3", TimeInForce.FOK: "4", TimeInForce.GTD: "6"}
NEW, REPLACED, CANCELLED, REJECTED, EXPIRED = "0", "5", "4", "8", "C"
TRADE, BUSTED, RESTATED, STATUS = "F", "H", "D", "I"
_ENDS = {"cancelled": CANCELLED, "expired": EXPIRED, "rejected": REJECTED}
_ENDED = (CANCELLED, REJECTED, EXPIRED)
_PARTLY, _FILLED = "1", "2"
LATE_ORDER, UNKNOWN_ORDER, DUPLICATE_ORDER, OTHER_REASON = "4", "5", "6", "99"
# Of a change that is refused (102).
TOO_LATE, UNKNOWN, NOT_CHANGED_HERE, DUPLICATE = "0", "1", "2", "6"
_AVERAGE_DIGITS = Decimal("1e-8")
_TEXT_MAX = 200


class Copy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order as one event left it, and what that event was; quantities are lots, `exec_type` is FIX's."""

    seq: int
    order_id: str
    account_id: str
    cl_ord_id: str
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    exec_type: str
    status: str
    at_us: int
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trailing_distance: Decimal | None = None
    expires_at_us: int | None = None
    orig_cl_ord_id: str = ""
    last_quantity: Decimal = ZERO
    last_price: Decimal = ZERO
    filled: Decimal = ZERO
    notional: Decimal = ZERO
    exec_ref: str = ""
    reason: str = ""
    text: str = ""
    # ExecID of each fill by its own id: a bust names the report that it takes back.
    fills: dict[str, int] = {}

    @property
    def leaves(self) -> Decimal:
        """Lots that may still be filled."""
        return ZERO if self.status in (_FILLED, *_ENDED) else self.quantity - self.filled

    @property
    def average_price(self) -> Decimal:
        """0 until the first fill; rounded to eight decimals, as no exact text may exist."""
        return (self.notional / self.filled).quantize(_AVERAGE_DIGITS) if self.filled else ZERO


def next_copy(*, previous: Copy | None, recorded: Recorded, cl_ord_id: str = "") -> Copy | None:
    """Return what an event made of an order whose last report is `previous`; None where it says nothing to a client.

    `cl_ord_id` is the ClOrdID under which a cancel or replacement was asked for over FIX, if it was.
    """
    event: Any = recorded.event
    if isinstance(event, ev.OrderAccepted | ev.OrderDenied):
        return _first(event, recorded)
    made = _NEXT.get(type(event))
    if made is None or previous is None:
        return None
    at_us = recorded.recorded_at_us
    before = structs.replace(
        previous,
        seq=recorded.seq,
        at_us=at_us,
        orig_cl_ord_id="",
        last_quantity=ZERO,
        last_price=ZERO,
        exec_ref="",
        reason="",
        text="",
    )
    return made(before, event, cl_ord_id)


def _first(event: ev.OrderAccepted | ev.OrderDenied, recorded: Recorded) -> Copy:
    terms = event.terms
    denied = isinstance(event, ev.OrderDenied)
    text = "; ".join(check.text or check.code for check in event.verdict.reasons) if denied else ""
    return Copy(
        seq=recorded.seq,
        order_id=event.order_id,
        account_id=terms.account_id,
        cl_ord_id=terms.client_order_id or event.order_id,
        symbol=terms.symbol,
        side=terms.side,
        type=terms.type,
        time_in_force=terms.time_in_force,
        quantity=terms.quantity,
        limit_price=terms.limit_price,
        stop_price=terms.stop_price,
        trailing_distance=terms.trailing_distance,
        expires_at_us=good_till_us(terms=terms),
        exec_type=REJECTED if denied else NEW,
        status=REJECTED if denied else NEW,
        reason=OTHER_REASON if denied else "",
        text=text[:_TEXT_MAX],
        at_us=recorded.recorded_at_us,
    )


def _filled(before: Copy, event: ev.OrderFilled, _: str) -> Copy:
    filled = before.filled + event.quantity
    done = filled >= before.quantity
    ended = before.status in _ENDED  # A fill that was corrected may be of an order that has ended.
    return structs.replace(
        before,
        exec_type=TRADE,
        status=_FILLED if done else before.status if ended else _PARTLY,
        last_quantity=event.quantity,
        last_price=event.price,
        filled=filled,
        notional=before.notional + event.quantity * event.price,
        fills=before.fills | {event.fill_id: before.seq},
    )


def _busted(before: Copy, event: OrderFillBusted, _: str) -> Copy:
    filled = before.filled - event.quantity
    was_filled = before.status == _FILLED
    return structs.replace(
        before,
        exec_type=BUSTED,
        status=CANCELLED if was_filled else before.status if before.status in _ENDED else _open_status(filled),
        last_quantity=event.quantity,
        last_price=event.price,
        filled=filled,
        notional=before.notional - event.quantity * event.price,
        exec_ref=str(before.fills.get(event.fill_id, "")),
        text=event.reason[:_TEXT_MAX],
    )


def _amended(before: Copy, event: ev.OrderAmended, cl_ord_id: str) -> Copy:
    named: dict[str, Any] = {"cl_ord_id": cl_ord_id, "orig_cl_ord_id": before.cl_ord_id} if cl_ord_id else {}
    if (terms := event.terms) is not None:
        named |= {"time_in_force": terms.time_in_force, "expires_at_us": good_till_us(terms=terms)}
        named["trailing_distance"] = terms.trailing_distance
    return structs.replace(
        before,
        exec_type=REPLACED,
        status=_open_status(before.filled),
        quantity=event.quantity,
        limit_price=event.limit_price,
        stop_price=event.stop_price,
        **named,
    )


def _ended(before: Copy, event: ev.OrderCancelled, cl_ord_id: str) -> Copy:
    kind = _ENDS.get(event.outcome, CANCELLED)
    asked = kind == CANCELLED and cl_ord_id
    named = {"cl_ord_id": cl_ord_id, "orig_cl_ord_id": before.cl_ord_id} if asked else {}
    reason = OTHER_REASON if kind == REJECTED else ""
    return structs.replace(before, exec_type=kind, status=kind, reason=reason, text=event.reason[:_TEXT_MAX], **named)


def _triggered(before: Copy, event: ev.OrderTriggered, _: str) -> Copy:
    # FIX 4.4 has no word of its own for a stop that became active.
    return structs.replace(before, exec_type=RESTATED, status=_open_status(before.filled), text="triggered")


def _open_status(filled: Decimal) -> str:
    return _PARTLY if filled else NEW


_NEXT: dict[type, Callable[[Copy, Any, str], Copy]] = {
    ev.OrderFilled: _filled,
    OrderFillBusted: _busted,
    ev.OrderAmended: _amended,
    ev.OrderCancelled: _ended,
    ev.OrderTriggered: _triggered,
}
TOLD = (ev.OrderAccepted, ev.OrderDenied, *_NEXT)


def execution_report(*, copy: Copy, units: Decimal) -> str:
    """Return the body of the report; `units` is what one lot is on the wire."""
    # Over other doors a client's own id may hold anything, also what would end the field here.
    parts = [f"37={copy.order_id}", f"11={clean(copy.cl_ord_id)}"]
    parts += [f"41={clean(copy.orig_cl_ord_id)}"] if copy.orig_cl_ord_id else []
    parts += [f"17={copy.seq}", f"150={copy.exec_type}", f"39={copy.status}", f"1={copy.account_id}"]
    parts += [f"19={copy.exec_ref}"] if copy.exec_ref else []
    parts += [f"103={copy.reason}"] if copy.reason else []
    parts += ["378=99"] if copy.exec_type == RESTATED else []
    parts += [*_order(copy, units), *_dealt(copy, units), f"60={stamp(copy.at_us)}"]
    parts += [f"58={clean(copy.text)}"] if copy.text else []
    return SOH.join(parts) + SOH


def order_status(*, copy: Copy, units: Decimal, asked: str = "", total: int = 0, last: bool = True) -> str:
    """Return the body that tells how an order stands (150=I); of a mass request, which one and how many there are."""
    exec_id = "0"  # A status is no execution.
    own_id = clean(copy.cl_ord_id)
    parts = [f"37={copy.order_id}", f"11={own_id}", f"17={exec_id}", f"150={STATUS}", f"39={copy.status}"]
    if asked:
        parts += [f"584={asked}", f"911={total}", f"912={'Y' if last else 'N'}"]
    parts += [f"1={copy.account_id}", *_order(copy, units)]
    parts += [f"151={_wire(copy.leaves, units)}", f"14={_wire(copy.filled, units)}", f"6={plain(copy.average_price)}"]
    return SOH.join([*parts, f"60={stamp(copy.at_us)}"]) + SOH


def refused(*, cl_ord_id: str, values: dict[str, str], reason: str, text: str, at_us: int, status: bool = False) -> str:
    """Return the body that refuses an order which never came to the desk, or tells that none is known (`status`)."""
    kind = STATUS if status else REJECTED
    parts = [
        "37=NONE",
        f"11={cl_ord_id}",
        "17=0",
        f"150={kind}",
        f"39={REJECTED}",
        f"103={reason}",
        f"55={clean(values.get('55', '[N/A]'))}",
        f"54={clean(values.get('54', '1'))}",
        f"38={clean(values.get('38', '0'))}",
        "151=0",
        "14=0",
        "6=0",
        f"60={stamp(at_us)}",
        f"58={clean(text)}",
    ]
    return SOH.join(parts) + SOH


def fixed_of(copy: Copy) -> dict[str, str]:
    """Return what no replacement changes of an order, by its tag: symbol, side and type."""
    return {"55": copy.symbol, "54": _SIDES[copy.side], "40": _TYPES[copy.type]}


def cancel_refused(*, values: dict[str, str], order_id: str, status: str, text: str, reason: str = TOO_LATE) -> str:
    """Return the body of an OrderCancelReject (35=9) to a cancel or replacement; `status` is the order's own."""
    answers = "2" if values["35"] == "G" else "1"
    reason = UNKNOWN if order_id == "NONE" else reason
    parts = [f"37={order_id}", f"11={values['11']}", f"41={values.get('41', 'NONE')}", f"39={status}"]
    return SOH.join([*parts, f"434={answers}", f"102={reason}", f"58={clean(text)}"]) + SOH


def business_reject(*, values: dict[str, str], reason: str, text: str) -> str:
    """Return the body of a BusinessMessageReject (35=j)."""
    named = f"379={clean(values['11'])}{SOH}" if values.get("11") else ""
    return f"45={values['34']}{SOH}372={clean(values['35'])}{SOH}{named}380={reason}{SOH}58={clean(text)}{SOH}"


def clean(text: str) -> str:
    """Return text that cannot end its field: no control characters, only what every FIX engine reads."""
    return "".join(each if " " <= each <= "~" else "?" for each in text)[:_TEXT_MAX] or "?"


def _order(copy: Copy, units: Decimal) -> list[str]:
    # What a denied order asked for need be no symbol of anybody.
    parts = [f"55={clean(copy.symbol)}", f"54={_SIDES[copy.side]}", f"38={_wire(copy.quantity, units)}"]
    parts += [f"40={_TYPES[copy.type]}", f"59={_TIMES[copy.time_in_force]}"]
    parts += [f"126={stamp(copy.expires_at_us)}"] if copy.expires_at_us is not None else []
    parts += [f"44={plain(copy.limit_price)}"] if copy.limit_price is not None else []
    parts += [f"99={plain(copy.stop_price)}"] if copy.stop_price is not None else []
    parts += ["18=a", f"211={plain(copy.trailing_distance)}"] if copy.trailing_distance is not None else []
    return parts


def _dealt(copy: Copy, units: Decimal) -> list[str]:
    last = [f"32={_wire(copy.last_quantity, units)}", f"31={plain(copy.last_price)}"] if copy.last_quantity else []
    return [
        *last,
        f"151={_wire(copy.leaves, units)}",
        f"14={_wire(copy.filled, units)}",
        f"6={plain(copy.average_price)}",
    ]


def _wire(lots: Decimal, units: Decimal) -> str:
    return plain(lots * units)
