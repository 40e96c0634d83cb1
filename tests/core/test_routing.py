"""Routing: who gets an order and why, as rules, ranks, legs and exact splits."""

from __future__ import annotations

import os
import random
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode, Group, Venue
from piggy.core.market import AttributedLevel
from piggy.core.orders import Side
from piggy.core.positions import Position
from piggy.core.routing import legs, rank, share, spread
from piggy.core.routing_rules import (
    Conditions,
    CostModel,
    RoutingPolicy,
    RoutingRule,
    Situation,
    VenueScore,
    policy_fault,
    shadowed_rules,
    treatment,
    venue_cost,
)
from piggy.core.splitting import split
from tests.core.floor import EURUSD, START_US, Floor, only

NAN = Decimal("NaN")
GROUP = Group(name="g", book_mode=BookMode.MIXED, a_book_percent=Decimal(40), version=7)
HERE = Situation(account_id="a1", owner_id="o1", group="g", symbol="EURUSD", lots=Decimal(2), at_us=START_US)
NO_COSTS = CostModel()


def level(venue: str, price: str, size: str = "2") -> AttributedLevel:
    return AttributedLevel(price=Decimal(price), size=Decimal(size), venue=venue, received_at_us=START_US)


def ranked(*levels: AttributedLevel, venues: tuple[Venue, ...], **changes: object) -> tuple[ev.VenueConsidered, ...]:
    settings = {"excluded": {}, "scores": {}, "cost_model": NO_COSTS, "side": Side.BUY, "limit": None}
    return rank(venues={venue.name: venue for venue in venues}, levels=levels, **(settings | changes))  # type: ignore[arg-type]


def policy(*rules: RoutingRule, **model: Decimal) -> RoutingPolicy:
    return RoutingPolicy(version=3, rules=rules, cost_model=CostModel(**model))  # type: ignore[arg-type]


# Rules


def test_the_first_matching_rule_by_priority_decides_and_is_named() -> None:
    late = RoutingRule(name="late", priority=2, book_mode=BookMode.B)
    early = RoutingRule(name="early", priority=1, book_mode=BookMode.A)
    found = treatment(policy=policy(late, early), group=GROUP, situation=HERE)
    assert (found.rule, found.version, found.a_percent) == ("rule early", 3, Decimal(100))


def test_without_a_match_the_group_decides() -> None:
    other = RoutingRule(name="x", priority=1, book_mode=BookMode.A, conditions=Conditions(groups=("other",)))
    off = RoutingRule(name="y", priority=1, book_mode=BookMode.A, enabled=False)
    for found in (
        treatment(policy=policy(other, off), group=GROUP, situation=HERE),
        treatment(policy=None, group=GROUP, situation=HERE),
    ):
        assert (found.rule, found.version, found.a_percent) == ("group g: MIXED", 7, Decimal(40))


@pytest.mark.parametrize(
    ("conditions", "change", "holds"),
    [
        (Conditions(accounts=("a1",)), {}, True),
        (Conditions(accounts=("a2",)), {}, False),
        (Conditions(owners=("o1",)), {}, True),
        (Conditions(owners=("o2",)), {}, False),
        (Conditions(symbols=("GBPUSD",)), {}, False),
        (Conditions(groups=("g",)), {}, True),
        (Conditions(lots_min=Decimal(2)), {}, True),
        (Conditions(lots_min=Decimal("2.01")), {}, False),
        (Conditions(lots_max=Decimal(2)), {}, True),
        (Conditions(lots_max=Decimal("1.99")), {}, False),
        (Conditions(exposure_lots_min=Decimal(5)), {"uncovered_lots": Decimal(-5)}, True),
        (Conditions(exposure_lots_min=Decimal(5)), {"uncovered_lots": Decimal("4.99")}, False),
        (Conditions(margin_level_max_percent=Decimal(150)), {"margin_level_percent": Decimal(150)}, True),
        (Conditions(margin_level_max_percent=Decimal(150)), {"margin_level_percent": Decimal(151)}, False),
        (Conditions(margin_level_max_percent=Decimal(150)), {}, False),
        (Conditions(markout_score_min=Decimal(3)), {"markout_score": Decimal(3)}, True),
        (Conditions(markout_score_min=Decimal(3)), {"markout_score": Decimal("2.9")}, False),
        (Conditions(markout_score_min=Decimal(3)), {}, False),
    ],
)
def test_a_condition_holds_at_its_limit_and_not_beyond(
    conditions: Conditions, change: dict[str, Decimal], holds: bool
) -> None:
    assert conditions.hold(situation=msgspec.structs.replace(HERE, **change)) is holds


