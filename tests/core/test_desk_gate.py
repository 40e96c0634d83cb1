"""The gate through the desk: what people set and what clients did lately, on NEW and REPLACE."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, TradingState
from piggy.core.clearance import Calendar, Permissions, Session
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderType, Side
from tests.core.floor import SECOND_US, Floor, names, only

MINUTE_US = 60 * SECOND_US
# The floor opens on Tuesday 2023-11-14 at 22:13:20 UTC.
OPENS = (24 + 22) * 60 + 13


@pytest.fixture
def floor() -> Floor:
    """A resting order O000000001 of b1 is there to be amended."""
    made = Floor()
    made.place("b1", Side.BUY, "1", limit_price="1.09500")
    return made


def new(floor: Floor, account_id: str = "b1", lots: str = "1", side: Side = Side.BUY, **terms: Any) -> set[str]:
    """Return the codes that refuse a new order."""
    event = floor.place(account_id, side, lots, **terms)[0]
    return {c.code for c in event.verdict.reasons} if isinstance(event, ev.OrderDenied) else set()


def replace(floor: Floor, lots: str = "1.1") -> str:
    """Return the code that refuses an amendment, '' when it passes."""
    floor.now_us += 2 * SECOND_US
    floor.requote()
    event, *_ = floor.do(cmd.AmendOrder(order_id="O000000001", account_id="b1", quantity=D(lots)))
    return event.code if isinstance(event, ev.CommandRefused) else ""


def limits(floor: Floor, **changes: Any) -> None:
    floor.do(cmd.ConfigureLimits(group="b", limits=msgspec.structs.replace(HOUSE_LIMITS, **changes)))


def state(floor: Floor, scope: str, key: str, to: TradingState, by: str = "ann", **more: Any) -> list[ev.AnyEvent]:
    return floor.do(cmd.SetTradingState(scope=scope, key=key, state=to, reason="drill", by=by, **more))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"trading_enabled": False}, "P-02"),
        ({"kyc_passed": False}, "P-02"),
        ({"sanctions_clear": False}, "P-02"),
        ({"appropriateness_passed": False}, "P-03"),
        ({"jurisdiction_blocked": True}, "P-03"),
        ({"symbols": frozenset({"GBPUSD"})}, "P-03"),
        ({"symbols": frozenset({"EURUSD"})}, ""),
    ],
)
def test_permissions_of_the_account_are_asked(floor: Floor, changes: dict[str, Any], code: str) -> None:
    """P-02, P-03."""
    command = cmd.ConfigurePermissions(
        account_id="b1", permissions=msgspec.structs.replace(Permissions.granted(), **changes)
    )
    assert names(floor.do(command)) == ["PermissionsConfigured"] and floor.do(command) == []
    assert (new(floor), replace(floor)) == ({code} - {""}, code)
    assert new(floor, "b2") == set()


def test_an_account_that_nobody_cleared_trades_nothing(floor: Floor) -> None:
    """P-02, P-03: unset is refuse; what it is opened with holds until its own command says otherwise, and no longer."""
    fresh = Account(account_id="fresh", group="b", owner_id="fresh", currency="USD")
    assert names(floor.do(cmd.ConfigureAccount(account=fresh))) == ["AccountConfigured"]
    floor.do(cmd.CreditAccount(account_id="fresh", amount=D(100_000), reference="fresh"))
    assert new(floor, "fresh") == {"P-02", "P-03"}
    opened = cmd.ConfigureAccount(account=fresh, clearance=Permissions.granted())
    assert names(floor.do(opened)) == ["PermissionsConfigured"] and floor.do(opened) == []
    assert new(floor, "fresh") == set()
    floor.do(cmd.ConfigurePermissions(account_id="fresh", permissions=Permissions()))
    assert floor.do(opened) == [] and new(floor, "fresh") == {"P-02", "P-03"}


def test_a_group_that_nobody_limited_trades_nothing(floor: Floor) -> None:
    """Unset is refuse: what it begins with is on record, and holds until its own command says otherwise."""
    bare = cmd.ConfigureGroup(group=msgspec.structs.replace(floor.desk.state.groups["b"], name="bare"))
    assert names(floor.do(bare)) == ["GroupConfigured"]
    floor.open_account("fresh", group="bare")
    unset = {"P-08", "P-11", "P-12", "P-13", "P-14", "P-15", "P-16", "P-18", "P-19", "P-20"}
    assert new(floor, "fresh") == unset
    begun = msgspec.structs.replace(bare, limits=HOUSE_LIMITS)
    assert names(floor.do(begun)) == ["LimitsConfigured"] and floor.do(begun) == []
    assert new(floor, "fresh") == set()
    floor.do(cmd.ConfigureLimits(group="bare", limits=msgspec.structs.replace(HOUSE_LIMITS, executions_max=None)))
    assert floor.do(begun) == [] and new(floor, "fresh") == {"P-15"}


def test_permissions_of_nobody_are_refused(floor: Floor) -> None:
    command = cmd.ConfigurePermissions(account_id="nobody", permissions=Permissions())
    assert floor.do(command)[0].code == "ACCOUNT_UNKNOWN"  # type: ignore[union-attr]


@pytest.mark.parametrize(("scope", "key"), [("firm", ""), ("tenant", ""), ("client", "b1")])
def test_a_restricted_symbol_is_refused_until_it_is_taken_off(floor: Floor, scope: str, key: str) -> None:
    """P-04."""
    listed = cmd.ConfigureRestrictions(scope=scope, key=key, symbols=frozenset({"EURUSD"}))
    assert floor.do(listed) and floor.do(listed) == []
    assert new(floor) == {"P-04"} and replace(floor) == "P-04"
    assert new(floor, "b2") == (set() if scope == "client" else {"P-04"})
    floor.do(cmd.ConfigureRestrictions(scope=scope, key=key, symbols=frozenset({"GBPUSD"})))
    assert new(floor) == set() and replace(floor) == ""
    unknown = cmd.ConfigureRestrictions(scope="planet", key="", symbols=frozenset())
    assert floor.do(unknown)[0].code == "SCOPE_UNKNOWN"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("opens", "closes", "is_open"),
    [(OPENS, OPENS + 1, True), (OPENS + 1, OPENS + 2, False), (OPENS - 1, OPENS, False), (0, 7 * 24 * 60, True)],
)
def test_a_symbol_trades_in_its_sessions_only(floor: Floor, opens: int, closes: int, is_open: bool) -> None:
    """P-05, to the minute."""
    floor.do(cmd.ConfigureCalendar(calendar=Calendar(symbol="EURUSD", sessions=(Session(opens=opens, closes=closes),))))
    assert (new(floor) == set(), replace(floor) == "") == (is_open, is_open)


def test_a_calendar_keeps_its_own_time_and_its_holidays() -> None:
    session = Session(opens=17 * 60, closes=18 * 60)
    new_york = Calendar(symbol="X", sessions=(session,), timezone="America/New_York")
    monday_17_00_summer, monday_17_00_winter = 1_689_022_800_000_000, 1_673_906_400_000_000
    for at_us in (monday_17_00_summer, monday_17_00_winter):
        assert new_york.is_open(at_us=at_us) and not new_york.is_open(at_us=at_us - 1)
        assert new_york.is_open(at_us=at_us + 60 * MINUTE_US - 1) and not new_york.is_open(at_us=at_us + 60 * MINUTE_US)
    closed = msgspec.structs.replace(new_york, holidays=frozenset({date(2023, 7, 10)}))
    assert not closed.is_open(at_us=monday_17_00_summer) and closed.is_open(at_us=monday_17_00_winter)


@pytest.mark.parametrize(
    ("calendar", "code"),
    [
        (Calendar(symbol="NOSUCH", sessions=()), "SYMBOL_UNKNOWN"),
        (Calendar(symbol="EURUSD", sessions=(), timezone="Mars/Base"), "CALENDAR_UNUSABLE"),
        (Calendar(symbol="EURUSD", sessions=(Session(opens=5, closes=5),)), "CALENDAR_UNUSABLE"),
        (Calendar(symbol="EURUSD", sessions=(Session(opens=-1, closes=5),)), "CALENDAR_UNUSABLE"),
        (Calendar(symbol="EURUSD", sessions=(Session(opens=0, closes=10_081),)), "CALENDAR_UNUSABLE"),
    ],
)
def test_a_calendar_that_cannot_be_used_is_refused(floor: Floor, calendar: Calendar, code: str) -> None:
    assert floor.do(cmd.ConfigureCalendar(calendar=calendar))[0].code == code  # type: ignore[union-attr]
    good = cmd.ConfigureCalendar(calendar=Calendar(symbol="EURUSD", sessions=()))
    assert floor.do(good) and floor.do(good) == []


@pytest.mark.parametrize(("lots", "refused"), [("0.99", False), ("1", False), ("1.01", True)])
def test_working_orders_of_the_side_count_towards_the_caps(floor: Floor, lots: str, refused: bool) -> None:
    """P-18: one lot works already, the cap is two."""
    limits(floor, position_net_max_lots=D(2))
    assert ("P-18" in new(floor, lots=lots, limit_price="1.09400")) is refused


@pytest.mark.parametrize(("lots", "refused"), [("1.99", False), ("2", False), ("2.01", True)])
def test_an_amendment_counts_once_towards_the_caps(floor: Floor, lots: str, refused: bool) -> None:
    """P-18 on REPLACE."""
    limits(floor, position_net_max_lots=D(2))
    assert (replace(floor, lots) == "P-18") is refused


def test_an_order_beyond_what_others_already_close_is_no_reduction_unless_it_says_so(floor: Floor) -> None:
    """P-01: of two sales that wait one could open; what only reduces is dealt no more of than there is."""
    floor.place("b2", Side.BUY, "1")
    floor.place("b2", Side.SELL, "0.6", limit_price="1.10500")
    state(floor, "account", "b2", TradingState.REDUCING)
    assert new(floor, "b2", "0.41", Side.SELL) == {"P-01"}
    assert new(floor, "b2", "0.5", Side.SELL, reduce_only=True) == set()


def test_waiting_exits_do_not_stand_in_the_way_of_a_close(floor: Floor) -> None:
    floor.place("b2", Side.BUY, "1", take_profit=D("1.10500"), stop_loss=D("1.09500"))
    state(floor, "account", "b2", TradingState.REDUCING)
    assert new(floor, "b2", "1", Side.SELL) == set()
    assert floor.desk.state.open_orders["b2"] == set()


@pytest.mark.parametrize(("executions_max", "refused"), [(3, False), (2, True)])
def test_the_throttle_latches_until_a_person_opens_it(floor: Floor, executions_max: int, refused: bool) -> None:
    """P-15."""
    limits(floor, executions_max=executions_max)
    assert new(floor) | new(floor) == set()
    events = floor.place("b1", Side.BUY, "1")
    assert bool(only(events, ev.ThrottleLatched)) is refused
    if not refused:
        return
    floor.now_us += 10 * MINUTE_US
    floor.quotes()
    assert new(floor) == {"P-15"} and replace(floor) == "P-15"
    assert only(floor.place("b1", Side.BUY, "1"), ev.ThrottleLatched) == []
    no_reason = cmd.ReleaseThrottle(account_id="b1", by="ann", reason="")
    assert floor.do(no_reason)[0].code == "REASON_MISSING"  # type: ignore[union-attr]
    release = cmd.ReleaseThrottle(account_id="b1", by="ann", reason="the client's loop is fixed")
    assert names(floor.do(release)) == ["ThrottleReleased"]
    assert floor.do(release)[0].code == "NOT_THROTTLED"  # type: ignore[union-attr]
    assert new(floor) == set()


def grant(floor: Floor, order_id: str, **changes: Any) -> Any:
    asked: dict[str, Any] = {
        "order_id": order_id,
        "codes": frozenset({"P-07"}),
        "reason": "the client called",
        "requested_by": "ann",
        "authorised_by": "ben",
        "expires_at_us": floor.now_us + 30 * MINUTE_US,
    }
    return floor.do(cmd.GrantOverride(**(asked | changes)))[0]


def test_an_override_lets_one_denied_order_through_once(floor: Floor) -> None:
    """P-26 on NEW."""
    limits(floor)
    group = msgspec.structs.replace(floor.desk.state.groups["b"], order_notional_max=D(100_000), version=2)
    floor.do(cmd.ConfigureGroup(group=group))
    assert new(floor) == {"P-07"}
    assert isinstance(grant(floor, "O000000002"), ev.OverrideGranted)
    assert new(floor, lots="0.95") == {"P-07"}
    (accepted, *_) = floor.place("b1", Side.BUY, "1")
    signed = {check.code: check for check in accepted.verdict.checks}["P-07"]
    assert signed.passed and "overridden by ben" in signed.text
    assert new(floor) == {"P-07"} and floor.desk.state.overrides == {}


def test_an_override_ends_by_itself(floor: Floor) -> None:
    group = msgspec.structs.replace(floor.desk.state.groups["b"], order_notional_max=D(100_000), version=2)
    floor.do(cmd.ConfigureGroup(group=group))
    new(floor)
    grant(floor, "O000000002", expires_at_us=floor.now_us + MINUTE_US)
    floor.now_us += MINUTE_US
    floor.quotes()
    assert new(floor) == {"P-07", "P-26"}


def test_an_override_lets_one_amendment_through_once(floor: Floor) -> None:
    """P-26 on REPLACE."""
    group = msgspec.structs.replace(floor.desk.state.groups["b"], order_notional_max=D(115_000), version=2)
    floor.do(cmd.ConfigureGroup(group=group))
    assert replace(floor) == "P-07"
    grant(floor, "O000000001")
    assert replace(floor) == "" and replace(floor, "1.2") == "P-07"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"order_id": "O000000099"}, "ORDER_UNKNOWN"),
        ({"order_id": "O000000002"}, "ORDER_UNKNOWN"),
        ({"codes": frozenset()}, "NOT_OVERRIDABLE"),
        ({"codes": frozenset({"P-17"})}, "NOT_OVERRIDABLE"),
        ({"codes": frozenset({"P-25"})}, "NOT_OVERRIDABLE"),
        ({"authorised_by": "ann"}, "OVERRIDE_INVALID"),
        ({"authorised_by": ""}, "OVERRIDE_INVALID"),
        ({"reason": ""}, "OVERRIDE_INVALID"),
        ({"expires_at_us": 0}, "OVERRIDE_INVALID"),
        ({"expires_at_us": 9 * 10**18}, "OVERRIDE_INVALID"),
    ],
)
def test_an_override_needs_a_reason_a_second_person_and_an_end(
    floor: Floor, changes: dict[str, Any], code: str
) -> None:
    floor.place("b1", Side.BUY, "1")
    assert grant(floor, **({"order_id": "O000000001"} | changes)).code == code


@pytest.mark.parametrize(
    ("scope", "key", "cancelled"),
    [
        ("firm", "", 3),
        ("tenant", "", 3),
        ("group", "b", 2),
        ("account", "b1", 1),
        ("symbol", "EURUSD", 3),
        ("symbol", "GBPUSD", 0),
        ("venue", "LP1", 0),
    ],
)
def test_a_kill_cancels_what_works_in_its_scope(floor: Floor, scope: str, key: str, cancelled: int) -> None:
    """P-25."""
    floor.place("b2", Side.SELL, "1", limit_price="1.10500")
    floor.place("mixed1", Side.SELL, "1", limit_price="1.10600")
    floor.place("a1", Side.BUY, "1")
    events = state(floor, scope, key, TradingState.KILLED)
    assert len(only(events, ev.OrderCancelled)) == cancelled
    assert floor.order(4).routed == 1, "lots out at a venue are the venue's to answer for"


def test_nothing_passes_a_kill_and_its_working_orders_may_be_kept(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    assert names(state(floor, "account", "b1", TradingState.KILLED, cancel_working=False)) == ["TradingStateChanged"]
    assert {"P-01", "P-25"} <= new(floor, side=Side.SELL, lots="0.5") and replace(floor) == "P-25"
    assert names(floor.do(cmd.CancelOrder(order_id="O000000001", account_id="b1"))) == ["OrderCancelled"]


@pytest.mark.parametrize("stopped", [TradingState.HALTED, TradingState.KILLED])
def test_what_one_person_stopped_another_opens_again(floor: Floor, stopped: TradingState) -> None:
    """P-25: four eyes."""
    state(floor, "symbol", "EURUSD", stopped)
    for by in ("ann", ""):
        for to in (TradingState.ACTIVE, TradingState.REDUCING):
            assert state(floor, "symbol", "EURUSD", to, by=by)[0].code == "FOUR_EYES"  # type: ignore[union-attr]
    assert names(state(floor, "symbol", "EURUSD", TradingState.ACTIVE, by="ben")) == ["TradingStateChanged"]
    assert new(floor) == set()


def test_a_halt_may_be_made_a_kill_by_the_same_person_and_reducing_needs_no_second(floor: Floor) -> None:
    state(floor, "firm", "", TradingState.HALTED)
    assert names(state(floor, "firm", "", TradingState.KILLED))[0] == "TradingStateChanged"
    state(floor, "account", "b1", TradingState.REDUCING)
    assert names(state(floor, "account", "b1", TradingState.ACTIVE)) == ["TradingStateChanged"]
    assert state(floor, "planet", "", TradingState.ACTIVE)[0].code == "SCOPE_UNKNOWN"  # type: ignore[union-attr]


def test_orders_of_a_client_who_dropped_off_end_after_the_grace_but_exits_stay(floor: Floor) -> None:
    """P-29."""
    floor.place("b1", Side.BUY, "1", take_profit=D("1.10500"))
    gone = cmd.ReportConnection(account_id="b1", connected=False)
    assert names(floor.do(gone)) == ["ClientConnectionChanged"] and floor.do(gone) == []
    floor.now_us += 30 * SECOND_US - 1
    assert floor.act() == []
    floor.now_us += 1
    (ended,) = floor.act()
    assert isinstance(ended, ev.OrderCancelled) and ended.order_id == "O000000001" and "connection" in ended.reason
    assert floor.act() == [] and len(floor.desk.state.open_orders["b1"]) == 1


def test_a_client_who_comes_back_in_time_keeps_his_orders(floor: Floor) -> None:
    floor.do(cmd.ReportConnection(account_id="b1", connected=False))
    floor.now_us += 10 * SECOND_US
    floor.do(cmd.ReportConnection(account_id="b1", connected=True))
    floor.now_us += MINUTE_US
    assert floor.act() == [] and floor.order(1).leaves == 1
    nobody = cmd.ReportConnection(account_id="nobody", connected=False)
    assert floor.do(nobody)[0].code == "ACCOUNT_UNKNOWN"  # type: ignore[union-attr]


@pytest.mark.parametrize(("most", "refused"), [(D(120_450), False), (D("120449.99"), True)])
def test_an_amendment_gives_back_the_value_it_replaces(floor: Floor, most: D, refused: bool) -> None:
    """P-12 on REPLACE: 1.1 lots at 1.09500, of which one lot was counted already."""
    limits(floor, window_value_max=most)
    assert (replace(floor) == "P-12") is refused


def test_a_stop_of_a_netting_account_is_asked_as_any_order(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    assert new(floor, side=Side.SELL, type=OrderType.STOP, stop_price=D("1.09500")) == set()


@pytest.mark.parametrize(("later_us", "refused"), [(59_999_999, {"P-12"}), (60_000_000, set()), (60_000_001, set())])
def test_a_window_is_as_long_as_it_says_wherever_on_the_clock_it_begins(later_us: int, refused: set[str]) -> None:
    """P-12: two orders of 110,000 where 150,000 are let through in 60 s, the first at nine tenths of a second."""
    floor = Floor()
    limits(floor, window_value_max=D(150_000))
    floor.now_us += 900_000
    assert new(floor) == set()
    floor.now_us += later_us - 2 * SECOND_US
    assert new(floor, lots="1.01") == refused
