"""Hedging: the house covers what is past its threshold, and never the same risk twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import ledger
from piggy.core.accounts import TradingState
from piggy.core.hedging import HedgeScope, hedge_lots, lots_to_target, policy_fault
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.money import ZERO
from piggy.core.orders import OrderState, Side
from tests.core.floor import EURUSD, SECOND_US, names, only
from tests.core.hedging_floor import MINUTE_US, House, policy

EURGBP = Instrument(
    symbol="EURGBP",
    asset_class=AssetClass.FX_MINOR,
    base="EUR",
    quote="GBP",
    contract_size=Decimal(100_000),
    price_digits=5,
    tick_size=Decimal("0.00001"),
)


@given(
    risk=st.integers(-5_000, 5_000).map(lambda n: Decimal(n) / 100),
    threshold=st.integers(10, 20),
    target=st.integers(0, 6),
    band=st.integers(0, 4),
    per_lot=st.sampled_from([Decimal(1), Decimal(-1), Decimal("0.7"), Decimal(-3)]),
    unfinished=st.booleans(),
)
def test_a_hedge_is_the_largest_that_does_not_pass_the_target(
    risk: Decimal, threshold: int, target: int, band: int, per_lot: Decimal, unfinished: bool
) -> None:
    """The naive twin tries one lot step after the other."""
    rule_of = policy(threshold=Decimal(threshold), target=Decimal(target), band=Decimal(band))
    lots = hedge_lots(policy=rule_of, instrument=EURUSD, risk=risk, per_lot=per_lot, unfinished=unfinished)
    step, direction = EURUSD.lot_step, (1 if risk * per_lot > 0 else -1)
    naive = ZERO
    if abs(risk) > (target + band if unfinished else threshold):
        while naive < 100 and abs(risk) - (naive + step) * abs(per_lot) >= target:
            naive += step
    assert lots == direction * naive
    assert abs(risk - lots * per_lot) <= abs(risk)


def test_a_hedge_too_small_or_without_a_price_is_none() -> None:
    tiny = {"policy": policy(threshold=Decimal("1.5"), target=Decimal(1)), "instrument": EURUSD}
    assert lots_to_target(**tiny, risk=Decimal("1.001"), per_lot=Decimal(1)) == 0
    assert lots_to_target(**tiny, risk=Decimal(9), per_lot=ZERO) == 0


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, ""),
        ({"target": Decimal(-1)}, "below zero"),
        ({"venue_lots_max": {"LP1": Decimal("NaN")}}, "below zero"),
        ({"band": Decimal(3)}, "threshold"),
        ({"key": "EUR"}, "itself"),
        ({"threshold": Decimal("1E+16")}, "above"),
        ({"retry_ms": -1}, "retry_ms"),
        ({"snooze_ms": 86_400_001}, "snooze_ms"),
    ],
)
def test_a_policy_without_sense_is_named(changes: dict[str, Any], text: str) -> None:
    fault = policy_fault(policy=policy(**changes))
    assert text in fault if text else fault == ""


def test_configuring_says_what_is_wrong() -> None:
    floor = House()
    for changes, code in (
        ({"symbol": "NOTHING"}, "SYMBOL_UNKNOWN"),
        ({"key": "JPY", "scope": HedgeScope.CURRENCY}, "POLICY_UNUSABLE"),
        ({"target": Decimal(-1)}, "POLICY_UNUSABLE"),
    ):
        (refused,) = floor.do(cmd.ConfigureHedging(policy=policy(**changes)))
        assert refused.code == code
    assert floor.do(cmd.ConfigureHedging(policy=policy())) == []
    for command in (cmd.ApproveHedge(hedge_id="H1", by="d"), cmd.RejectHedge(hedge_id="H1", by="d", reason="no")):
        (refused,) = floor.do(command)
        assert refused.code == "HEDGE_NOT_QUEUED"


def test_risk_past_the_threshold_is_brought_back_to_the_target() -> None:
    floor = House()
    assert not only(floor.clients_buy("3"), ev.HedgeProposed), "the threshold itself is still inside"
    events = floor.clients_buy("1")
    (proposed,) = only(events, ev.HedgeProposed)
    assert (proposed.side, proposed.quantity, proposed.risk) == (Side.BUY, 3, 4)
    legs = only(events, ev.ChildOrderCreated)
    assert {leg.order_id for leg in legs} == {proposed.hedge_id}
    assert [(leg.venue, leg.quantity) for leg in legs] == [("LP1", 2), ("LP2", 1)]
    before = dict(floor.desk.state.balances)
    first = floor.fill(legs[0], "1.10010")
    assert names(first) == ["ChildOrderFilled", "HedgeFilled"]
    second = floor.fill(legs[1], "1.10011")
    assert only(second, ev.HedgeClosed)[0].outcome == "filled"
    state = floor.desk.state
    assert state.exposure["EURUSD"].uncovered == 1
    assert state.balances == before, "a hedge is nobody's order: no client notices"
    assert state.hedges[proposed.hedge_id].state is OrderState.FILLED
    assert (state.open_hedges, state.hedge_pending["EURUSD"]) == (set(), 0)
    assert floor.act() == []


def test_what_is_on_its_way_or_in_doubt_counts_as_done() -> None:
    floor = House()
    legs = only(floor.clients_buy("4"), ev.ChildOrderCreated)
    for leg in legs:
        floor.doubt(leg)
    floor.now_us += MINUTE_US
    floor.quotes()
    assert set(names(floor.act())) == {"ChildCancelRequested"}, "nobody knows: it is asked back, not done again"
    hedge = floor.desk.state.hedges["H000000001"]
    assert hedge.state is OrderState.IN_DOUBT
    floor.done(legs[0], filled="2")
    assert floor.desk.state.children[legs[0].cl_ord_id].in_doubt
    floor.fill(legs[0], "1.10010", lots="2")
    (closed,) = only(floor.done(legs[1]), ev.HedgeClosed)
    assert (closed.outcome, closed.filled) == ("short", 2)


def test_a_hedge_that_ended_short_goes_on_to_the_band() -> None:
    floor = House()
    legs = only(floor.clients_buy("4"), ev.ChildOrderCreated)
    floor.done(legs[1])
    floor.fill(legs[0], "1.10010", lots="1")
    assert floor.act() == [], "still working"
    closed = only(floor.done(legs[0], filled="1"), ev.HedgeClosed)
    assert closed[0].outcome == "short"
    floor.quotes()
    assert floor.act() == [], "not at once"
    floor.now_us += SECOND_US
    floor.quotes()
    (again,) = only(floor.act(), ev.HedgeProposed)
    assert (again.quantity, again.risk) == (2, 3), "3 is inside the threshold but outside the band"


def test_the_venues_last_fill_may_come_after_it_said_the_leg_ended() -> None:
    floor = House(venues=("LP1",))
    (leg,) = only(floor.clients_buy("4"), ev.ChildOrderCreated)
    assert leg.quantity == 2
    floor.done(leg, filled="1")
    events = floor.fill(leg, "1.10010", lots="1")
    assert names(events) == ["ChildOrderFilled", "HedgeFilled", "ChildOrderClosed", "HedgeClosed"]
    late = floor.fill(leg, "1.10010", lots="0.5")
    assert names(late) == ["ChildOrderFilled", "HedgeFilled"], "the venue's word is taken even later"
    assert floor.desk.state.exposure["EURUSD"].venue_net == Decimal("1.5")
    assert floor.desk.state.hedge_pending["EURUSD"] == 0


def test_a_refused_hedge_waits_before_it_is_tried_again() -> None:
    floor = House()
    legs = only(floor.clients_buy("4"), ev.ChildOrderCreated)
    assert not only(floor.reject(legs[0]), ev.HedgeClosed)
    (closed,) = only(floor.reject(legs[1]), ev.HedgeClosed)
    assert closed.outcome == "unfilled"
    floor.quotes()
    assert floor.act() == []
    floor.now_us += SECOND_US
    floor.quotes()
    assert only(floor.act(), ev.HedgeProposed)


def test_queued_hedges_wait_for_a_dealer_and_shrink_with_the_risk() -> None:
    floor = House(automatic=False)
    (proposed,) = floor.clients_buy("5")
    assert (proposed.quantity, proposed.automatic) == (4, False)
    assert floor.act() == []
    floor.clients_buy("2", side=Side.SELL)
    approved, *legs = floor.do(cmd.ApproveHedge(hedge_id=proposed.hedge_id, by="dealer"))
    assert (approved.quantity, sum(leg.quantity for leg in legs)) == (2, 2)
    assert floor.desk.state.hedge_pending["EURUSD"] == 2
    (refused,) = floor.do(cmd.ApproveHedge(hedge_id=proposed.hedge_id, by="dealer"))
    assert refused.code == "HEDGE_NOT_QUEUED"


def test_a_queued_hedge_is_withdrawn_when_the_risk_is_gone() -> None:
    floor = House(automatic=False)
    (proposed,) = floor.clients_buy("5")
    floor.quotes()
    floor.place("b2", Side.SELL, "4.5")
    (closed,) = floor.do(cmd.ApproveHedge(hedge_id=proposed.hedge_id, by="dealer"))
    assert closed.outcome == "withdrawn"
    (proposed,) = floor.clients_buy("4")
    events = floor.clients_buy("6", side=Side.SELL)
    assert names(events)[0] == "HedgeClosed", "withdrawn by itself"
    floor.clients_buy("4", side=Side.SELL)
    (other,) = [hedge for hedge in floor.desk.state.hedges.values() if not hedge.state.final]
    assert other.side is Side.SELL
    floor.do(cmd.ConfigureHedging(policy=policy(automatic=False, enabled=False)))
    assert only(floor.act(), ev.HedgeClosed)[0].outcome == "withdrawn"


def test_a_dealers_refusal_silences_the_policy_for_a_while() -> None:
    floor = House(automatic=False)
    (proposed,) = floor.clients_buy("5")
    (closed,) = floor.do(cmd.RejectHedge(hedge_id=proposed.hedge_id, by="dealer", reason="news"))
    assert (closed.outcome, closed.by, closed.text) == ("rejected", "dealer", "news")
    assert floor.desk.state.hedges[proposed.hedge_id].state is OrderState.REJECTED
    floor.now_us += MINUTE_US - 1
    floor.quotes()
    assert floor.act() == []
    floor.now_us += 1
    assert only(floor.act(), ev.HedgeProposed)


def test_without_a_market_nothing_is_sent_and_nothing_is_lost() -> None:
    floor = House(automatic=False)
    (proposed,) = floor.clients_buy("5")
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "", "")
    (refused,) = floor.do(cmd.ApproveHedge(hedge_id=proposed.hedge_id, by="dealer"))
    assert refused.code == "NO_LIQUIDITY"
    floor.do(cmd.RejectHedge(hedge_id=proposed.hedge_id, by="dealer", reason=""))
    floor.do(cmd.ConfigureHedging(policy=policy(snooze_ms=0)))
    assert floor.act() == []
    floor.quotes()
    assert only(floor.act(), ev.HedgeProposed)


def test_venues_have_limits_and_switches() -> None:
    floor = House(venues=("LP1", "LP2"), venue_lots_max={"LP1": Decimal("0.5"), "LP3": Decimal(9)})
    floor.do(cmd.SetTradingState(scope="venue", key="LP9", state=TradingState.HALTED, reason="", by="d"))
    legs = only(floor.clients_buy("4"), ev.ChildOrderCreated)
    assert [(leg.venue, leg.quantity) for leg in legs] == [("LP1", Decimal("0.5")), ("LP2", 2)]
    for leg in legs:
        floor.fill(leg, str(leg.limit_price))
    floor.now_us += MINUTE_US
    floor.quotes()
    legs = only(floor.act(), ev.ChildOrderCreated)
    assert "LP1" not in {leg.venue for leg in legs}
    more = only(floor.clients_buy("3"), ev.ChildOrderCreated)
    assert {leg.venue for leg in more} == {"LP2"}, "LP1 is full"


def test_what_is_on_its_way_to_a_venue_fills_its_limit() -> None:
    floor = House(venues=("LP1",), venue_lots_max={"LP1": Decimal("2.5")})
    (leg,) = only(floor.clients_buy("4"), ev.ChildOrderCreated)
    assert leg.quantity == 2
    floor.doubt(leg)
    floor.place("a1", Side.SELL, "1")
    (more,) = only(floor.clients_buy("4"), ev.ChildOrderCreated)
    assert more.quantity == Decimal("0.5")
    floor.clients_buy("4")
    assert len(floor.children()) == 3, "a client's leg elsewhere, two hedges, and no room for a third"


@pytest.mark.parametrize(
    ("scope", "key", "stops"),
    [
        ("firm", "", True),
        ("tenant", "", True),
        ("symbol", "EURUSD", True),
        ("symbol", "X", False),
        ("group", "b", False),
    ],
)
def test_a_halted_desk_hedges_nothing(scope: str, key: str, stops: bool) -> None:
    floor = House()
    floor.quotes()
    floor.place("b1", Side.BUY, "4")
    floor.do(cmd.SetTradingState(scope=scope, key=key, state=TradingState.HALTED, reason="", by="d"))
    assert bool(only(floor.act(), ev.HedgeProposed)) is not stops


@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.KILLED])
def test_a_stop_holds_a_queued_hedge_back_too(state: TradingState) -> None:
    """Its approval is refused while it lasts, and the hedge waits on: a kill is a kill for the house as well."""
    house = House(automatic=False)
    (queued,) = only(house.clients_buy("4"), ev.HedgeProposed)
    house.do(cmd.SetTradingState(scope="symbol", key="EURUSD", state=state, reason="x", by="eve"))
    approval = cmd.ApproveHedge(hedge_id=queued.hedge_id, by="ann")
    (refused,) = house.do(approval)
    assert refused.code == "TRADING_STOPPED"
    house.do(cmd.SetTradingState(scope="symbol", key="EURUSD", state=TradingState.ACTIVE, reason="x", by="bob"))
    (first, *_) = house.do(approval)
    assert isinstance(first, ev.HedgeApproved), first


def test_a_currency_is_hedged_across_its_symbols() -> None:
    floor = House(key="EUR", scope=HedgeScope.CURRENCY, threshold=Decimal(300_000), target=Decimal(100_000), band=ZERO)
    floor.do(cmd.ConfigureInstrument(instrument=EURGBP))
    floor.desk.state.exposure["EURGBP"].client_short = Decimal(2)
    assert not only(floor.clients_buy("5"), ev.HedgeProposed), "500,000 long less 200,000 short"
    (proposed,) = only(floor.clients_buy("1"), ev.HedgeProposed)
    assert (proposed.side, proposed.quantity, proposed.risk) == (Side.BUY, 3, 400_000)
    assert floor.act() == []


def test_a_quote_currency_is_hedged_on_the_other_side_and_needs_a_price() -> None:
    floor = House(key="USD", scope=HedgeScope.CURRENCY, threshold=Decimal(300_000), target=Decimal(100_000), band=ZERO)
    floor.do(cmd.ConfigureInstrument(instrument=EURGBP))
    floor.desk.state.exposure["EURGBP"].client_long = Decimal(7)
    (proposed,) = only(floor.clients_buy("3"), ev.HedgeProposed)
    assert (proposed.side, proposed.quantity) == (Side.BUY, Decimal("2.09"))
    assert proposed.risk == Decimal("-330016.5"), "euro against sterling is no dollar"
    del floor.desk.marks["EURUSD"]
    moment = floor.desk.moment(now_us=floor.now_us)
    floor.desk.state.hedge_pending.clear()
    assert floor.desk.decide(command=cmd.ActOnExposure(), now_us=floor.now_us) == ()
    assert moment.marks.get("EURUSD") is None
    floor.desk.state.exposure["EURUSD"].client_long = ZERO
    floor.desk.state.exposure["EURUSD"].venue_net = ZERO
    assert floor.desk.decide(command=cmd.ActOnExposure(), now_us=floor.now_us) == ()


def test_the_houses_profit_at_a_venue_is_booked() -> None:
    floor = House(venues=("LP1",), threshold=Decimal(1), target=ZERO, band=ZERO)
    (leg,) = only(floor.clients_buy("2"), ev.ChildOrderCreated)
    (opened,) = only(floor.fill(leg, "1.10010"), ev.HedgeFilled)
    assert (opened.realised, ledger.postings(event=opened, currency="")) == (0, ())
    (leg,) = only(floor.clients_buy("2", side=Side.SELL), ev.ChildOrderCreated)
    events = floor.fill(leg, "1.10060")
    (closed,) = only(events, ev.HedgeFilled)
    assert (closed.realised, closed.currency) == (100, "USD")
    lines = [line for event in events for line in ledger.postings(event=event, currency="")]
    assert [(line.gl_account, line.owner, line.amount) for line in lines] == [
        (ledger.LP_SETTLEMENT, "LP1", 100),
        (ledger.PASSED_DEALING, "", -100),
        (ledger.PASSED_DEALING, "", 100),
        (ledger.HEDGING_RESULT, "", -100),
    ]
    assert floor.desk.state.house_positions == {}
