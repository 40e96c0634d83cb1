"""The second step of a kill: another person closes what the scope still holds."""

from __future__ import annotations

from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import flattening
from piggy.core.accounts import TradingState
from piggy.core.orders import Side
from tests.core.floor import Floor, only


@pytest.fixture
def floor() -> Floor:
    """b1 and b2 hold what the house kept, a1 what a venue covers; everything is killed by ann."""
    made = Floor()
    made.place("b1", Side.BUY, "1")
    made.place("b2", Side.SELL, "0.5")
    made.place("a1", Side.BUY, "1")
    made.fill(made.children()[0], "1.10010")
    for scope, key in (("firm", ""), ("group", "b"), ("account", "b1"), ("symbol", "EURUSD")):
        made.do(cmd.SetTradingState(scope=scope, key=key, state=TradingState.KILLED, reason="drill", by="ann"))
    return made


def flatten(floor: Floor, scope: str = "firm", key: str = "", **changes: Any) -> list[ev.AnyEvent]:
    asked: dict[str, Any] = {"scope": scope, "key": key, "by": "ben", "reason": "wind down"} | changes
    return floor.do(cmd.FlattenPositions(**asked))


@pytest.mark.parametrize(
    ("scope", "key", "closed"),
    [
        ("firm", "", {"b1", "b2", "a1"}),
        ("symbol", "EURUSD", {"b1", "b2", "a1"}),
        ("group", "b", {"b1", "b2"}),
        ("account", "b1", {"b1"}),
    ],
)
def test_what_a_killed_scope_holds_is_closed(floor: Floor, scope: str, key: str, closed: set[str]) -> None:
    """P-25."""
    events = flatten(floor, scope, key)
    accepted = only(events, ev.OrderAccepted)
    assert {event.terms.account_id for event in accepted} == closed
    assert {event.source for event in accepted} == {"flatten"}
    assert all("closed by ben: wind down" in event.verdict.checks[0].text for event in accepted)
    for leg in only(events, ev.ChildOrderCreated):
        floor.fill(leg, "1.10000")
    assert {position.account_id for position in floor.desk.state.positions.values()} == {"b1", "b2", "a1"} - closed
    assert flatten(floor, scope, key) == []


def test_lots_on_their_way_out_are_not_closed_twice(floor: Floor) -> None:
    assert only(flatten(floor), ev.ChildOrderCreated) and flatten(floor) == []


def test_asking_again_goes_on_past_what_is_out_at_a_venue(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flattening, "POSITIONS_PER_STEP_MAX", 1)
    asked = [only(flatten(floor), ev.OrderAccepted) for _ in range(4)]
    assert [[event.terms.account_id for event in each] for each in asked] == [["a1"], ["b1"], ["b2"], []]


def test_a_position_without_a_price_stays(floor: Floor) -> None:
    for venue in ("LP1", "LP2", "LP3"):
        floor.desk.market.withdraw(venue=venue)
    assert flatten(floor) == [] and len(floor.desk.state.positions) == 3


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"by": "ann"}, "FOUR_EYES"),
        ({"by": ""}, "REASON_MISSING"),
        ({"reason": ""}, "REASON_MISSING"),
        ({"scope": "planet"}, "SCOPE_UNKNOWN"),
        ({"scope": "account", "key": "b2"}, "NOT_STOPPED"),
    ],
)
def test_flattening_needs_a_stop_a_reason_and_another_person(floor: Floor, changes: dict[str, Any], code: str) -> None:
    assert flatten(floor, **changes)[0].code == code  # type: ignore[union-attr]


def test_what_only_reduces_is_not_flattened(floor: Floor) -> None:
    state = cmd.SetTradingState(scope="account", key="b2", state=TradingState.REDUCING, reason="calm", by="cleo")
    floor.do(state)
    assert flatten(floor, "account", "b2")[0].code == "NOT_STOPPED"  # type: ignore[union-attr]
