"""What ended leaves the state and is missed by nobody: a desk that keeps everything is its twin."""

from __future__ import annotations

import dataclasses
import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.bust_commands import BustFills
from piggy.core.desk import Desk
from piggy.core.leaving import Keeping, due, has_left, missed
from piggy.core.leaving_folding import TIMES_MAX, left_by, left_of
from piggy.core.orders import OrderState, Side
from piggy.core.positions import Fill
from piggy.core.state import Order
from piggy.engine.snapshot import Held, digest, live_of, parts_of, restored
from tests.core.floor import SECOND_US, Floor, names, only
from tests.core.forgetful import ForgetfulFloor, small_blocks
from tests.core.hedging_floor import policy
from tests.core.leaving_twin import ACCOUNTS, Pair, act, of

D = Decimal
# What a desk that lets go holds otherwise: what it let go, where events are in its own log, and how it keeps count.
KEEPS = {"orders", "hedges", "children", "venue_fills", "busted", "stragglers", "ended_late", "blocks_gone", "seq"}
KEEPS |= {"grown_at_seq", "activity", "resting"}
OWN = {"seq", "trail", "touched_at_us", "times_gone", "client_seq", "dealt"}


@pytest.fixture(autouse=True)
def blocks_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch)


def plain(value: Any) -> Any:
    """What a state holds, without what is of one log alone."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = (field.name for field in dataclasses.fields(value) if field.name not in OWN)
        return {name: plain(getattr(value, name)) for name in shown}
    if isinstance(value, list):
        return [msgspec.structs.replace(each, seq=0) if isinstance(each, Fill) else each for each in value]
    return {key: plain(each) for key, each in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("seed", range(6))
def test_inv_04_a_desk_that_lets_go_says_and_does_what_one_that_keeps_everything_does(seed: int) -> None:
    """INV-04, INV-05, INV-08, INV-23; F-12, F-13, F-15: late fills, repeats, busts and corrections of what left."""
    pair = Pair(seed=seed)
    for _ in range(400):
        pair.step()
    kept, let_go = pair.keeps.desk.state, pair.lets_go.desk.state
    assert len(let_go.orders) < len(kept.orders) * 2 / 3, "many have left"
    assert pair.lets_go.returns > 5, "some came back"
    for field in dataclasses.fields(kept):
        if field.name not in KEEPS:
            assert plain(getattr(let_go, field.name)) == plain(getattr(kept, field.name)), field.name
    for name in [name for name in kept.orders | kept.hedges if has_left(state=let_go, order_id=name)]:
        pair.lets_go.bring_back(name)
    for field_name in ("orders", "hedges", "children", "venue_fills", "busted"):
        assert plain(getattr(let_go, field_name)) == plain(getattr(kept, field_name)), field_name
    again = Desk(tenant="acorn")
    for recorded in pair.lets_go.log:
        again.apply(recorded=recorded)
    assert digest(state=again.state) == digest(state=let_go), "what its own log makes of it"


@pytest.mark.parametrize("seed", range(3))
def test_inv_08_snapshots_of_a_desk_that_lets_go_name_no_segment_of_what_left(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("piggy.engine.snapshot.FINAL_KEPT", 2)
    monkeypatch.setattr("piggy.engine.snapshot.SEGMENT_ENTRIES", 5)
    monkeypatch.setattr("piggy.engine.snapshot.ANSWERS_KEPT", 5)
    monkeypatch.setattr("piggy.core.forgotten.IDS_EACH", (64,))
    pair = Pair(seed=seed + 100)
    for _ in range(250):
        pair.step()
    log, chance = pair.lets_go.log, random.Random(seed)
    bodies: dict[Any, bytes] = {}
    desk, held, before = Desk(tenant="acorn"), Held(), 0
    for cut in [*sorted(chance.sample(range(1, len(log)), 8)), len(log)]:
        for recorded in log[before:cut]:
            desk.apply(recorded=recorded)
        parts = parts_of(desk=desk, held=held, seq=cut)
        live = live_of(body=parts.live)
        bodies |= dict(zip(live.segments[len(held.segments) :], parts.segments, strict=True))
        desk, held = restored(live=live, segments=[bodies[name] for name in live.segments])
        before = cut
    assert digest(state=desk.state) == digest(state=pair.lets_go.desk.state)
    assert len(held.segments) < len(bodies) * 2 / 3, "segments of what left are not named any more"
    ids = {recorded.command_id for recorded in log}
    known = (desk.perhaps_forgotten(command_id=each) or desk.answer(command_id=each, request_hash="") for each in ids)
    assert held.filters > 1 and all(known)


def ended(floor: Floor, count: int) -> None:
    for _ in range(count):
        floor.place("b1", Side.BUY, "0.10")


def test_orders_leave_in_blocks_once_they_ended_and_what_lives_stays_behind() -> None:
    floor = ForgetfulFloor()
    floor.place("b1", Side.BUY, "0.10", limit_price="1.09900")
    ended(floor, 4)
    floor.now_us += 30 * SECOND_US
    floor.do(cmd.CreditAccount(account_id="b1", amount=D(1), reference="a"))
    state = floor.desk.state
    assert (sorted(state.orders), state.stragglers) == (["O000000001", "O000000005"], {"O000000001"})
    floor.do(cmd.CancelOrder(order_id="O000000001", account_id="b1", reason="client"))
    assert "O000000001" in state.orders, "it has only just ended"
    floor.now_us += 30 * SECOND_US
    floor.do(cmd.CreditAccount(account_id="b1", amount=D(1), reference="b"))
    assert (sorted(state.orders), state.stragglers, state.ended_late) == (["O000000005"], set(), {})


def test_nobody_waits_long_for_room_beyond_the_most_that_may_be_kept() -> None:
    floor = ForgetfulFloor()
    floor.desk.keeping = Keeping(ended_us=10**12, orders_max=6, round_max=2)
    ended(floor, 40)
    assert len(floor.desk.state.orders) <= 6 + 4 + 4


def test_nothing_in_a_state_grows_with_its_orders_day_after_day() -> None:
    floor, sizes = ForgetfulFloor(), list[dict[str, int]]()
    floor.do(cmd.ConfigureHedging(policy=policy()))
    for number in range(432):
        floor.now_us += 600 * SECOND_US
        floor.requote()
        group = {"oco_group": f"pair {number // 2}", "limit_price": "1.09950"} if number % 4 > 1 else {}
        floor.place(ACCOUNTS[number // 2 % 4], list(Side)[number % 2], "0.50", **group)
        for leg in floor.children():
            floor.fill(leg, str(leg.limit_price))
        act(floor)
        if number % 144 == 143:
            state = floor.desk.state
            sized = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
            sizes.append({name: len(each) for name, each in sized.items() if hasattr(each, "__len__")})
    assert floor.desk.state.order_count == 432
    assert sizes[2]["orders"] < 100, "what waits for its price"
    grown = {name for name, size in sizes[2].items() if size > sizes[1][name] + 2}
    assert grown <= {"suspended"}, [(name, sizes[1][name], sizes[2][name]) for name in grown]


def test_a_hedge_leaves_once_its_policy_has_a_later_one() -> None:
    floor = ForgetfulFloor()
    floor.do(cmd.ConfigureHedging(policy=policy()))
    for side in (Side.BUY, Side.SELL, Side.BUY):
        for _ in range(2):
            floor.now_us += 120 * SECOND_US
            floor.quotes()
            floor.place("b1", side, "4")
            act(floor)
            for leg in floor.children():
                floor.fill(leg, str(leg.limit_price))
    state = floor.desk.state
    assert state.hedge_count > len(state.hedges) >= 1
    assert state.last_hedges["EURUSD"] in state.hedges
    assert has_left(state=state, order_id="H000000001")
    assert f"H{state.hedge_count:09d}" == state.last_hedges["EURUSD"]


def test_a_cancel_or_change_of_what_left_hears_that_it_has_ended() -> None:
    floor = left_behind()
    order = {"order_id": "O000000001", "account_id": "b1"}
    (cancel,) = only(floor.do(cmd.CancelOrder(reason="", **order)), ev.CommandRefused)
    (change,) = only(floor.do(cmd.AmendOrder(quantity=D(1), **order)), ev.CommandRefused)
    (unknown,) = only(floor.do(cmd.CancelOrder(reason="", **order | {"order_id": "O000000777"})), ev.CommandRefused)
    assert (cancel.code, change.code, unknown.code) == ("ORDER_NOT_OPEN", "ORDER_NOT_AMENDABLE", "ORDER_UNKNOWN")


def left_behind() -> ForgetfulFloor:
    floor = ForgetfulFloor()
    ended(floor, 4)
    floor.now_us += 60 * SECOND_US
    floor.let_go()
    assert has_left(state=floor.desk.state, order_id="O000000001")
    return floor


@pytest.mark.parametrize(
    "name", ["", "O", "O1", "X000000001", "O000000005", "O00000000x", "O" + "9" * 5_000, "H000000001"]
)
def test_what_never_was_has_not_left(name: str) -> None:
    assert not has_left(state=left_behind().desk.state, order_id=name)


def test_what_comes_and_goes_too_often_stays() -> None:
    floor = left_behind()
    for _ in range(TIMES_MAX):
        floor.bring_back("O000000001")
        floor.now_us += 60 * SECOND_US
        floor.let_go()
        floor.now_us += 60 * SECOND_US
        floor.do(BustFills(fills=(of(floor, "O000000002-1"),), reason="again", by="dora"))
        floor.now_us += 60 * SECOND_US
        floor.let_go()
    assert floor.order(1).times_gone == TIMES_MAX


def test_letting_go_is_decided_once_and_bringing_back_only_of_what_left() -> None:
    floor = left_behind()
    assert floor.do(cmd.LetOrdersGo(block=0, before_us=floor.now_us)) == []
    assert floor.do(cmd.LetOrdersGo(block=1, before_us=floor.now_us)) == [], "it has no four orders yet"
    assert floor.do(cmd.LetOrderGo(order_id="O000000001", times=0)) == []
    floor.bring_back("O000000001")
    assert floor.do(cmd.LetOrderGo(order_id="O000000001", times=0)) == [], "that was the last time"
    body = left_by(state=floor.desk.state, order_id="O000000001")
    assert Floor.do(floor, cmd.BringOrderBack(order_id="O000000001", body=body)) == []


def test_an_event_of_what_nobody_knows_leaves_no_trail() -> None:
    floor = left_behind()
    assert missed(state=floor.desk.state, command=cmd.ActOnTime()) == ()
    assert due(state=Floor().desk.state, now_us=0, keeping=Keeping()) == ()


def test_an_order_brought_back_is_the_order_that_left() -> None:
    floor = ForgetfulFloor()
    events = floor.place("a1", Side.BUY, "1")
    (leg,) = only(events, ev.ChildOrderCreated)
    floor.fill(leg, "1.1001", fill_id="X1")
    before = left_of(body=left_by(state=floor.desk.state, order_id="O000000001"))
    ended(floor, 3)
    floor.now_us += 60 * SECOND_US
    floor.let_go()
    assert not floor.desk.state.children and not floor.desk.state.venue_fills
    floor.bring_back("O000000001")
    order: Order = floor.order(1)
    assert (order.state, order.times_gone, order.legs) == (OrderState.FILLED, 1, (leg.cl_ord_id,))
    assert floor.desk.state.venue_fills == {("LP1", "X1")}
    after = left_of(body=left_by(state=floor.desk.state, order_id="O000000001"))
    assert after.order is not None and before.order is not None
    after.order.times_gone, after.order.trail, after.order.touched_at_us = 0, before.order.trail, 0
    before.order.touched_at_us = 0
    assert after == before
    assert "OrderBroughtBack" in names([recorded.event for recorded in floor.log])
