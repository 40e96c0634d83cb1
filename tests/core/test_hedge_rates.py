"""P-14: the house's own hedges keep to what each LP's contract allows a second, as clients' orders do."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Venue
from piggy.core.orders import Side
from tests.core.floor import EURUSD, SECOND_US, only
from tests.core.hedging_floor import House, policy

BUY = Side.BUY


def contract(floor: House, name: str, most: int) -> None:
    venue = Venue(name=name, priority=1, quote_age_ms_max=600_000, messages_per_s_max=most)
    floor.do(cmd.ConfigureVenue(venue=venue))


def asked(events: list[Any]) -> list[str]:
    return [leg.venue for leg in only(events, ev.ChildOrderCreated)]


def test_a_hedge_in_many_parts_is_spread_over_the_seconds() -> None:
    """Five lots in parts of one: LP1 takes two messages a second and LP2 one, LP3 is not for hedges."""
    floor = House(threshold=D("1.5"), hedge_lots_max=D(1), venues=("LP1", "LP2"))
    contract(floor, "LP1", 2)
    contract(floor, "LP2", 1)
    assert asked(floor.clients_buy("6")) == ["LP1", "LP1", "LP2"]
    floor.now_us += SECOND_US - 1
    floor.quotes()
    assert asked(floor.act()) == []
    floor.now_us += 1
    floor.quotes()
    assert asked(floor.act()) == ["LP1", "LP1"], "then it is at its target"


def test_two_policies_in_one_step_count_together() -> None:
    floor = House(venues=("LP1",))
    floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, symbol="GBPUSD", base="GBP")))
    floor.do(cmd.ConfigureHedging(policy=policy(key="GBPUSD", symbol="GBPUSD", venues=("LP1",))))
    contract(floor, "LP1", 1)
    floor.quote("LP1", "1.30000", "1.30010", symbol="GBPUSD")
    for symbol in ("EURUSD", "GBPUSD"):
        floor.desk.state.exposure[symbol].client_long += D(4)
    events = floor.do(cmd.ActOnExposure())
    assert [leg.symbol for leg in only(events, ev.ChildOrderCreated)] == ["EURUSD"]
    floor.now_us += SECOND_US
    floor.quotes()
    floor.quote("LP1", "1.30000", "1.30010", symbol="GBPUSD")
    events = floor.do(cmd.ActOnExposure())
    assert [leg.symbol for leg in only(events, ev.ChildOrderCreated)] == ["GBPUSD"]


def test_a_dealer_who_covers_by_hand_is_told_that_nobody_has_room() -> None:
    floor = House(venues=("LP1",))
    contract(floor, "LP1", 0)
    assert asked(floor.clients_buy("4")) == []
    (refused,) = floor.do(cmd.CoverByHand(symbol="EURUSD", by="dora", reason="flat by five"))
    assert refused.code == "NO_LIQUIDITY"