@pytest.mark.parametrize(
    ("minute", "window", "holds"),
    [
        (0, (0, 60), True),
        (59, (0, 60), True),
        (60, (0, 60), False),
        (10_079, (10_000, 60), True),
        (59, (10_000, 60), True),
        (60, (10_000, 60), False),
        (9_999, (10_000, 60), False),
    ],
)
def test_a_window_of_the_week_is_open_at_its_end_and_may_span_sunday(
    minute: int, window: tuple[int, int], holds: bool
) -> None:
    monday_us = 4 * 86_400_000_000  # 1970-01-05
    situation = msgspec.structs.replace(HERE, at_us=monday_us + minute * 60_000_000)
    conditions = Conditions(from_minute=window[0], to_minute=window[1])
    assert conditions.hold(situation=situation) is holds


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (policy(*[RoutingRule(name="n", priority=i, book_mode=BookMode.A) for i in (1, 2)]), "rules"),
        (policy(RoutingRule(name="n", priority=1, book_mode=BookMode.MIXED, a_book_percent=Decimal(101))),
         "a_book_percent"),
        (policy(RoutingRule(name="n", priority=1, book_mode=BookMode.MIXED, a_book_percent=Decimal("NaN"))),
         "a_book_percent"),
        (policy(RoutingRule(name="n", priority=1, book_mode=BookMode.A, conditions=Conditions(from_minute=10_081))),
         "from_minute"),
        (policy(RoutingRule(name="n", priority=1, book_mode=BookMode.A, conditions=Conditions(from_minute=0))),
         "from_minute"),
        (policy(RoutingRule(name="n", priority=1, book_mode=BookMode.A, conditions=Conditions(to_minute=9))),
         "from_minute"),
        (policy(RoutingRule(name="n", priority=1, book_mode=BookMode.A, conditions=Conditions(lots_min=NAN))),
         "lots_min"),
        (policy(RoutingRule(name="n", priority=1, book_mode=BookMode.A,
                            conditions=Conditions(markout_score_min=Decimal("Infinity")))), "markout_score_min"),
        (policy(RoutingRule(name="n", priority=1, book_mode=BookMode.B, b_net_max_lots=NAN)), "b_net_max_lots"),
        (policy(RoutingRule(name="n", priority=1, book_mode=BookMode.B, b_net_max_lots=Decimal(-1))), "b_net_max_lots"),
        (policy(fee=Decimal(-1)), "fee"),
        (policy(markout=Decimal("NaN")), "markout"),
    ],
)  # fmt: skip
def test_a_policy_that_contradicts_itself_is_named_by_its_field(bad: RoutingPolicy, field: str) -> None:
    fault = policy_fault(policy=bad)
    assert fault is not None
    assert fault[0] == field
    floor = Floor()
    (refused,) = floor.do(cmd.ConfigureRouting(policy=bad))
    assert (refused.code, refused.field) == ("ROUTING_INVALID", field)


def test_rules_that_can_never_match_are_found() -> None:
    some = Conditions(symbols=("EURUSD",))
    rules = [
        RoutingRule(name="one", priority=1, book_mode=BookMode.A, conditions=some),
        RoutingRule(name="again", priority=2, book_mode=BookMode.B, conditions=some),
        RoutingRule(name="all", priority=3, book_mode=BookMode.B),
        RoutingRule(name="never", priority=4, book_mode=BookMode.A, conditions=Conditions(lots_min=Decimal(1))),
        RoutingRule(name="off", priority=5, book_mode=BookMode.A, enabled=False),
    ]
    assert shadowed_rules(policy=policy(*rules)) == ("again", "never")


