"""What venues report, as commands: acknowledged, filled, refused, ended, in doubt, taken back."""

from __future__ import annotations

from decimal import Decimal

from piggy.core.command import Command
from piggy.core.orders import Side


class RecordVenueAck(Command, frozen=True, kw_only=True):
    venue: str
    cl_ord_id: str
    venue_order_id: str
    occurred_at_us: int


class RecordVenueFill(Command, frozen=True, kw_only=True):
    """One execution at a venue; `fill_id` is unique per venue session (built from ExecID as the LP's dialect says)."""

    venue: str
    cl_ord_id: str
    venue_order_id: str
    fill_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    occurred_at_us: int


class RecordVenueReject(Command, frozen=True, kw_only=True):
    """The venue refused the order; nothing of it lives there."""

    venue: str
    cl_ord_id: str
    code: str
    text: str
    occurred_at_us: int


class RecordVenueDone(Command, frozen=True, kw_only=True):
    """The venue order ended (cancelled, expired, done for the day) with `filled` lots in all."""

    venue: str
    cl_ord_id: str
    filled: Decimal
    text: str
    occurred_at_us: int


class RecordVenueDoubt(Command, frozen=True, kw_only=True):
    """Nobody knows what became of the order at the venue; it counts worst-case until a status settles it."""

    venue: str
    cl_ord_id: str
    text: str
    occurred_at_us: int


class RecordVenueBust(Command, frozen=True, kw_only=True):
    """The venue took an execution back: `ref_fill_id` names it, `report_id` this report (F-15)."""

    venue: str
    cl_ord_id: str
    report_id: str
    ref_fill_id: str
    text: str
    occurred_at_us: int


class RecordVenueCorrection(Command, frozen=True, kw_only=True):
    """The venue restated an execution: in the place of `ref_fill_id` stands one of these numbers under `report_id`."""

    venue: str
    cl_ord_id: str
    report_id: str
    ref_fill_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    text: str
    occurred_at_us: int


VenueCommand = (
    RecordVenueAck
    | RecordVenueFill
    | RecordVenueReject
    | RecordVenueDone
    | RecordVenueDoubt
    | RecordVenueBust
    | RecordVenueCorrection
)
