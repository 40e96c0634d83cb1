"""The linter against a naive twin that tries orders: what it calls shadowed never decides, what overlaps may."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from piggy.core.accounts import BookMode, Group
from piggy.core.routing_lint import Fault, lint
from piggy.core.routing_rules import Conditions, RoutingPolicy, RoutingRule, Situation, treatment

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


def test_a_rule_with_hours_hides_only_a_rule_with_the_same_hours() -> None:
    def faults(minutes: tuple[int, int]) -> set[Fault]:
        day = Conditions(from_minute=60, to_minute=120)
        made = policy_of(
            [(day, BookMode.A, True), (Conditions(from_minute=minutes[0], to_minute=minutes[1]), BookMode.B, True)]
        )
        return {finding.fault for finding in lint(policy=made)}

    assert faults((60, 120)) and faults((60, 120)) != faults((70, 110))


def test_rules_for_different_groups_never_meet() -> None:
    made = policy_of([(Conditions(groups=("x",)), BookMode.A, True), (Conditions(groups=("y",)), BookMode.B, True)])
    assert lint(policy=made) == ()