# Splitting


def test_parts_of_100_000_random_splits_add_up_exactly() -> None:
    """INV-21; mutation testing asks for fewer by SPLITS."""
    chance = random.Random(21)
    for _ in range(int(os.environ.get("SPLITS", "100000"))):
        percent = Decimal(chance.randint(0, 10_000)) / 100
        quantity = Decimal(chance.randint(1, 100_000)) / 100
        treated = msgspec.structs.replace(
            treatment(policy=None, group=GROUP, situation=HERE),
            a_percent=percent,
            b_net_max_lots=chance.choice([None, Decimal(chance.randint(0, 500))]),
        )
        a, b, why = split(
            treatment=treated, instrument=EURUSD, quantity=quantity, side=Side.BUY, position=None,
            b_net_lots=Decimal(chance.randint(-500, 500)),
        )  # fmt: skip
        assert a + b == quantity
        assert min(a, b) >= 0
        assert a % EURUSD.lot_step == 0
        assert why


@pytest.mark.parametrize("mode", list(BookMode))
@pytest.mark.parametrize("came_back", ["0", "0.3"])
def test_lots_are_split_to_the_digits_of_a_step_however_they_were_asked_for(mode: BookMode, came_back: str) -> None:
    """INV-21: one lot may be asked for as 1, as 1.00 and as 1E0, and is written the same."""
    treated = treatment(policy=None, group=msgspec.structs.replace(GROUP, book_mode=mode), situation=HERE)
    texts = set()
    for lots in ("1", "1.0", "1.00", "1E0"):
        a, b, _ = split(
            treatment=treated, instrument=EURUSD, quantity=Decimal(lots), side=Side.BUY, position=None,
            came_back=Decimal(came_back),
        )  # fmt: skip
        texts.add((str(a.normalize()), str(b.normalize()), str(a) == str(a.quantize(EURUSD.lot_step))))
    assert len(texts) == 1


@given(a=st.integers(0, 500), b=st.integers(0, 500), asked=st.integers(1, 1500), mode=st.sampled_from(list(BookMode)))
def test_a_close_never_takes_more_from_a_book_than_it_opened(a: int, b: int, asked: int, mode: BookMode) -> None:
    held = Decimal(a + b) / 100
    if not held:
        return
    position = Position(
        account_id="a1", symbol="EURUSD", position_id="p", quantity=held, cost=held,
        a_lots=Decimal(a) / 100, b_lots=Decimal(b) / 100,
    )  # fmt: skip
    treated = treatment(policy=None, group=msgspec.structs.replace(GROUP, book_mode=mode), situation=HERE)
    quantity = Decimal(asked) / 100
    to_a, to_b, _ = split(treatment=treated, instrument=EURUSD, quantity=quantity, side=Side.SELL, position=position)
    assert to_a + to_b == quantity
    if quantity <= held:
        assert to_a <= position.a_lots
        assert to_b <= position.b_lots


def test_what_would_push_the_b_book_past_its_limit_overflows_to_a() -> None:
    treated = msgspec.structs.replace(
        treatment(policy=None, group=msgspec.structs.replace(GROUP, book_mode=BookMode.B), situation=HERE),
        b_net_max_lots=Decimal(10),
    )
    a, b, why = split(
        treatment=treated, instrument=EURUSD, quantity=Decimal(5), side=Side.BUY, position=None, b_net_lots=Decimal(8)
    )
    assert (a, b) == (Decimal(3), Decimal(2))
    assert "overflow" in why
    a, b, why = split(
        treatment=treated, instrument=EURUSD, quantity=Decimal(5), side=Side.SELL, position=None, b_net_lots=Decimal(8)
    )
    assert (a, b) == (Decimal(0), Decimal(5))
    assert "overflow" not in why


