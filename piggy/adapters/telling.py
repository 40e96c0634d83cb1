"""Reports in the desk's words, built the same way for every venue without FIX.

Keys follow from what happened and not from how it was heard, so that a stream, an answer and a reconciliation that
tell of the same thing count once.
"""

from __future__ import annotations

from decimal import Decimal

from piggy.adapters.interface import TEXT_MAX, ReportKind, Said, UnableToReadReport, VenueReport
from piggy.core.commands import (
    RecordVenueAck,
    RecordVenueBust,
    RecordVenueCancelReject,
    RecordVenueCorrection,
    RecordVenueDone,
    RecordVenueDoubt,
    RecordVenueFill,
    RecordVenueReject,
)
from piggy.core.orders import Side

Told = (
    RecordVenueAck
    | RecordVenueBust
    | RecordVenueCancelReject
    | RecordVenueCorrection
    | RecordVenueDone
    | RecordVenueDoubt
    | RecordVenueFill
    | RecordVenueReject
)


def ack(*, venue: str, client_id: str, venue_order_id: str, at_us: int, raw: str = "") -> Said:
    """The venue took the order."""
    command = RecordVenueAck(venue=venue, cl_ord_id=client_id, venue_order_id=venue_order_id, occurred_at_us=at_us)
    return _said(ReportKind.ACK, f"A:{client_id}", command, raw)


def fill(
    *,
    venue: str,
    client_id: str,
    venue_order_id: str,
    fill_id: str,
    symbol: str,
    side: Side,
    lots: Decimal,
    price: Decimal,
    at_us: int,
    cumulative: Decimal = Decimal(0),
    fee: str = "",
    raw: str = "",
) -> Said:
    """One execution; `fee` is amount and currency in words. Raises UnableToReadReport for one that cannot be."""
    if lots <= 0 or price <= 0:
        raise UnableToReadReport(f"A fill of {lots} lots at {price} cannot be.")
    command = RecordVenueFill(
        venue=venue,
        cl_ord_id=client_id,
        venue_order_id=venue_order_id,
        fill_id=fill_id,
        symbol=symbol,
        side=side,
        quantity=lots,
        price=price,
        occurred_at_us=at_us,
    )
    text = f"fee {fee}" if fee else ""
    return _said(ReportKind.FILL, f"F:{fill_id}", command, raw, cumulative=cumulative, text=text)


def reject(*, venue: str, client_id: str, code: str, text: str, at_us: int, raw: str = "") -> Said:
    """The venue refused the order; nothing of it lives there."""
    command = RecordVenueReject(venue=venue, cl_ord_id=client_id, code=code, text=text[:TEXT_MAX], occurred_at_us=at_us)
    return _said(ReportKind.REJECT, f"R:{client_id}", command, raw, text=text)


def done(*, venue: str, client_id: str, cumulative: Decimal, how: str, at_us: int, raw: str = "") -> Said:
    """The order ended with `cumulative` lots filled in all."""
    command = RecordVenueDone(
        venue=venue, cl_ord_id=client_id, filled=cumulative, text=how[:TEXT_MAX], occurred_at_us=at_us
    )
    return _said(ReportKind.DONE, f"D:{client_id}", command, raw, cumulative=cumulative, text=how)


def doubt(*, venue: str, client_id: str, text: str, at_us: int, raw: str = "") -> Said:
    """Nobody knows; only a status answer may say otherwise."""
    command = RecordVenueDoubt(venue=venue, cl_ord_id=client_id, text=text[:TEXT_MAX], occurred_at_us=at_us)
    return _said(ReportKind.DOUBT, f"?:{client_id}:{at_us}", command, raw, text=text)


def status(
    *, client_id: str, standing: str, at_us: int, cumulative: Decimal = Decimal(0), text: str = "", raw: str = ""
) -> Said:
    """An answer to our question: working, filled, ended or unknown."""
    report = VenueReport(
        kind=ReportKind.STATUS,
        key=f"S:{client_id}:{at_us}",
        cl_ord_id=client_id,
        cumulative=cumulative,
        standing=standing,
        text=text[:TEXT_MAX],
    )
    return Said(report, raw)


def uncancel(*, venue: str, client_id: str, text: str, at_us: int, raw: str = "") -> Said:
    """The venue did not end the order as asked: the desk may ask again; an order that had ended says so by itself."""
    command = RecordVenueCancelReject(venue=venue, cl_ord_id=client_id, text=text[:TEXT_MAX], occurred_at_us=at_us)
    return _said(ReportKind.UNCANCEL, f"U:{client_id}:{at_us}", command, raw, text=text)


def bust(
    *,
    venue: str,
    client_id: str,
    report_id: str,
    ref_fill_id: str,
    cumulative: Decimal,
    text: str,
    at_us: int,
    raw: str = "",
) -> Said:
    """The venue took an execution back; `cumulative` is what is left filled of the order."""
    command = RecordVenueBust(
        venue=venue,
        cl_ord_id=client_id,
        report_id=report_id,
        ref_fill_id=ref_fill_id,
        text=text[:TEXT_MAX],
        occurred_at_us=at_us,
    )
    return _said(ReportKind.BUST, f"bust:{report_id}", command, raw, cumulative=cumulative, text=text)


def correction(
    *,
    venue: str,
    client_id: str,
    report_id: str,
    ref_fill_id: str,
    symbol: str,
    side: Side,
    lots: Decimal,
    price: Decimal,
    cumulative: Decimal,
    text: str,
    at_us: int,
    raw: str = "",
) -> Said:
    """The venue put other numbers in an execution's place. Raises UnableToReadReport for numbers that cannot be."""
    if lots <= 0 or price <= 0:
        raise UnableToReadReport(f"A fill of {lots} lots at {price} cannot be.")
    command = RecordVenueCorrection(
        venue=venue,
        cl_ord_id=client_id,
        report_id=report_id,
        ref_fill_id=ref_fill_id,
        symbol=symbol,
        side=side,
        quantity=lots,
        price=price,
        text=text[:TEXT_MAX],
        occurred_at_us=at_us,
    )
    return _said(ReportKind.CORRECTION, f"correction:{report_id}", command, raw, cumulative=cumulative, text=text)


def note(*, client_id: str, what: str, text: str, at_us: int, raw: str = "") -> Said:
    """Something that changes nothing here, as an accepted replace."""
    key = f"{what}:{client_id}:{at_us}"
    report = VenueReport(kind=ReportKind.IGNORED, key=key, cl_ord_id=client_id, standing=what, text=text[:TEXT_MAX])
    return Said(report, raw)


def parked(*, what: str, text: str, raw: str) -> Said:
    """One of many things that nobody can read; `what` names it at the venue, so that it is kept once."""
    return Said(VenueReport(kind=ReportKind.PARKED, key=f"unread:{what}", cl_ord_id="", text=text[:TEXT_MAX]), raw)


def _said(
    kind: ReportKind, key: str, command: Told, raw: str, *, cumulative: Decimal = Decimal(0), text: str = ""
) -> Said:
    report = VenueReport(
        kind=kind, key=key, cl_ord_id=command.cl_ord_id, command=command, cumulative=cumulative, text=text[:TEXT_MAX]
    )
    return Said(report, raw)
