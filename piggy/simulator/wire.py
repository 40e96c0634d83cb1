"""FIX 4.4 text of what an LP says and hears. Prepared strings: six times as fast as setting field after field."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import zip_longest

from piggy.adapters.fix.messages import SOH
from piggy.adapters.fix.messages import message as _message
from piggy.core.money import plain
from piggy.simulator.config import SymbolConfig
from piggy.simulator.quotes import LpBook, Rung
from piggy.simulator.truth import TruthOrder
from piggy.simulator.venue import Report

_STATUS = {"new": "0", "cancelled": "4", "rejected": "8", "filled": "2", "unknown": "8"}
_EXEC_TYPE = {
    "new": "0", "trade": "F", "cancelled": "4", "rejected": "8", "status": "I", "unknown": "I", "busted": "H",
    "corrected": "G", "replaced": "5",
}  # fmt: skip
_CHANGE, _DELETE = "1", "2"
LISTED = 4


def symbols_asked(text: str) -> list[str]:
    """Return every symbol that a MarketDataRequest names."""
    return [part[3:] for part in text.split(SOH) if part.startswith("55=")]


def snapshot(*, request_id: str, book: LpBook) -> str:
    """Return a full book (35=W)."""
    date, time = _date_time(book.at_us)
    entries = [
        f"269={side}{SOH}278={_entry_id(book.symbol, side, level)}{SOH}270={rung.price}{SOH}271={rung.size}{SOH}"
        f"272={date}{SOH}273={time}{SOH}"
        for side, rungs in (("0", book.bids), ("1", book.asks))
        for level, rung in enumerate(rungs)
    ]
    # FIX wants 278 only in refreshes, but LPs that key their book by it send it here too.
    body = f"262={request_id}{SOH}55={book.symbol}{SOH}268={len(entries)}{SOH}{''.join(entries)}"
    return _message("W", body)


def incremental(*, request_id: str, before: LpBook, book: LpBook) -> str:
    """Return what changed from one book to the next (35=X); an unchanged one is said again, as it is fresh news."""
    date, time = _date_time(book.at_us)
    stamp = f"272={date}{SOH}273={time}{SOH}"
    if (before.bids, before.asks) == (book.bids, book.asks):
        before = before._replace(bids=(Rung(Decimal(0), Decimal(0)), *before.bids[1:]))
    entries = [
        *_changes(book.symbol, "0", before.bids, book.bids, stamp),
        *_changes(book.symbol, "1", before.asks, book.asks, stamp),
    ]
    return _message("X", f"262={request_id}{SOH}268={len(entries)}{SOH}{''.join(entries)}")


def _changes(symbol: str, side: str, before: tuple[Rung, ...], after: tuple[Rung, ...], stamp: str) -> Iterator[str]:
    for level, (old, new) in enumerate(zip_longest(before, after)):
        if old == new:
            continue
        entry = f"278={_entry_id(symbol, side, level)}{SOH}55={symbol}{SOH}"
        if new is None:
            yield f"279={_DELETE}{SOH}{entry}"
        else:
            action = _CHANGE if old is not None else "0"
            yield f"279={action}{SOH}269={side}{SOH}{entry}270={new.price}{SOH}271={new.size}{SOH}{stamp}"


def security_lists(*, request_id: str, symbols: tuple[SymbolConfig, ...], lot_step: Decimal) -> list[str]:
    """Return all that an LP trades (35=y), in parts of LISTED symbols."""
    parts = [symbols[at : at + LISTED] for at in range(0, len(symbols), LISTED)]
    texts = []
    for number, part in enumerate(parts, start=1):
        entries = "".join(
            f"55={each.symbol}{SOH}561={plain(each.units_per_lot * lot_step)}{SOH}"
            f"562={plain(each.units_per_lot * lot_step)}{SOH}969={Decimal(1).scaleb(-each.digits)}{SOH}"
            for each in part
        )
        last = "Y" if number == len(parts) else "N"
        heads = f"320={request_id}{SOH}322={request_id}-{number}{SOH}560=0{SOH}393={len(symbols)}{SOH}893={last}{SOH}"
        texts.append(_message("y", f"{heads}146={len(part)}{SOH}{entries}"))
    return texts


def business_reject(*, kind: str, ref: str, text: str) -> str:
    """Return a BusinessMessageReject (35=j) of what names itself `ref`."""
    return _message("j", f"372={kind}{SOH}379={ref}{SOH}380=0{SOH}58={text}{SOH}")


def report(*, report: Report, exec_id: str, at_us: int) -> str:
    """Return an ExecutionReport (35=8), or OrderCancelReject (35=9)."""
    order = report.order
    if report.kind == "cancel_rejected":
        return _message(
            "9",
            f"37={order.order_id or 'NONE'}{SOH}11={order.cl_ord_id}{SOH}41={report.orig_cl_ord_id}{SOH}39=8{SOH}"
            f"434={'2' if report.to_replace else '1'}{SOH}58={report.text}{SOH}",
        )
    status = _ord_status(report)
    leaves = Decimal(0) if status in "248" else order.quantity - report.filled
    parts = [
        f"37={order.order_id or 'NONE'}",
        f"11={order.latest_id}",
        f"17={report.fill.exec_id if report.fill else exec_id}",
        f"150={_EXEC_TYPE[report.kind]}",
        f"39={status}",
        f"55={order.symbol or 'NA'}",
        f"54={order.side or '7'}",
        f"38={_plain(order.quantity)}",
        f"151={_plain(leaves)}",
        f"14={_plain(report.filled)}",
        f"6={_plain(report.average)}",
        f"60={_stamp(at_us)}",
    ]
    if report.fill:
        parts += [f"32={_plain(report.fill.quantity)}", f"31={_plain(report.fill.price)}"]
    if report.ref_exec_id:
        parts.append(f"19={report.ref_exec_id}")
    if report.orig_cl_ord_id:
        parts.append(f"41={report.orig_cl_ord_id}")
    if report.asked:
        parts.append(f"584={report.asked}")
    if report.reason:
        parts.append(f"103={report.reason}")
    if report.text:
        parts.append(f"58={report.text}")
    return _message("8", SOH.join(parts) + SOH)


def _ord_status(report: Report) -> str:
    order = report.order
    if report.kind == "trade":
        return "2" if report.filled == order.quantity else "1"
    if report.kind in ("status", "busted", "corrected", "replaced"):
        return _STATUS[order.ended] if order.ended else ("1" if order.fills else "0")
    return _STATUS[report.kind]


def order_of(*, values: dict[str, str], owner: str, order_id: str) -> TruthOrder:
    """Return the order that a NewOrderSingle, change, cancel or status request speaks of (35=D, G, F, H)."""
    return TruthOrder(
        owner=owner,
        cl_ord_id=values["11"],
        order_id=order_id,
        symbol=values.get("55", ""),
        side=values.get("54", ""),
        quantity=Decimal(values.get("38", "0")),
        price=Decimal(values["44"]) if values.get("40") == "2" else None,
        time_in_force=values.get("59", "1") if values.get("40") == "2" else "3",
    )


def _entry_id(symbol: str, side: str, level: int) -> str:
    return f"{symbol}.{'ba'[int(side)]}{level}"


def _plain(number: Decimal) -> str:
    return f"{number:f}"


def _stamp(at_us: int) -> str:
    date, time = _date_time(at_us)
    return f"{date}-{time[:12]}"


def _date_time(at_us: int) -> tuple[str, str]:
    seconds, micros = divmod(at_us, 1_000_000)
    at = datetime.fromtimestamp(seconds, UTC)
    fraction = f"{micros // 1_000:03d}" if micros % 1_000 == 0 else f"{micros:06d}"
    return at.strftime("%Y%m%d"), f"{at:%H:%M:%S}.{fraction}"
