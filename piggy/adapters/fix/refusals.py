"""What an LP's engine would not take: a message of ours that it rejected (35=3, 35=j) came to nothing. And what ours
would not take of an LP.

Neither names an order of itself. Whoever sent the message knows which one it spoke of, and puts its type (372) and its
ClOrdID (379) in where the LP left them out.
"""

from __future__ import annotations

from collections import OrderedDict

from piggy.adapters.fix.messages import SOH, at_us, fields, order_id_of
from piggy.adapters.interface import TEXT_MAX, ReportKind, UnableToReadReport, VenueReport
from piggy.core.commands import RecordVenueCancelReject, RecordVenueReject

SESSION_REJECT, BUSINESS_REJECT = "3", "j"
REJECTS = (SESSION_REJECT, BUSINESS_REJECT)
REPORTS = ("8", "9")
REPLACED, REPLACE_REFUSED = "replaced", "replace_refused"
ORDER, CANCEL, REPLACE = "D", "F", "G"
ASKED_MAX = 1_000


class Asked:
    """What was sent lately, by number: all that tells which message a reject without more words is of."""

    def __init__(self) -> None:
        self._sent: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def note(self, text: str) -> None:
        """Remember a message that leaves."""
        values = fields(text)
        self._sent[values["34"]] = (values["35"], values.get("11") or values.get("262", ""))
        if len(self._sent) > ASKED_MAX:
            self._sent.popitem(last=False)

    def complete(self, text: str) -> str:
        """Return a reject with the type and the id of what it rejects; its own words come first."""
        values = fields(text)
        kind, cl_ord_id = self._sent.get(values.get("45", ""), ("", ""))
        missing = {"372": kind, "379": cl_ord_id}
        return text + "".join(f"{tag}={value}{SOH}" for tag, value in missing.items() if value and not values.get(tag))


def refused(*, values: dict[str, str], venue: str) -> VenueReport:
    """Return what a reject means for its order. Raises UnableToReadReport where it is of no order."""
    kind, named = values.get("372", ""), values.get("379", "")
    text = f"{values.get('58', 'rejected')} (35={values['35']})"[:TEXT_MAX]
    if kind not in (ORDER, CANCEL, REPLACE) or not named:
        raise UnableToReadReport(f"A reject of message {values.get('45', '?')} (35={kind}): {text}")
    happened_us = at_us(values["52"])
    key = f"{values['35']}:{named}:{kind}"
    if kind == ORDER:
        by_business = values["35"] == BUSINESS_REJECT
        code = f"BUSINESS_{values.get('380', '')}" if by_business else f"FIX_{values.get('373', '')}"
        refusal = RecordVenueReject(venue=venue, cl_ord_id=named, code=code, text=text, occurred_at_us=happened_us)
        return VenueReport(kind=ReportKind.REJECT, key=key, cl_ord_id=named, command=refusal, text=text)
    if kind == REPLACE:
        cl_ord_id = order_id_of(cl_ord_id=named)
        return VenueReport(kind=ReportKind.IGNORED, key=key, cl_ord_id=cl_ord_id, standing=REPLACE_REFUSED, text=text)
    cl_ord_id = order_id_of(cl_ord_id=cancelled_id(cancel_id=named))
    kept = RecordVenueCancelReject(venue=venue, cl_ord_id=cl_ord_id, text=text, occurred_at_us=happened_us)
    return VenueReport(kind=ReportKind.UNCANCEL, key=key, cl_ord_id=cl_ord_id, command=kept, text=text)


def unheard(*, text: str) -> str:
    """Return which message of the LP nobody hears, as QuickFIX answers it with this Reject; '' for another text.

    What it refuses counts as received and is not sent again: a fill may be in it.
    """
    values = fields(text)
    if values.get("35") != SESSION_REJECT or values.get("372", "") not in REPORTS:
        return ""
    where = f" (tag {values['371']})" if values.get("371") else ""
    return f"message {values.get('45', '?')} of the LP was refused unread: {values.get('58', '')}{where}"


def cancelled_id(*, cancel_id: str) -> str:
    """Return the id of the order that a cancel of ours asks the end of."""
    own, mark, attempt = cancel_id.rpartition("-C")
    return own if mark and (not attempt or attempt.isdigit()) else cancel_id
