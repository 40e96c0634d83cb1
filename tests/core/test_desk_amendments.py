"""REPLACE through the desk: an amendment is held against every control, recorded, and counted as a new order is."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import Side
from piggy.core.recollection import recollected
from piggy.core.risk import GATE_BUILD, terms_hash
from tests.core.floor import SECOND_US, Floor, names, only

FIRST = "O000000001"


@pytest.fixture
def floor() -> Floor:
    """One lot of b1 rests at 1.09500."""
    made = Floor()
    made.place("b1", Side.BUY, "1", limit_price="1.09500")
    made.now_us += 2 * SECOND_US
    made.requote()
    return made


def amend(floor: Floor, **changes: Any) -> list[ev.AnyEvent]:
    return floor.do(cmd.AmendOrder(order_id=FIRST, account_id="b1", **changes))


def limits(floor: Floor, **changes: Any) -> None:
    floor.do(cmd.ConfigureLimits(group="b", limits=msgspec.structs.replace(HOUSE_LIMITS, **changes)))


def codes(events: list[ev.AnyEvent]) -> list[str]:
    """Return the codes of every reason that a change was refused for."""
    return [check.code for denied in only(events, ev.AmendmentDenied) for check in denied.verdict.reasons]


def test_a_change_carries_the_verdict_on_exactly_the_terms_it_leads_to(floor: Floor) -> None:
    """INV-15 on REPLACE."""
    (amended,) = amend(floor, quantity=D("1.1"), limit_price=D("1.09400"))
    order = floor.order(1)
    assert amended.verdict.passed and amended.verdict.terms_hash == terms_hash(terms=order.terms)
    assert (amended.verdict.order_id, amended.verdict.at_us) == (FIRST, floor.now_us)
    assert amended.verdict.build == GATE_BUILD and len(amended.verdict.checks) > 20


def test_a_change_that_is_refused_is_recorded_with_every_reason_and_changes_nothing(floor: Floor) -> None:
    limits(floor, order_volume_max_lots=D(1), position_net_max_lots=D(1))
    events = amend(floor, quantity=D(2))
    assert names(events) == ["CommandRefused", "AmendmentDenied"]
    refused, denied = events
    assert refused.reasons == denied.verdict.reasons
    assert codes(events) == ["P-08", "P-18"] and refused.code == "P-08"
    assert refused.text == "the order volume is too large; the net position is too large"
    assert denied.verdict.terms_hash == terms_hash(terms=denied.terms) and denied.terms.quantity == 2
    assert floor.order(1).quantity == 1
    told = floor.desk.answer_of(command_id=floor.log[-1].command_id)
    assert told.refused == refused and told.order is None, "the same as the log will say of it long after"
    mine = [each for each in floor.log if each.command_id == floor.log[-1].command_id]
    assert recollected(recorded=mine, request_hash="", state=floor.desk.state).refused == refused


@pytest.mark.parametrize("whose", ["account", "tenant"])
def test_changes_count_as_messages_also_those_that_are_refused(floor: Floor, whose: str) -> None:
    """P-14 on REPLACE: the first is one message, the refused second another, so a third is one too many."""
    limits(floor, **{f"{whose}_messages_per_s_max": 2, "order_volume_max_lots": D(5)})
    assert codes(amend(floor, quantity=D("1.1"))) == []
    assert codes(amend(floor, quantity=D(6))) == ["P-08"]
    assert codes(amend(floor, quantity=D("1.2"))) == ["P-14"]
    assert names(floor.do(cmd.CancelOrder(order_id=FIRST, account_id="b1"))) == ["OrderCancelled"], "cancels are exempt"


def test_a_post_only_change_that_would_take_counts_too(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1", limit_price="1.09400", post_only=True)
    limits(floor, account_messages_per_s_max=2)
    taking = cmd.AmendOrder(order_id="O000000002", account_id="b1", limit_price=D("1.10200"))
    events = floor.do(taking)
    assert names(events) == ["CommandRefused", "AmendmentDenied"] and events[0].code == "POST_ONLY"  # type: ignore[union-attr]
    assert codes(floor.do(taking)) == ["P-14"], "the order itself came in this second"


@pytest.mark.parametrize(("most", "refused"), [(D(219_000), False), (D("218999.99"), True)])
def test_what_changes_add_counts_for_the_next_order(floor: Floor, most: D, refused: bool) -> None:
    """P-12: a lot that was ordered, half a lot that was added, half a lot more; taking less gives nothing back."""
    amend(floor, quantity=D("1.5"))
    amend(floor, quantity=D("1.2"))
    limits(floor, window_value_max=most)
    event = floor.place("b1", Side.BUY, "0.5", limit_price="1.09500")[0]
    found = [check.code for check in event.verdict.reasons]  # type: ignore[union-attr]
    assert found == (["P-12"] if refused else [])


def test_changes_that_are_refused_are_a_storm_and_one_that_passes_ends_it(floor: Floor) -> None:
    """P-16 on REPLACE."""
    limits(floor, rejects_consecutive_max=1, order_volume_max_lots=D(5))
    assert codes(amend(floor, quantity=D(6))) == ["P-08"] and codes(amend(floor, quantity=D("1.1"))) == []
    assert codes(amend(floor, quantity=D(6))) == codes(amend(floor, quantity=D(7))) == ["P-08"]
    assert codes(amend(floor, quantity=D("1.2"))) == ["P-16"]
    assert floor.desk.state.activity["b1"].rejects_in_a_row == 2, "what the storm refuses does not feed it"


def test_a_change_into_another_order_of_a_moment_ago_is_a_duplicate(floor: Floor) -> None:
    """P-13 on REPLACE; back to what the order itself was is none."""
    floor.do(cmd.PlaceOrder(terms=msgspec.structs.replace(floor.order(1).terms, quantity=D("1.3"))))
    assert codes(amend(floor, quantity=D("1.3"))) == ["P-13"]
    floor.now_us += SECOND_US - 1
    assert codes(amend(floor, quantity=D("1.3"))) == ["P-13"]
    floor.now_us += 1
    assert codes(amend(floor, quantity=D("1.3"))) == []
    assert codes(amend(floor, quantity=D("1.3"))) == []


def test_an_order_like_a_changed_one_is_a_duplicate(floor: Floor) -> None:
    """P-13 on NEW."""
    amend(floor, quantity=D("1.3"))
    (event, *_) = floor.do(cmd.PlaceOrder(terms=floor.order(1).terms))
    assert [check.code for check in event.verdict.reasons] == ["P-13"]  # type: ignore[union-attr]


def test_a_change_that_runs_into_the_throttle_latches_it(floor: Floor) -> None:
    """P-15 on REPLACE."""
    limits(floor, executions_max=1)
    floor.place("b1", Side.BUY, "1")
    floor.now_us += 2 * SECOND_US
    floor.requote()
    events = amend(floor, quantity=D("1.1"))
    assert names(events) == ["CommandRefused", "AmendmentDenied", "ThrottleLatched"]


def test_what_an_order_dealt_already_does_not_stand_in_its_own_way(floor: Floor) -> None:
    """P-01 while only reducing: 0.6 of a lot was sold by an order for 1.5 on 2 lots; 1.4 are left to sell."""
    floor.place("b2", Side.BUY, "2")
    floor.place("b2", Side.SELL, "1.5", limit_price="1.10012")
    floor.place("mixed1", Side.BUY, "0.6", limit_price="1.10012")
    order = next(each for each in floor.desk.state.orders.values() if each.quantity == D("1.5"))
    assert order.filled == D("0.6") and floor.desk.state.positions["b2:EURUSD"].lots == D("1.4")
    floor.do(cmd.SetTradingState(scope="account", key="b2", state=TradingState.REDUCING, reason="drill", by="ann"))
    too_much = cmd.AmendOrder(order_id=order.order_id, account_id="b2", quantity=D("2.01"))
    assert codes(floor.do(too_much)) == ["P-01"]
    assert codes(floor.do(msgspec.structs.replace(too_much, quantity=D(2)))) == []


@pytest.mark.parametrize("name", ["quantity", "limit_price", "stop_price"])
@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "1E+999999"])
def test_what_is_no_number_is_refused(floor: Floor, name: str, number: str) -> None:
    assert "P-06" in codes(amend(floor, **{name: D(number)}))
    assert floor.order(1).quantity == 1 and floor.order(1).terms.limit_price == D("1.09500")


def reserved(floor: Floor) -> D:
    return floor.desk.state.reserved["b1"]


def test_an_amended_order_binds_the_margin_of_its_new_terms(floor: Floor) -> None:
    """P-17: 3.33 % of the new price and lots, less is less, and a lot of it still binds its share."""
    assert reserved(floor) == D("3646.35")
    for changes, margin in (
        ({"limit_price": D("1.09900")}, "3659.67"),
        ({"quantity": D(2)}, "7319.34"),
        ({"quantity": D("0.5"), "limit_price": D("1.09000")}, "1814.85"),
    ):
        (amended,) = amend(floor, **changes)
        assert reserved(floor) == amended.margin_reserved == D(margin)
        floor.now_us += 2 * SECOND_US
        floor.requote()
    floor.do(cmd.CancelOrder(order_id=FIRST, account_id="b1"))
    assert reserved(floor) == 0


def test_what_closed_and_is_made_larger_binds_what_it_opens(floor: Floor) -> None:
    """Else a client binds nothing with an order to close one lot, makes it ten, and deals with the money again."""
    floor.do(cmd.CancelOrder(order_id=FIRST, account_id="b1"))
    floor.place("b1", Side.BUY, "1")
    floor.place("b1", Side.SELL, "1", limit_price="1.10500")
    assert reserved(floor) == 0
    floor.now_us += 2 * SECOND_US
    floor.requote()
    floor.do(cmd.AmendOrder(order_id="O000000003", account_id="b1", quantity=D(5)))
    assert reserved(floor) == 3 * D("3679.65"), "short four lots instead of long one, each at its price"
