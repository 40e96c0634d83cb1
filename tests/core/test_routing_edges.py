"""Routing at its edges: what a policy may just say, which rules ask for what, and what a ranking remembers."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core.accounts import BookMode, Venue
from piggy.core.orders import Side
from piggy.core.positions import Position
from piggy.core.ranking import Rankings
from piggy.core.routing_rules import (
    WEEK_MINUTES,
    Conditions,
    CostModel,
    DealerWait,
    RoutingRule,
    VenueScore,
    policy_fault,
    treatment,
    venue_cost,
)
from piggy.core.splitting import split
from tests.core.floor import EURUSD
from tests.core.test_crosses import EURGBP
from tests.core.test_routing import GROUP, HERE, level, policy

CALLED = Conditions(margin_level_max_percent=D(100))


def rule(name: str = "n", **more: Any) -> RoutingRule:
    return RoutingRule(**({"name": name, "priority": 1, "book_mode": BookMode.MIXED} | more))


@pytest.mark.parametrize(
    ("percent", "minutes", "field"),
    [
        (0, (0, WEEK_MINUTES), None),
        (100, (WEEK_MINUTES, 0), None),
        (-1, (0, 1), "a_book_percent"),
        (101, (0, 1), "a_book_percent"),
        (0, (-1, 1), "from_minute"),
        (0, (0, WEEK_MINUTES + 1), "from_minute"),
    ],
)
def test_a_rule_may_say_all_or_nothing_and_any_minute_of_the_week(
    percent: int, minutes: tuple[int, int], field: str | None
) -> None:
    conditions = Conditions(from_minute=minutes[0], to_minute=minutes[1])
    fault = policy_fault(policy=policy(rule(a_book_percent=D(percent), conditions=conditions)))
    assert (fault[0] if fault else None) == field


def test_a_margin_level_is_asked_for_where_a_single_rule_looks_at_it() -> None:
    assert policy(rule("a"), rule("b", conditions=CALLED)).asks_margin_level
    assert policy(rule("a", conditions=CALLED)).asks_margin_level
    assert not policy(rule("a"), rule("b")).asks_margin_level and not policy().asks_margin_level


@pytest.mark.parametrize("end", ["from_minute", "to_minute"])
def test_a_window_with_one_end_out_of_an_old_log_is_none(end: str) -> None:
    assert Conditions(**{end: 0}).hold(situation=HERE)


def test_a_canary_is_spared_the_orders_that_are_not_its_own() -> None:
    rankings = Rankings()
    venues = {"LP1": Venue(name="LP1"), "LP2": Venue(name="LP2", canary_percent=D(10))}
    spared = [rankings.spared(order_id=f"O{n:09d}", venues=venues, config_version=1) for n in range(500)]
    assert set(spared) == {(), ("LP2",)} and 20 < spared.count(()) < 90
    del venues["LP2"]
    assert rankings.spared(order_id="O000000001", venues=venues, config_version=2) == ()


def test_the_same_question_is_answered_with_the_same_ranking_and_another_is_not() -> None:
    rankings, levels = Rankings(), (level("LP1", "1.1001"), level("LP2", "1.1002"))
    asked: dict[str, Any] = {
        "order_id": "O1", "symbol": "EURUSD", "side": Side.BUY, "venues": {"LP1": Venue(name="LP1")}, "levels": levels,
        "excluded": {}, "scores": {}, "cost_model": CostModel(), "limit": D("1.1"), "version": (1, 1, ()),
    }  # fmt: skip
    first = rankings.of(**asked)
    assert rankings.of(**asked) is first
    for change in ({"limit": D("1.2")}, {"version": (1, 2, ())}, {"levels": (*levels, *levels)}):
        assert rankings.of(**(asked | change)) is not first
        assert rankings.of(**asked) is not first
        first = rankings.of(**asked)


def test_an_order_that_no_dealer_answered_is_not_passed_on_unless_the_rule_says_so() -> None:
    for dealer, passes_on in ((DealerWait(), False), (DealerWait(passes_on=True), True)):
        found = treatment(policy=policy(rule(dealer=dealer)), group=GROUP, situation=HERE).dealer
        assert found is not None and found.passes_on is passes_on


@pytest.mark.parametrize(("rules", "groups"), [(True, True), (True, False), (False, True), (False, False)])
def test_orders_cross_in_the_house_where_rule_and_group_both_let_them(rules: bool, groups: bool) -> None:
    group = msgspec.structs.replace(GROUP, internal_cross=groups)
    found = treatment(policy=policy(rule(internal_cross=rules)), group=group, situation=HERE)
    assert found.internal_cross is (rules and groups)


@pytest.mark.parametrize(
    ("window", "minute", "holds"), [((10_000, 60), 10_000, True), ((60, 60), 60, False), ((60, 60), 61, False)]
)
def test_a_window_begins_with_its_first_minute_and_one_of_no_length_is_never_open(
    window: tuple[int, int], minute: int, holds: bool
) -> None:
    situation = msgspec.structs.replace(HERE, at_us=(4 * 1_440 + minute) * 60_000_000)  # 1970-01-05 was a Monday.
    assert Conditions(from_minute=window[0], to_minute=window[1]).hold(situation=situation) is holds


def test_a_b_book_may_be_kept_to_nothing_at_all() -> None:
    assert policy_fault(policy=policy(rule(b_net_max_lots=D(0)))) is None


@pytest.mark.parametrize(("passed_on", "unfilled"), [("99.99", 0), ("100", 2)], ids=["kept in part", "all passed on"])
def test_of_a_turned_cross_the_close_is_kept_and_the_rest_where_any_is(passed_on: str, unfilled: int) -> None:
    """INV-21: three lots sold where one is held: no venue takes the two that are new."""
    treated = treatment(policy=None, group=GROUP, situation=HERE)
    asked = msgspec.structs.replace(treated, a_percent=D(passed_on))
    held = Position(
        account_id="a1", symbol="EURGBP", position_id="p", quantity=D(1), cost=D("0.88"), b_lots=D(1)
    )  # fmt: skip
    a, b, _ = split(treatment=asked, instrument=EURGBP, quantity=D(3), side=Side.SELL, position=held)
    assert (a, b) == (unfilled, 3 - unfilled)


def test_less_than_a_step_is_no_part_of_a_beside_what_came_back_either() -> None:
    """INV-21: of 1.006 lots that are all passed on, half a lot for the second time, 0.006 find no venue."""
    asked = msgspec.structs.replace(treatment(policy=None, group=GROUP, situation=HERE), a_percent=D(100))
    a, b, _ = split(
        treatment=asked, instrument=EURUSD, quantity=D("1.006"), side=Side.BUY, position=None, came_back=D("0.5")
    )
    assert (a, b) == (1, D("0.006"))


def test_what_nobody_said_of_a_rule_a_cost_model_and_a_venue_stands_in_nobodys_way() -> None:
    """A rule lets clients cross where their group does, a model begins at version 1, an unscored venue fills all."""
    assert rule().internal_cross and CostModel().version == 1
    model = CostModel(unfilled_bps=D(1))
    assert venue_cost(model=model, price=D(1), fee_per_million=D(0), score=VenueScore()).total == 0
