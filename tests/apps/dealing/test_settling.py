"""A leg in doubt settled by hand: said by one, settled by another who sees what the venue said, told once."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from apps.dealing import services
from apps.dealing.models import DeskAction
from apps.liquidity.models import VenueOrder, VenueReport
from apps.tenants.services import in_tenant
from piggy.core.commands import Envelope, RecordVenueDone, RecordVenueFill
from tests.apps import records
from tests.apps.dealing.desk_floor import Dealer
from tests.apps.dealing.test_actions import SETTLED, dora, floor
from tests.apps.dealing.test_changes_at_once import Meanwhile, meanwhile

__all__ = ["dora", "floor", "meanwhile"]


@pytest.fixture
def rick(floor: Any) -> Dealer:
    return Dealer(role="risk", username="rick")


def heard(floor: list[Envelope], count: int) -> list[Any]:
    """What the engine was told of venues, once it is `count`."""
    until = time.monotonic() + 60
    while len(found := [each.command for each in floor if "Venue" in type(each.command).__name__]) < count:
        assert time.monotonic() < until, found
        time.sleep(0.01)
    return found


def test_what_one_said_and_another_settles_is_kept_as_the_venues_word_and_told_once(
    dora: Dealer, rick: Dealer, floor: list[Envelope]
) -> None:
    """F-02, INV-03."""
    said = dora.act("ask-settlement", once="k1", **SETTLED).json()["action"]
    settle = {"action_id": said, "confirm": "settle O1-LP1-1"}
    assert dora.act("settle-doubt", **settle).json()["code"] == "FOUR_EYES"
    assert rick.act("settle-doubt", **(settle | {"confirm": "yes"})).json()["code"] == "CONFIRMATION_NEEDED"
    with in_tenant("acorn"):
        assert not VenueReport.objects.exists(), "nothing is told before its second person"
    first, again = (rick.act("settle-doubt", once="k9", **settle) for _ in range(2))
    assert (first.status_code, again.json()["repeated"]) == (200, True)
    asked = dora.act("ask-settlement", once="k1", **SETTLED)
    assert (asked.status_code, asked.json()["action"], asked.json()["repeated"]) == (200, said, True)
    fill, done = heard(floor, 2)
    assert isinstance(fill, RecordVenueFill) and isinstance(done, RecordVenueDone)
    assert (fill.fill_id, fill.quantity, fill.price, fill.side) == ("E77", Decimal("0.4"), Decimal("1.0999"), "buy")
    assert (done.cl_ord_id, done.filled) == ("O1-LP1-1", Decimal("0.4"))
    with in_tenant("acorn"):
        order = VenueOrder.objects.get()
        assert (order.state, order.filled) == ("done", Decimal("0.4"))
        assert sorted(VenueReport.objects.values_list("key", flat=True)) == ["F:E77", f"hand:{said}:done"]
        assert "by dora and rick: because of the news" in VenueReport.objects.first().note  # type: ignore[union-attr]
        assert list(DeskAction.objects.values_list("kind", flat=True)) == ["ask-settlement", "settle-doubt"]


def test_a_leg_that_dealt_nothing_more_only_ends(dora: Dealer, rick: Dealer, floor: list[Envelope]) -> None:
    with in_tenant("acorn"):
        records.leg_in_doubt("O1-LP1-2", filled="0.25")
    leg = {"cl_ord_id": "O1-LP1-2", "lots": "0", "confirm": "settle O1-LP1-2"}
    said = dora.act("ask-settlement", **leg).json()["action"]
    assert rick.act("settle-doubt", action_id=said, confirm="settle O1-LP1-2").status_code == 200
    (done,) = heard(floor, 1)
    assert isinstance(done, RecordVenueDone) and done.filled == Decimal("0.25")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"cl_ord_id": "O9-LP1-1"}, "NOT_IN_DOUBT"),
        ({"lots": "1.5"}, "TOO_MANY_LOTS"),
        ({"price": None}, "INCOMPLETE"),
        ({"fill_id": ""}, "INCOMPLETE"),
        ({"fill_id": "E1"}, "FILL_KNOWN"),
        ({"confirm": "settle"}, "CONFIRMATION_NEEDED"),
    ],
)
def test_what_cannot_have_been_is_not_said(dora: Dealer, change: dict[str, Any], code: str) -> None:
    with in_tenant("acorn"):
        VenueReport.objects.create(venue="LP1", key="F:E1", kind="fill", cl_ord_id="O1-LP1-1", raw="35=8\x0139=1")
    answer = dora.act("ask-settlement", **(SETTLED | change))
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    with in_tenant("acorn"):
        assert not DeskAction.objects.exists()


def test_what_was_said_before_another_settled_the_leg_is_void(
    dora: Dealer, rick: Dealer, floor: list[Envelope], meanwhile: Meanwhile
) -> None:
    """INV-03, INV-04: also at the same moment, and before the tables show what was told."""
    first, second, third = (
        dora.act("ask-settlement", **(SETTLED | {"fill_id": fill})).json()["action"] for fill in ("E77", "E78", "E79")
    )
    settle: dict[str, Any] = {"confirm": "settle O1-LP1-1"}
    wish = services.Wish(
        tenant="acorn", by="rita", kind="settle-doubt", key="k", reason="heard it too", body={}, now=timezone.now()
    )
    refused = meanwhile(
        lambda: services.settle_doubt(wish=wish, action_id=first, **settle),
        lambda: rick.act("settle-doubt", action_id=second, **settle),
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "SETTLED_SINCE")
    assert rick.act("settle-doubt", action_id=third, **settle).json()["code"] == "SETTLED_SINCE"
    assert [each.fill_id for each in heard(floor, 2) if isinstance(each, RecordVenueFill)] == ["E77"]
    anew = dora.act("ask-settlement", **(SETTLED | {"fill_id": "E80"})).json()["action"]
    assert rick.act("settle-doubt", action_id=anew, **settle).status_code == 200, "it may be in doubt again"


def test_who_settles_sees_what_the_venue_said_and_nobody_else_does(dora: Dealer, rick: Dealer) -> None:
    with in_tenant("acorn"):
        VenueReport.objects.create(venue="LP1", key="F:E1", kind="fill", cl_ord_id="O1-LP1-1", raw="35=8\x0139=1")
    for kind, dealer in (("ask-settlement", dora), ("settle-doubt", rick)):
        seen = dealer.http.get(f"/desk/previews/{kind}", {"cl_ord_id": "O1-LP1-1"}).json()
        assert (seen["leg"]["venue"], seen["leg"]["quantity"]) == ("LP1", "1")
        assert [(each["key"], each["raw"]) for each in seen["reports"]] == [("F:E1", "35=8|39=1")]
    wanda = Dealer(role="watcher", username="wanda")
    assert wanda.http.get("/desk/previews/settle-doubt", {"cl_ord_id": "O1-LP1-1"}).status_code == 403
