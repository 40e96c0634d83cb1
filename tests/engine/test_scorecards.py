"""Scorecards: what a fill was worth later, how long a venue took, and that the market is asked at the right time."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from piggy.core import commands as cmd
from piggy.core.commands import Envelope
from piggy.core.events import Recorded
from piggy.core.market import VenueState, VenueStatus
from piggy.core.orders import Side
from piggy.engine.loop import Done, Item
from piggy.engine.scorecards import HORIZONS_MS, SAMPLES_KEPT, Sample, Scorecard, Scorecards
from tests.core.floor import Floor


class Hands:
    """A clock whose hands the test turns, and a Redis that keeps what it is given."""

    def __init__(self, floor: Floor) -> None:
        self.floor, self.kept = floor, {}

    def now_us(self) -> int:
        return self.floor.now_us

    async def set(self, key: str, value: bytes) -> None:
        self.kept[key] = value


def watched() -> tuple[Floor, Scorecards]:
    floor = Floor()
    hands: Any = Hands(floor)
    return floor, Scorecards(connection=hands, desks={"acorn": floor.desk}, clock=hands)


def tell(cards: Scorecards, floor: Floor, since: int, *, after_ms: int = 0) -> None:
    """Tell what is new in the log; its engine stamped it `after_ms` after the beginning."""
    new = [msgspec.structs.replace(each, recorded_mono_ns=after_ms * 1_000_000) for each in floor.log[since:]]
    envelope = Envelope(command_id="c", command=cmd.ActOnTime(), principal="test")
    cards.heard([Done(Item("acorn", envelope), None, list[Recorded](new))])


def card(cards: Scorecards, floor: Floor, venue: str = "LP1") -> Scorecard:
    return next(each for each in cards.cards(tenant="acorn", now_us=floor.now_us) if each.venue == venue)


def bought(floor: Floor, cards: Scorecards, *, hold_ms: int = 7) -> None:
    since = len(floor.log)
    floor.place("a1", Side.BUY, "0.01")
    tell(cards, floor, since)
    since = len(floor.log)
    floor.fill(floor.children()[0], "1.10010")
    tell(cards, floor, since, after_ms=hold_ms)


def test_a_market_that_falls_after_we_bought_is_a_loss_at_each_horizon_it_had_by_then() -> None:
    floor, cards = watched()
    bought(floor, cards)
    began_us = floor.now_us
    mid = Decimal("1.100055")  # LP2's bid, LP1's offer.
    falls = {100: "0", 1_000: "-0.00011", 10_000: "-0.00022", 60_000: "0.00011", 300_000: "0.00055"}
    for after_ms in HORIZONS_MS:
        floor.now_us = began_us + after_ms * 1_000 - 1
        cards.look(now_us=floor.now_us)
        before = {each.after_ms: each.samples for each in card(cards, floor).markouts}
        assert before[after_ms] == 0, "not a moment too early"
        floor.now_us += 1
        floor.quotes(falls[after_ms])
        cards.look(now_us=floor.now_us)
    found = {each.after_ms: each for each in card(cards, floor).markouts}
    for after_ms, shift in falls.items():
        expected = -Decimal(shift) / mid * 10_000
        assert abs(found[after_ms].mean_bps - expected) < Decimal("0.001"), after_ms
        assert found[after_ms].samples == 1
    assert card(cards, floor, "LP2").markouts[0].samples == 0


def test_a_sale_counts_the_other_way() -> None:
    floor, cards = watched()
    since = len(floor.log)
    floor.place("a1", Side.SELL, "0.01")
    tell(cards, floor, since)
    since = len(floor.log)
    leg = floor.children()[0]
    floor.fill(leg, "1.10001")
    tell(cards, floor, since, after_ms=1)
    floor.now_us += 100_000
    floor.quotes("0.00011")
    cards.look(now_us=floor.now_us)
    assert card(cards, floor, leg.venue).markouts[0].mean_bps > 0, "it rose after we sold"


def test_without_a_two_sided_market_there_is_no_sample() -> None:
    floor, cards = watched()
    bought(floor, cards)
    floor.now_us += 100_000
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.10000", "")
    cards.look(now_us=floor.now_us)
    assert card(cards, floor).markouts[0].samples == 0


def test_a_card_says_how_long_the_venue_held_how_often_it_refused_and_whether_it_is_there() -> None:
    floor, cards = watched()
    status = VenueStatus(venue="LP1", state=VenueState.READY, text="", at_us=floor.now_us, unread=4)
    floor.desk.status(status=status)
    bought(floor, cards, hold_ms=7)
    bought(floor, cards, hold_ms=9)
    since = len(floor.log)
    floor.place("a1", Side.BUY, "0.01")
    tell(cards, floor, since)
    since = len(floor.log)
    floor.reject(floor.children()[0])
    tell(cards, floor, since, after_ms=200)
    found = card(cards, floor)
    assert (found.hold_ms.p50, found.hold_ms.p95, found.hold_ms.samples) == (9, 200, 3)
    assert (found.orders, found.fills, found.rejects, found.rejects_in_a_row) == (3, 2, 1, 1)
    assert found.reject_rate == Decimal("0.3333")
    assert found.state == "ready"
    assert (found.quote_age_ms, found.unread) == (0, 4)


async def test_cards_are_published_for_the_screens_and_count_the_seconds_up() -> None:
    floor, cards = watched()
    for state in (VenueState.READY, VenueState.READY, VenueState.DOWN, VenueState.READY):
        floor.desk.status(status=VenueStatus(venue="LP1", state=state, text="", at_us=floor.now_us))
        await cards._publish()
    kept = msgspec.json.decode(cards._redis.kept["{acorn}:scorecards"])
    lp1 = next(each for each in kept["venues"] if each["venue"] == "LP1")
    assert (lp1["up_percent"], lp1["disconnects"], lp1["trading_state"]) == ("75.00", 1, "active")
    assert [each["after_ms"] for each in lp1["markouts"]] == [100, 1_000, 10_000, 60_000, 300_000]


def test_the_mean_that_is_kept_up_in_step_is_the_mean_of_the_latest() -> None:
    sample = Sample()
    for value in range(SAMPLES_KEPT + 500):
        sample.add(value % 17 - 5)
    latest = list(sample.values)
    mean = Decimal(sum(latest)) / len(latest)
    variance = sum((value - mean) ** 2 for value in latest) / (len(latest) - 1)
    assert len(latest) == SAMPLES_KEPT
    assert sample.mean() == mean
    assert abs(sample.error() - (variance / len(latest)).sqrt()) < Decimal("1e-12")
