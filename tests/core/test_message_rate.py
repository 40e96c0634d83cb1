"""P-14 on the desk: a rate holds for any second, wherever on the clock it begins; after a snapshot as before it."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Venue
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderTerms, OrderType, Side
from piggy.engine.snapshot import Held, live_of, parts_of, restored
from tests.core.floor import SECOND_US, START_US, Floor, names, only

FREE = {"duplicate_window_ms": 0, "window_value_max": D(10**9), "rejects_consecutive_max": 10**6}


def floor_of(**limits: Any) -> Floor:
    floor = Floor()
    for group in ("a", "b"):
        changed = msgspec.structs.replace(HOUSE_LIMITS, **(FREE | {"rejects_percent_max": D(100)} | limits))
        floor.do(cmd.ConfigureLimits(group=group, limits=changed))
    return floor


def send(floor: Floor, after_us: int, account_id: str = "b1", **terms: Any) -> list[ev.AnyEvent]:
    """Place a small order so long after the floor opened."""
    floor.now_us = START_US + after_us
    asked = OrderTerms(account_id=account_id, symbol="EURUSD", side=Side.BUY, quantity=D("0.01"), **terms)
    return floor.do(cmd.PlaceOrder(terms=asked))


def refused(events: list[ev.AnyEvent]) -> bool:
    first = events[0]
    codes = [check.code for check in first.verdict.reasons] if isinstance(first, ev.OrderDenied) else []
    assert codes in ([], ["P-14"])
    return bool(codes)


def test_ten_before_a_full_second_and_ten_after_it_are_twenty_of_one_second() -> None:
    """P-14: what the account sent at 0.95 s counts until 1.95 s, to the microsecond."""
    floor = floor_of()
    assert [refused(send(floor, 950_000)) for _ in range(10)] == [False] * 10
    assert [refused(send(floor, 1_050_000)) for _ in range(10)] == [True] * 10
    assert not refused(send(floor, 1_050_000, "b2")), "another account has sent nothing"
    assert refused(send(floor, 1_949_999)), "what was refused was sent all the same"
    assert refused(send(floor, 2_049_999))
    assert not refused(send(floor, 2_950_000)), "only those of 1.949999 and 2.049999 are left"


def test_at_exactly_a_second_the_first_message_counts_no_more() -> None:
    """P-14: limit, limit + 1 unit; a microsecond before the second is over, at it, after it."""
    for later_us, expected in ((SECOND_US - 1, True), (SECOND_US, False), (SECOND_US + 1, False)):
        floor = floor_of()
        assert [refused(send(floor, 300_000 + number)) for number in range(10)] == [False] * 10
        assert refused(send(floor, 300_000 + later_us)) is expected


def test_the_tenants_accounts_share_its_rate_in_any_second() -> None:
    """P-14."""
    floor = floor_of(tenant_messages_per_s_max=4)
    for number, account_id in enumerate(("b1", "b2", "b1", "b2")):
        assert not refused(send(floor, 900_000 + number * 10_000, account_id))
    assert refused(send(floor, 1_100_000, "mixed1")) is False, "a group of its own has a limit of its own"
    assert refused(send(floor, 1_899_999, "b1"))
    assert not refused(send(floor, 2_900_000, "b1"))


def test_a_venue_is_sent_no_more_than_its_rate_in_any_second() -> None:
    """P-14: LP1 quotes best and may be sent two messages a second."""
    floor = floor_of()
    floor.do(cmd.ConfigureVenue(venue=Venue(name="LP1", priority=1, quote_age_ms_max=600_000, messages_per_s_max=2)))
    at_us = (950_000, 990_000, 1_050_000, 1_949_999, 1_950_000)
    sent = [only(send(floor, each, "a1"), ev.ChildOrderCreated)[0].venue for each in at_us]
    assert sent == ["LP1", "LP1", "LP2", "LP2", "LP1"]


def test_no_cancel_waits_for_a_rate_and_none_uses_it_up() -> None:
    """P-14: cancels are exempt; an amendment is a message as an order is."""
    floor = floor_of(account_messages_per_s_max=3)
    resting: dict[str, Any] = {"type": OrderType.LIMIT, "limit_price": D("1.09000")}
    ids = [send(floor, 950_000, **resting)[0].order_id for _ in range(3)]  # type: ignore[union-attr]
    floor.now_us = START_US + 1_050_000
    amendment = cmd.AmendOrder(order_id=ids[0], account_id="b1", quantity=D("0.02"))
    assert floor.do(amendment)[0].code == "P-14"  # type: ignore[union-attr]
    for order_id in ids:
        assert names(floor.do(cmd.CancelOrder(order_id=order_id, account_id="b1"))) == ["OrderCancelled"]
    assert [refused(send(floor, 1_950_000, **resting)) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("after_us", [1_050_000, 1_949_999, 1_950_000])
def test_a_desk_out_of_a_snapshot_counts_as_the_one_that_it_was_taken_of(after_us: int) -> None:
    """P-14, INV-08: the second goes on over a restart."""
    floor, again = floor_of(), floor_of()
    for _ in range(10):
        send(floor, 950_000)
    parts = parts_of(desk=floor.desk, held=Held(), seq=len(floor.log))
    again.desk, _ = restored(live=live_of(body=parts.live), segments=parts.segments)
    again.log, again.commands = list(floor.log), floor.commands
    again.quotes()
    assert send(again, after_us)[0] == send(floor, after_us)[0]
    assert again.desk.state.messages == floor.desk.state.messages


def test_who_is_quiet_leaves_nothing_behind() -> None:
    """P-14: what is kept of messages is as large as a second's traffic, not as the accounts that ever sent any."""
    floor = floor_of()
    for number in range(30):
        floor.open_account(f"c{number}", group="b")
        send(floor, number * 100_000, f"c{number}")
    kept = floor.desk.state.messages
    assert len(kept.times) == len(kept.counts) == 10
