"""Settling by hand: what two people heard of a leg in doubt is kept and told as if its venue had reported it."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from django.db import transaction

from apps.liquidity import selectors
from apps.liquidity.services.reports import record_report, tell_all
from piggy.adapters.interface import ReportKind, VenueReport
from piggy.core.commands import RecordVenueDone, RecordVenueFill
from piggy.core.orders import Side


class Settlement(NamedTuple):
    """How a leg ended: beside the `known` lots `lots` more were dealt at `price`, and the rest never will be.

    `fill_id` is the venue's own of those lots, so that they count once should it report them after all.
    """

    venue: str
    cl_ord_id: str
    symbol: str
    side: str
    quantity: Decimal
    known: Decimal
    lots: Decimal
    price: Decimal | None
    fill_id: str


def settle_by_hand(*, tenant: str, settlement: Settlement, mark: str, note: str, now_us: int) -> None:
    """Keep the reports that end a leg and tell the engine when the caller's transaction commits.

    `mark` makes them once; `note` says who settled it and why.
    """
    assert transaction.get_connection().in_atomic_block, "the reports commit with the entry of whoever settles"
    filled = settlement.known + settlement.lots
    told = [
        record_report(tenant=tenant, venue=settlement.venue, report=report, raw=note, now_us=now_us)
        for report in _reports(settlement, filled, mark, note, now_us)
    ]
    transaction.on_commit(partial(tell_all, tenant=tenant, told=told))


def _reports(settlement: Settlement, filled: Decimal, mark: str, note: str, now_us: int) -> list[VenueReport]:
    names = {"venue": settlement.venue, "cl_ord_id": settlement.cl_ord_id}
    said: dict[str, Any] = {"cl_ord_id": settlement.cl_ord_id, "cumulative": filled, "text": note}
    found: list[VenueReport] = []
    if settlement.lots:
        assert settlement.price is not None, "lots are dealt at a price"
        fill = RecordVenueFill(
            **names,
            venue_order_id="",
            fill_id=settlement.fill_id,
            symbol=settlement.symbol,
            side=Side(settlement.side),
            quantity=settlement.lots,
            price=settlement.price,
            occurred_at_us=now_us,
        )
        found.append(
            VenueReport(kind=ReportKind.FILL, key=selectors.fill_key(fill_id=settlement.fill_id), command=fill, **said)
        )
    if filled < settlement.quantity:
        done = RecordVenueDone(**names, filled=filled, text=note, occurred_at_us=now_us)
        found.append(VenueReport(kind=ReportKind.DONE, key=f"hand:{mark}:done", command=done, **said))
    return found
