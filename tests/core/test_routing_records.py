"""What routing decides and writes down, to the last word: how a close is shared, who is asked first, why."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode, Venue
from piggy.core.orders import Side
from piggy.core.positions import Position
from piggy.core.routing import decision, reachable
from piggy.core.routing_rules import CostModel, RoutingPolicy, Treatment
from piggy.core.splitting import split
from piggy.core.verdicts import told_decision
from tests.core.floor import EURUSD, Floor
from tests.core.test_routing import level, ranked

D = Decimal
KEPT = Treatment(rule="group:b", version=1, book_mode=BookMode.B, a_percent=D(0), internal_cross=False)


def closing(quantity: str, a_lots: str, b_lots: str, treatment: Treatment = KEPT) -> tuple[Decimal, Decimal, str]:
    lots = D(a_lots) + D(b_lots)
    position = Position(
        account_id="a1", symbol="EURUSD", position_id="p", quantity=lots, cost=lots, a_lots=D(a_lots), b_lots=D(b_lots)
    )
    return split(treatment=treatment, instrument=EURUSD, quantity=D(quantity), side=Side.SELL, position=position)


@pytest.mark.parametrize(
    ("quantity", "a_lots", "b_lots", "a_closed"),
    [
        ("1", "1", "1", "0.5"),
        ("2", "1", "1", "1"),
        ("0.03", "1", "2", "0.01"),
        ("0.05", "1", "2", "0.02"),
        ("3", "1", "0", "1"),
        ("3", "0", "1", "0"),
    ],
)
def test_a_close_is_shared_as_the_position_is_and_what_is_more_is_new(
    quantity: str, a_lots: str, b_lots: str, a_closed: str
) -> None:
    a, b, _ = closing(quantity, a_lots, b_lots)
    assert (a, b) == (D(a_closed), D(quantity) - D(a_closed))


def test_why_says_what_closes_and_what_is_new() -> None:
    assert closing("1", "1", "1")[2] == "1 lots close a position and follow the book of its open"
    assert closing("3", "1", "1")[2] == (
        "2 lots close a position and follow the book of its open; the other 1 are new: kept"
    )


@pytest.mark.parametrize(
    ("a", "b", "cross", "mode"),
    [
        (1, 0, 0, "A"), (0, 1, 0, "B"), (0, 0, 1, "CROSS"), (1, 1, 0, "MIXED"), (1, 0, 1, "MIXED"), (0, 1, 1, "MIXED"),
        (1, 1, 1, "MIXED"), (0, 0, 0, "REST"),
    ],
)  # fmt: skip
def test_the_mode_says_where_the_lots_went(a: int, b: int, cross: int, mode: str) -> None:
    made = decision(
        treatment=KEPT, a_quantity=D(a), b_quantity=D(b), cross_quantity=D(cross), venues=b"", text="", at_us=0
    )
    assert made.mode == mode


def test_a_seller_is_taken_to_the_dearest_bid_first_and_the_others_are_numbered() -> None:
    venues = tuple(Venue(name=name) for name in ("LP1", "LP2", "LP3"))
    levels = (level("LP1", "1.10001"), level("LP2", "1.10003"), level("LP3", "1.10002"))
    found = ranked(*levels, venues=venues, side=Side.SELL)
    assert [(seen.venue, seen.text) for seen in found] == [
        ("LP2", "best price"), ("LP3", "choice 2"), ("LP1", "choice 3")
    ]  # fmt: skip


@pytest.mark.parametrize(("side", "limit"), [(Side.BUY, "1.10000"), (Side.SELL, "1.10000")])
def test_a_quote_at_the_limit_is_inside_it_and_a_tick_beyond_is_not(side: Side, limit: str) -> None:
    beyond = D(limit) + side.sign * D("0.00001")
    found = ranked(
        level("LP1", limit), level("LP2", str(beyond)), venues=(Venue(name="LP1"), Venue(name="LP2")), side=side,
        limit=D(limit),
    )  # fmt: skip
    assert [(seen.venue, seen.rank) for seen in found] == [("LP1", 1), ("LP2", 0)]


@pytest.mark.parametrize(("side", "best"), [(Side.BUY, "1.10000"), (Side.SELL, "1.10002")])
def test_what_a_venue_costs_makes_each_of_its_levels_dearer(side: Side, best: str) -> None:
    """LP1 is the best by half a tick and costs a whole one: LP2 comes before its second level, and before its first."""
    worse = str(D(best) + side.sign * D("0.00001"))
    levels = (level("LP1", best), level("LP2", best), level("LP1", worse))
    seen = ranked(*levels[:2], venues=(Venue(name="LP1"), Venue(name="LP2")), side=side)
    costs = {"LP1": D("0.000005"), "LP2": D(0)}
    ranks = {"LP2": 1, "LP1": 2}
    judged = [msgspec.structs.replace(each, cost=costs[each.venue], rank=ranks[each.venue]) for each in seen]
    found = reachable(levels=levels, ranked=judged, side=side, limit=None)
    assert [(each.venue, str(each.price)) for each in found] == [("LP2", best), ("LP1", best), ("LP1", worse)]


@pytest.mark.parametrize(("side", "best"), [(Side.BUY, "1.10000"), (Side.SELL, "1.10002")])
def test_a_cost_of_two_ticks_outweighs_a_price_better_by_one(side: Side, best: str) -> None:
    """Where a venue shows several levels they are dealt at in the order of price and cost together."""
    second, third = (str(D(best) + side.sign * D("0.00001") * ticks) for ticks in (1, 2))
    levels = (level("LP1", best), level("LP2", second), level("LP1", third))
    seen = ranked(*levels[:2], venues=(Venue(name="LP1"), Venue(name="LP2")), side=side)
    costs = {"LP1": D("0.00002"), "LP2": None}
    judged = [msgspec.structs.replace(each, cost=costs[each.venue]) for each in seen]
    found = reachable(levels=levels, ranked=judged, side=side, limit=None)
    assert [(each.venue, str(each.price)) for each in found] == [("LP2", second), ("LP1", best), ("LP1", third)]


@pytest.mark.parametrize(("side", "worst"), [(Side.BUY, "1.10001"), (Side.SELL, "1.09999")])
def test_levels_at_the_limit_are_reached_and_those_beyond_are_not(side: Side, worst: str) -> None:
    """One level of each venue, ranked before the limit was known."""
    prices = ["1.10000", worst, str(D(worst) + side.sign * D("0.00001"))]
    levels = tuple(level(f"LP{at}", price) for at, price in enumerate(prices))
    seen = ranked(*levels, venues=tuple(Venue(name=f"LP{at}") for at in range(3)), side=side)
    for limit, reached in ((D(worst), 2), (None, 3)):
        found = reachable(levels=levels, ranked=seen, side=side, limit=limit)
        assert [each.venue for each in found] == [f"LP{at}" for at in range(reached)]


def test_what_a_venue_charges_makes_its_bid_worth_less_to_a_seller() -> None:
    venues = (Venue(name="LP1", commission_per_million=D(20)), Venue(name="LP2"))
    found = ranked(
        level("LP1", "1.10001"), level("LP2", "1.10000"), venues=venues, side=Side.SELL, cost_model=CostModel(fee=D(1))
    )
    assert [(seen.venue, seen.rank) for seen in found] == [("LP2", 1), ("LP1", 2)]


def test_why_names_the_rule_without_what_it_says() -> None:
    _, _, why = split(treatment=KEPT, instrument=EURUSD, quantity=D(1), side=Side.BUY, position=None)
    assert why == "group is B: kept"


def test_a_venue_is_passed_over_for_who_excluded_it_before_anything_else() -> None:
    """Quoted or not, on or off: the text says what a person would have to mend first."""
    venues = tuple(
        Venue(name=name, enabled=name not in ("off", "off quoted")) for name in ("off", "off quoted", "mute")
    )
    quotes = (level("off quoted", "1.1"),)
    found = {seen.venue: seen.text for seen in ranked(*quotes, venues=venues)}
    assert found == {"off": "switched off", "off quoted": "switched off", "mute": "no live quote"}
    excluded = dict.fromkeys(found, "refused this order")
    assert {seen.text for seen in ranked(*quotes, venues=venues, excluded=excluded)} == {"refused this order"}


def test_a_level_of_a_venue_that_the_order_may_not_use_ranks_nowhere() -> None:
    quotes = (level("LP1", "1.1"), level("unheard of", "1.0"))
    assert [(seen.venue, seen.rank) for seen in ranked(*quotes, venues=(Venue(name="LP1"),))] == [("LP1", 1)]


@given(
    st.permutations(["1.1", "1.10", "1.1001", "1.0999"]),
    st.lists(st.integers(1, 2), min_size=4, max_size=4),
    st.sampled_from(Side),
)
def test_venues_rank_by_their_worth_in_whatever_order_their_levels_come(
    prices: list[str], sizes: list[int], side: Side
) -> None:
    venues = tuple(Venue(name=f"LP{at}", priority=at % 2) for at in range(4))
    quotes = [level(venue.name, price, str(size)) for venue, price, size in zip(venues, prices, sizes, strict=True)]
    priority = {venue.name: venue.priority for venue in venues}
    wanted = sorted(quotes, key=lambda q: (side.sign * q.price, -q.size, priority[q.venue], q.venue))
    assert [seen.venue for seen in ranked(*quotes, venues=venues, side=side)] == [quote.venue for quote in wanted]


@pytest.mark.parametrize("weighs", [True, False])
def test_each_venue_is_told_with_what_it_costs_term_by_term_also_one_that_is_passed_over(weighs: bool) -> None:
    """Without a cost model there is nothing to tell; without a quote nothing is known."""
    floor = Floor()
    model = CostModel(version=7, fee=D(1), reject_bps=D(10)) if weighs else CostModel()
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=2, cost_model=model)))
    for name in ("LP8", "LP9"):
        venue = Venue(name=name, commission_per_million=D(20), quote_age_ms_max=600_000)
        floor.do(cmd.ConfigureVenue(venue=venue))
    floor.quote("LP8", "1.09990", "1.10030")
    floor.place("a1", Side.BUY, "1", limit_price="1.10020")
    (accepted,) = [each.event for each in floor.log if isinstance(each.event, ev.OrderAccepted)]
    assert accepted.routing.cost_version == (7 if weighs else 0)
    seen = {each.venue: each for each in accepted.routing.considered}
    assert seen["LP9"].terms is None
    off = seen["LP8"]
    assert (off.rank, off.cost) == (0, None)
    assert off.text.startswith("quotes 1.10030, beyond the limit")
    rows = json.loads(msgspec.json.encode(told_decision(decision=accepted.routing)["considered"]))
    told = {row["venue"]: row for row in rows}
    if weighs:
        assert off.terms is not None
        assert off.terms.fee == off.terms.total == D("1.10030") * 20 / 1_000_000
        assert D(told["LP8"]["terms"]["fee"]) == off.terms.fee
    else:
        assert off.terms is None
        assert "terms" not in told["LP8"]