# Ranking


def test_venues_rank_by_price_then_size_then_reject_rate_then_priority_then_name() -> None:
    names = ("cheap", "large", "faithful", "first", "alpha", "beta")
    venues = tuple(Venue(name=name, priority=1 if name == "first" else 5) for name in names)
    quotes = [level("cheap", "1.0999"), level("large", "1.1000", "3")]
    quotes += [level(name, "1.1000") for name in ("faithful", "first", "alpha", "beta")]
    poor = VenueScore(reject_rate=Decimal("0.1"))
    scores = {"first": poor, "alpha": poor, "beta": poor}
    order = [seen.venue for seen in ranked(*quotes, venues=venues, scores=scores)]
    assert order == ["cheap", "large", "faithful", "first", "alpha", "beta"]


def test_every_venue_is_on_the_record_with_why_it_was_passed_over() -> None:
    venues = (Venue(name="live"), Venue(name="off", enabled=False), Venue(name="silent"), Venue(name="dear"),
              Venue(name="refused"))  # fmt: skip
    quotes = [level("live", "1.1000"), level("off", "1.0"), level("refused", "1.0"), level("dear", "1.2")]
    seen = ranked(*quotes, venues=venues, excluded={"refused": "refused this order"}, limit=Decimal("1.15"))
    texts = {each.venue: (each.rank, each.text) for each in seen}
    assert texts == {
        "live": (1, "best price"),
        "dear": (0, "quotes 1.2, beyond the limit 1.15"),
        "off": (0, "switched off"),
        "refused": (0, "refused this order"),
        "silent": (0, "no live quote"),
    }


def test_a_cost_model_prices_fee_rejects_fills_delay_and_markout() -> None:
    model = CostModel(
        fee=Decimal(1), reject_bps=Decimal(10), unfilled_bps=Decimal(4), latency_bps_per_s=Decimal(2),
        markout=Decimal(1),
    )  # fmt: skip
    score = VenueScore(
        reject_rate=Decimal("0.1"), fill_ratio=Decimal("0.5"), latency_ms=Decimal(500), markout_bps=Decimal(3)
    )
    terms = venue_cost(model=model, price=Decimal(10_000), fee_per_million=Decimal(100), score=score)
    assert (terms.fee, terms.rejects, terms.unfilled, terms.latency, terms.markout) == (1, 1, 2, 1, 3)
    assert terms.total == 8


def test_a_venue_with_the_better_price_loses_to_the_cheaper_whole() -> None:
    venues = (Venue(name="flaky"), Venue(name="solid"))
    quotes = [level("flaky", "1.10000"), level("solid", "1.10001")]
    scores = {"flaky": VenueScore(reject_rate=Decimal("0.5"))}
    model = CostModel(reject_bps=Decimal(1))
    seen = ranked(*quotes, venues=venues, scores=scores, cost_model=model)
    assert [each.venue for each in seen] == ["solid", "flaky"]
    assert seen[1].terms is not None
    assert seen[1].cost == seen[1].terms.total == seen[1].terms.rejects > 0
    spread = legs(
        levels=quotes, ranked=seen, quantity=Decimal(3), side=Side.BUY, limit=Decimal("1.2"), instrument=EURUSD
    )
    assert [(leg.venue, leg.quantity) for leg in spread] == [("solid", Decimal(2)), ("flaky", Decimal(1))]


@pytest.mark.parametrize("side", list(Side))
def test_legs_take_the_best_levels_first_and_no_more_than_is_quoted(side: Side) -> None:
    prices = ("1.10", "1.11", "1.12") if side is Side.BUY else ("1.12", "1.11", "1.10")
    quotes = [level("x", prices[0], "1"), level("y", prices[1], "1"), level("x", prices[2], "5")]
    venues = (Venue(name="x"), Venue(name="y"))
    seen = ranked(*quotes, venues=venues, side=side)
    limit = Decimal(prices[1])
    found = legs(levels=quotes, ranked=seen, quantity=Decimal(9), side=side, limit=limit, instrument=EURUSD)
    assert [(leg.venue, leg.quantity, leg.limit_price) for leg in found] == [
        ("x", Decimal(1), limit), ("y", Decimal(1), limit)
    ]  # fmt: skip


