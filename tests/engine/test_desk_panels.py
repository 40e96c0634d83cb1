"""The slow panels of the dealer's page: every row has the inputs of its figures, and says what a person should see."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode, TradingState
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.market import VenueState, VenueStatus
from piggy.core.orders import Side
from piggy.core.routing_rules import DealerWait, RoutingPolicy, RoutingRule
from piggy.engine import desk_panels
from piggy.engine.desk_focus import focus_rows
from piggy.engine.margin_scan import MarginScan
from tests.core.floor import SECOND_US, Floor, only
from tests.core.hedging_floor import House


def panels(floor: Floor) -> dict[str, dict[str, dict[str, Any]]]:
    moment = floor.desk.moment(now_us=floor.now_us)
    scan = MarginScan()
    scan.step(desk=floor.desk)
    return {
        "hedges": desk_panels.hedge_rows(desk=floor.desk, moment=moment),
        "margin": scan.shown(desk=floor.desk, moment=moment),
        "doubts": desk_panels.doubt_rows(desk=floor.desk),
        "states": desk_panels.state_rows(desk=floor.desk),
    }


def alerts(floor: Floor, before: Any = ()) -> dict[str, dict[str, Any]]:
    return desk_panels.alert_rows(
        desk=floor.desk, panels=panels(floor), before=dict(before), now_us=floor.now_us, troubles={}
    )


def test_a_queued_hedge_waits_in_the_queue_with_the_risk_that_its_policy_sees() -> None:
    floor = House(automatic=False)
    (proposed,) = floor.clients_buy("5")
    rows = panels(floor)["hedges"]
    assert (rows["policy:EURUSD"]["risk"], rows["policy:EURUSD"]["pending"]) == (1, 4)
    queued = rows[proposed.hedge_id]
    assert (queued["state"], queued["queued"], queued["quantity"]) == ("queued", True, 4)
    floor.do(cmd.RejectHedge(hedge_id=proposed.hedge_id, by="dora", reason="later"))
    rows = panels(floor)["hedges"]
    assert (rows[proposed.hedge_id]["state"], rows[proposed.hedge_id]["queued"]) == ("rejected", False)
    assert (rows["policy:EURUSD"]["risk"], rows["policy:EURUSD"]["use_percent"]) == (5, Decimal("166.7"))


def test_the_margin_watch_shows_the_parts_of_each_level() -> None:
    floor = Floor()
    assert panels(floor)["margin"] == {}
    floor.place("b1", Side.BUY, "3")
    (row,) = panels(floor)["margin"].values()
    funds = floor.desk.moment(now_us=floor.now_us).funds("b1")
    assert row["equity"] == row["balance"] + row["floating"] == funds.equity
    assert row["level_percent"] == (row["equity"] / row["used_margin"] * 100).quantize(Decimal("0.1"))
    assert row["distance"] == (funds.equity - funds.used_margin / 2).quantize(Decimal("0.01"))
    floor.place("b1", Side.SELL, "3")
    assert panels(floor)["margin"] == {}, "nothing held, nothing to watch"


def test_a_leg_in_doubt_is_shown_with_what_it_may_still_become() -> None:
    floor = House()
    (leg, *_) = only(floor.clients_buy("4"), ev.ChildOrderCreated)
    floor.doubt(leg)
    row = panels(floor)["doubts"][leg.cl_ord_id]
    assert (row["venue"], row["whose"], row["leaves"]) == (leg.venue, "house", leg.quantity)
    assert alerts(floor)[f"doubt:{leg.cl_ord_id}"]["tone"] == "serious"


def misreport(floor: Floor, count: int) -> None:
    """LP1 acknowledges orders that it was never sent."""
    for number in range(count):
        never = cmd.RecordVenueAck(venue="LP1", cl_ord_id=f"N{number}", venue_order_id="", occurred_at_us=floor.now_us)
        assert only(floor.do(never), ev.VenueReportSuspended)


def test_f_14_reports_that_fit_no_order_leave_room_for_everything_else() -> None:
    """F-14: hundreds of them are one alert, and what a dealer must see is not cut off behind them."""
    floor = Floor()
    misreport(floor, 150)
    floor.do(cmd.SetTradingState(scope="group", key="b", state=TradingState.HALTED, reason="news", by="dora"))
    shown = alerts(floor)
    assert "state:group:b" in shown and [key for key in shown if key.startswith("doubt:")] == []
    assert (
        shown["reports"]["tone"] == "serious" and "150 so far, the latest of LP1: unknown" in shown["reports"]["text"]
    )
    assert [key for key in alerts(Floor()) if key == "reports"] == []
    assert len(panels(floor)["doubts"]) == 150


def test_f_14_the_latest_reports_are_kept_and_the_log_is_named_for_those_before(monkeypatch: Any) -> None:
    """F-14: a venue that never ends misreporting does not make the desk larger and larger; no report is lost."""
    monkeypatch.setattr("piggy.core.venue_folding.SUSPENDED_KEPT", 3)
    floor = Floor()
    misreport(floor, 3)
    assert [*panels(floor)["doubts"]] == ["suspended:0", "suspended:1", "suspended:2"]
    misreport(floor, 2)
    rows = panels(floor)["doubts"]
    assert [*rows] == ["suspended:before", "suspended:2", "suspended:3", "suspended:4"], "no row becomes another one"
    assert (
        rows["suspended:before"]["text"].startswith("2 reports before these") and rows["suspended:4"]["venue"] == "LP1"
    )
    assert "5 so far" in alerts(floor)["reports"]["text"]
    told = [each.event for each in floor.log if isinstance(each.event, ev.VenueReportSuspended)]
    assert len(told) == 5 and floor.desk.state.suspended == told[2:]


def test_a_stopped_scope_is_shown_with_whoever_stopped_it() -> None:
    floor = Floor()
    floor.do(cmd.SetTradingState(scope="group", key="b", state=TradingState.HALTED, reason="news", by="dora"))
    assert panels(floor)["states"] == {
        "group:b": {"scope": "group", "key": "b", "state": TradingState.HALTED, "by": "dora"}
    }
    assert alerts(floor)["state:group:b"]["title"] == "group b is halted"
    floor.do(cmd.SetTradingState(scope="group", key="b", state=TradingState.ACTIVE, reason="over", by="rick"))
    assert panels(floor)["states"] == {}


def test_exposure_near_its_limit_is_an_alert_of_whoever_has_it_open() -> None:
    """P-27 of P-19: the tenant's, the firm's and a venue's, beside the accounts' own."""
    floor = Floor()
    limits = msgspec.structs.replace(
        HOUSE_LIMITS, exposure_tenant_max=Decimal(200_000), exposure_venue_max=Decimal(100_000)
    )
    floor.do(cmd.ConfigureLimits(group="a", limits=limits))
    floor.place("a1", Side.BUY, "0.7")
    floor.place("b1", Side.BUY, "1.2")
    floor.now_us += SECOND_US
    floor.act()
    shown = {key: row for key, row in alerts(floor).items() if key.startswith("limit:")}
    assert {key: (row["tone"], row["title"]) for key, row in shown.items()} == {
        "limit:tenant::a:USD": ("warning", "Exposure of the tenant"),
        "limit:venue:LP1:a:USD": ("info", "Exposure of LP1"),
    }
    assert (
        shown["limit:venue:LP1:a:USD"]["text"] == "P-19 has reached 50 % of the limit that group a sets to it, in USD"
    )


def test_f_09_an_alarm_of_an_lps_session_is_shown_whatever_its_state() -> None:
    floor = Floor()
    for state in (VenueState.DOWN, VenueState.READY):
        status = VenueStatus(venue="LP1", state=state, text="", at_us=floor.now_us, alarm="logged on already")
        floor.desk.status(status=status)
        shown = alerts(floor)["alarm:LP1"]
        assert (shown["tone"], shown["text"]) == ("serious", "logged on already")
    floor.desk.status(status=msgspec.structs.replace(status, alarm=""))
    assert "alarm:LP1" not in alerts(floor)


def test_what_is_wrong_with_the_machine_itself_comes_first() -> None:
    floor = Floor()
    shown = desk_panels.alert_rows(
        desk=floor.desk, panels=panels(floor), before={}, now_us=floor.now_us, troubles={"projector": "event 7"}
    )
    assert next(iter(shown)) == "trouble:projector" and shown["trouble:projector"]["text"] == "event 7"


def test_an_alert_keeps_the_time_when_it_began() -> None:
    floor = Floor()
    first = alerts(floor)
    assert set(first) == {"venue:LP1", "venue:LP2", "venue:LP3"}, "nobody has logged on"
    began_us = floor.now_us
    floor.now_us += 9 * SECOND_US
    assert {row["since"] for row in alerts(floor, first).values()} == {began_us}


def test_the_ladder_shows_whose_each_level_is_and_what_clients_rest() -> None:
    floor = Floor(internal_cross=False)
    floor.place("b1", Side.BUY, "0.5", limit_price="1.09000")
    floor.place("b2", Side.BUY, "0.7", limit_price="1.09000")
    names = ["depth:EURUSD", "depth:NOTHING", "stopout:nobody", "rubbish"]
    rows = focus_rows(desk=floor.desk, names=names, now_us=floor.now_us)
    assert [*rows] == ["depth:EURUSD"]
    depth = rows["depth:EURUSD"]
    assert [level["venue"] for level in depth["asks"]] == ["LP1", "LP2", "LP3"]
    assert depth["book_bids"] == [{"price": Decimal("1.09000"), "size": Decimal("1.20"), "orders": 2}]
    assert depth["book_asks"] == []


def test_the_stop_out_preview_names_what_would_be_closed() -> None:
    floor = Floor()
    floor.open_account("poor", group="b", amount=4_000)
    floor.place("poor", Side.BUY, "1")
    look = "stopout:poor"
    calm = focus_rows(desk=floor.desk, names=[look], now_us=floor.now_us)[look]
    assert calm["rungs"] == ()
    floor.quotes(shift="-0.025")
    floor.now_us += SECOND_US
    row = focus_rows(desk=floor.desk, names=[look], now_us=floor.now_us)[look]
    assert row["before"] < 50 <= (row["after"] or Decimal(1000))
    assert [(rung.symbol, rung.side) for rung in row["rungs"]] == [("EURUSD", Side.SELL)]


def test_an_order_that_waits_for_a_dealer_shows_how_far_the_market_went() -> None:
    floor = Floor()
    rule = RoutingRule(name="ask", priority=1, book_mode=BookMode.B, dealer=DealerWait(timeout_s=20))
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1, rules=(rule,))))
    floor.place("b1", Side.BUY, "1")
    ((order_id, row),) = requests(floor).items()
    assert (row["requested"], row["current"], row["slippage_points"]) == (Decimal("1.10013"), Decimal("1.10013"), "0")
    assert (row["claimed_by"], row["expires_at"] - row["held_at"]) == ("", 20 * SECOND_US)
    floor.do(cmd.ClaimOrder(order_id=order_id, by="dora"))
    floor.quotes(shift="0.00007")
    row = requests(floor)[order_id]
    assert (row["claimed_by"], row["slippage_points"]) == ("dora", "7"), "against the buyer"
    assert f"request:{order_id}" in alerts(floor)
    floor.do(cmd.FillByDealer(order_id=order_id, by="dora"))
    assert requests(floor) == {}


def requests(floor: Floor) -> dict[str, dict[str, Any]]:
    return desk_panels.request_rows(desk=floor.desk, moment=floor.desk.moment(now_us=floor.now_us))


def test_a_coverage_account_is_what_legs_and_hedges_left_at_its_venue() -> None:
    floor = House()
    floor.clients_buy("5")
    for leg in floor.children():
        floor.fill(leg, "1.10020")
    rows = desk_panels.coverage_rows(desk=floor.desk, moment=floor.desk.moment(now_us=floor.now_us))
    state = floor.desk.state
    assert sum(row["net"] for row in rows.values()) == sum(state.venue_nets.values()) == 4
    for (venue, name), position in state.house_positions.items():
        row = rows[f"{venue}:{name}"]
        assert (row["hedged"], row["passed_on"]) == (position.quantity, row["net"] - position.quantity)
        profit = (position.quantity * row["mark"] - position.cost) * row["contract_size"]
        assert row["floating"] == profit.quantize(Decimal("0.01"))
