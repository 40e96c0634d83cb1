"""The linter against a naive twin that tries orders: what it calls shadowed never decides, what overlaps may."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core.accounts import BookMode, Group
from piggy.core.routing_lint import Fault, lint
from piggy.core.routing_rules import WEEK_MINUTES, Conditions, RoutingPolicy, RoutingRule, Situation, treatment

LOTS = st.none() | st.integers(1, 4).map(Decimal)
names = st.lists(st.sampled_from(["x", "y"]), max_size=2, unique=True).map(tuple)
conditions = st.builds(Conditions, groups=names, symbols=names, lots_min=LOTS, lots_max=LOTS)
rule_sets = st.lists(st.tuples(conditions, st.sampled_from(BookMode), st.booleans()), min_size=1, max_size=4)
ORDERS = [
    Situation(account_id="a", owner_id="o", group=group, symbol=symbol, lots=Decimal(lots), at_us=0)
    for group, symbol, lots in product("xyz", "xyz", range(1, 5))
]


def policy_of(made: list[tuple[Conditions, BookMode, bool]]) -> RoutingPolicy:
    rules = tuple(
        RoutingRule(name=f"r{at}", priority=at, book_mode=mode, conditions=each, enabled=enabled)
        for at, (each, mode, enabled) in enumerate(made)
    )
    return RoutingPolicy(version=1, rules=rules)


@given(rule_sets)
def test_what_the_linter_calls_dead_never_decides(made: list[tuple[Conditions, BookMode, bool]]) -> None:
    policy, group = policy_of(made), Group(name="x")
    deciding = {treatment(policy=policy, group=group, situation=order).rule for order in ORDERS}
    for finding in lint(policy=policy):
        if finding.fault is not Fault.OVERLAPPING:
            assert f"rule {finding.rule}" not in deciding, finding


@given(rule_sets)
def test_where_two_rules_meet_with_different_outcomes_it_is_said(made: list[tuple[Conditions, BookMode, bool]]) -> None:
    policy = policy_of(made)
    found = lint(policy=policy)
    told = {(each.rule, each.other) for each in found}
    dead = {each.rule for each in found if each.fault is not Fault.OVERLAPPING}
    live = [rule for rule in policy.rules if rule.enabled and rule.name not in dead]
    for at, later in enumerate(live):
        for earlier in live[:at]:
            both = [
                order
                for order in ORDERS
                if earlier.conditions.hold(situation=order) and later.conditions.hold(situation=order)
            ]
            is_exception = all(
                later.conditions.hold(situation=order) for order in ORDERS if earlier.conditions.hold(situation=order)
            )
            if both and not is_exception and earlier.book_mode != later.book_mode:
                assert (later.name, earlier.name) in told


def test_each_finding_says_with_which_rule_and_why() -> None:
    wide = RoutingRule(name="all", priority=1, book_mode=BookMode.A)
    narrow = RoutingRule(name="small", priority=2, book_mode=BookMode.B, conditions=Conditions(lots_max=Decimal(1)))
    (finding,) = lint(policy=RoutingPolicy(version=1, rules=(wide, narrow)))
    assert (finding.rule, finding.fault, finding.other) == ("small", Fault.SHADOWED, "all")
    never = Conditions(lots_min=Decimal(2), lots_max=Decimal(1))
    dead = RoutingRule(name="dead", priority=1, book_mode=BookMode.A, conditions=never)
    (finding,) = lint(policy=RoutingPolicy(version=1, rules=(dead,)))
    assert finding.fault is Fault.UNREACHABLE
    empty = RoutingRule(
        name="never", priority=1, book_mode=BookMode.A, conditions=Conditions(from_minute=5, to_minute=5)
    )
    assert lint(policy=RoutingPolicy(version=1, rules=(empty,)))[0].fault is Fault.UNREACHABLE


@pytest.mark.parametrize(
    ("first", "second", "fault"),
    [
        ((60, 120), (60, 120), "shadowed"),
        ((60, 120), (70, 110), "shadowed"),
        ((0, WEEK_MINUTES), (70, 110), "shadowed"),
        ((9_000, 120), (9_500, 60), "shadowed"),
        ((9_000, 120), (0, 120), "shadowed"),
        ((9_000, 120), (9_000, WEEK_MINUTES), "shadowed"),
        ((60, 120), (70, 121), "overlapping"),
        ((9_000, 120), (119, 200), "overlapping"),
        ((9_000, 120), (8_000, 9_001), "overlapping"),
        ((60, 120), (120, 60), ""),
        ((480, 1_020), (1_020, 480), ""),
        ((9_000, 120), (120, 9_000), ""),
        ((70, 110), (60, 120), ""),
        ((60, 120), (WEEK_MINUTES, 0), "unreachable"),
    ],
)
def test_windows_of_the_week_hide_and_meet_each_other(
    first: tuple[int, int], second: tuple[int, int], fault: str
) -> None:
    """Day and night rules never meet; one within the hours of another, also over the end of a week, never decides."""
    made = [
        (Conditions(from_minute=start, to_minute=end), mode, True)
        for (start, end), mode in ((first, BookMode.A), (second, BookMode.B))
    ]
    assert [finding.fault.value for finding in lint(policy=policy_of(made))] == ([fault] if fault else [])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=3))
def test_no_rule_that_its_hours_let_decide_is_called_dead(windows: list[tuple[int, int]]) -> None:
    """Windows of quarters of the week, each quarter tried."""
    quarter = WEEK_MINUTES // 4
    made = [
        (Conditions(from_minute=start * quarter, to_minute=end * quarter), mode, True)
        for (start, end), mode in zip(windows, BookMode, strict=False)
    ]
    policy, group = policy_of(made), Group(name="x")
    # 5 January 1970 was a Monday.
    at_us = [(4 * 1_440 + number * quarter + 1) * 60_000_000 for number in range(4)]
    orders = [msgspec.structs.replace(ORDERS[0], at_us=each) for each in at_us]
    deciding = {treatment(policy=policy, group=group, situation=order).rule.removeprefix("rule ") for order in orders}
    found = lint(policy=policy)
    dead = {finding.rule for finding in found if finding.fault is not Fault.OVERLAPPING}
    assert not dead & deciding
    meeting = {(finding.rule, finding.other) for finding in found if finding.fault is Fault.OVERLAPPING}
    for later, earlier in meeting:
        both = [policy.rules[int(name[1:])].conditions for name in (later, earlier)]
        assert any(all(one.hold(situation=order) for one in both) for order in orders), "they never meet"


def test_rules_for_different_groups_never_meet() -> None:
    made = policy_of([(Conditions(groups=("x",)), BookMode.A, True), (Conditions(groups=("y",)), BookMode.B, True)])
    assert lint(policy=made) == ()
