"""INV-16, F-06: a request for an order's end that may have come nowhere is made again once the session is back."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from apps.liquidity.worker.link import Link
from piggy.adapters.interface import ReportKind
from piggy.core.market import VenueState
from piggy.core.orders import Side
from piggy.messaging.codec import CancelChild

NAME = "O1-LP1-1"


class Asking(Link):
    """A link that notes what it asks the end of."""

    def __init__(self) -> None:
        self.session: Any = SimpleNamespace(ready=True)
        self._venue, self.asked = "LP1", list[tuple[str, int]]()
        self._turns: Any = SimpleNamespace(empty=lambda: True)

    def _send(self, child: Any) -> None:
        raise AssertionError("nothing is sent")

    def _send_cancel(self, order: CancelChild, row: Any, attempt: int) -> bool:
        self.asked.append((order.cl_ord_id, attempt))
        return True

    def _ask_status(self, row: Any) -> None:
        """Nobody answers."""

    def _doubt(self, row: Any, text: str) -> None:
        """Nobody hears."""


@pytest.fixture
def link(acorn: Any, as_tenant: Any) -> Any:
    from apps.liquidity.models import VenueOrder

    with as_tenant("acorn"):
        VenueOrder.objects.create(
            venue="LP1", cl_ord_id=NAME, order_id="O1", symbol="EURUSD", side="buy", state="working",
            quantity=Decimal(2), limit_price=Decimal(2), time_in_force="gtc",
        )  # fmt: skip
        yield Asking()


def cancel(link: Asking) -> None:
    asked = CancelChild(order_id="O1", cl_ord_id=NAME, venue="LP1", symbol="EURUSD", side=Side.BUY, quantity=Decimal(2))
    assert link._cancel(asked)


def back(link: Asking) -> None:
    for state in (VenueState.DOWN, VenueState.READY):
        link._act_on(state)


def test_a_cancel_is_asked_once_a_session_until_it_is_answered(link: Asking) -> None:
    """Under the same id, for an LP that has it after all; after a refusal under the next."""
    from apps.liquidity.models import VenueOrder, VenueReport

    for _ in range(3):
        cancel(link)
    assert link.asked == [(NAME, 0)]
    link._act_on(VenueState.DOWN)
    cancel(link)
    assert link.asked == [(NAME, 0)], "a session that is gone is no other one"
    back(link)
    cancel(link)
    cancel(link)
    assert link.asked == [(NAME, 0), (NAME, 0)]
    VenueReport.objects.create(venue="LP1", key="9:1", kind=ReportKind.UNCANCEL, cl_ord_id=NAME)
    cancel(link)
    back(link)
    cancel(link)
    assert link.asked[2:] == [(NAME, 1), (NAME, 1)]
    assert VenueReport.objects.filter(kind="cancel").count() == 2, "what was refused stays on record"
    VenueOrder.objects.update(state="done")
    back(link)
    cancel(link)
    assert len(link.asked) == 4 and VenueReport.objects.filter(kind="cancel").count() == 2