def test_shares_are_means_to_four_places() -> None:
    assert share(values=[]) == 0
    assert share(values=[True, False, False]) == Decimal("0.3333")


# On the desk


def test_a_rule_routes_the_next_order_and_is_its_reason() -> None:
    floor = Floor()
    assert only(floor.place("b1", Side.BUY, "1"), ev.OrderFilled)
    rule = RoutingRule(
        name="toxic to A", priority=1, book_mode=BookMode.A, conditions=Conditions(markout_score_min=Decimal(2))
    )
    floor.do(cmd.ConfigureRouting(policy=policy(rule)))
    assert floor.do(cmd.ConfigureRouting(policy=policy(rule))) == []
    assert only(floor.place("b2", Side.BUY, "1"), ev.OrderFilled)
    floor.do(cmd.ScoreAccount(account_id="b2", score=Decimal("2.5")))
    events = floor.place("b2", Side.BUY, "1.5")
    assert only(events, ev.ChildOrderCreated)
    assert (events[0].routing.rule, events[0].routing.version) == ("rule toxic to A", 3)


def test_a_shadow_venue_is_ranked_and_recorded_and_never_asked() -> None:
    floor = Floor()
    floor.do(cmd.ConfigureVenue(venue=Venue(name="LP1", priority=1, shadow=True, quote_age_ms_max=600_000)))
    events = floor.place("a1", Side.BUY, "1")
    assert [leg.venue for leg in only(events, ev.ChildOrderCreated)] == ["LP2"]
    seen = {each.venue: each for each in events[0].routing.considered}
    assert seen["LP1"].rank == 0
    assert seen["LP1"].text == "shadow: would be choice 1"


def test_a_venues_service_is_scored_from_its_reports() -> None:
    floor = Floor()
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    floor.now_us += 40_000
    floor.do(
        cmd.RecordVenueAck(venue=leg.venue, cl_ord_id=leg.cl_ord_id, venue_order_id="V", occurred_at_us=floor.now_us)
    )
    floor.fill(leg, "1.10010", lots="0.4")
    floor.done(leg, filled="0.4")
    floor.do(cmd.ScoreVenue(venue="LP1", markout_bps=Decimal("0.7")))
    score = floor.desk.state.scores["LP1"]
    assert score == VenueScore(
        reject_rate=Decimal(0), fill_ratio=Decimal("0.4"), latency_ms=Decimal(40), markout_bps=Decimal("0.7")
    )


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (cmd.ScoreAccount(account_id="nobody", score=Decimal(1)), "ACCOUNT_UNKNOWN"),
        (cmd.ScoreAccount(account_id="a1", score=Decimal("NaN")), "SCORE_INVALID"),
        (cmd.ScoreVenue(venue="nowhere", markout_bps=Decimal(1)), "VENUE_UNKNOWN"),
        (cmd.ScoreVenue(venue="LP1", markout_bps=Decimal("Infinity")), "SCORE_INVALID"),
    ],
)
def test_a_score_that_cannot_be_is_refused(command: cmd.AnyCommand, code: str) -> None:
    (refused,) = Floor().do(command)
    assert refused.code == code


def test_a_level_smaller_than_a_step_is_passed_over():
    thin = level("LP1", "1.1", "0.001")
    deep = level("LP2", "1.1", "3")
    taken = spread(reachable=[thin, deep], quantity=Decimal(1), limit=Decimal("1.2"), instrument=EURUSD)
    assert [(leg.venue, leg.quantity) for leg in taken] == [("LP2", Decimal(1))]
