"""What a dealer does about a client's positions: what reaches the core, and how what became of it is told."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from msgspec import structs

from apps.dealing.services import acting
from apps.tenants.services import in_tenant
from apps.trading.models import Position
from piggy.core.commands import ClosePositions, Envelope, SetExits
from piggy.core.events import Check
from piggy.core.orders import OrderState
from piggy.core.position_commands import Which
from piggy.core.position_events import ON_ITS_WAY, PositionClose, PositionsClosed
from tests.apps.dealing.test_actions import BODIES
from tests.apps.dealing.test_actions import dora as dora
from tests.apps.dealing.test_actions import floor as floor

WHY = (Check(code="P-05", passed=False, text="the market is closed"),)


def closed(count: int, kept: int, *, left: int = 0) -> PositionsClosed:
    done = [
        PositionClose(position_id=f"P{each}", symbol="EURUSD", order_id="O1", lots=D(1), state=OrderState.FILLED)
        for each in range(count)
    ]
    stays = [PositionClose(position_id=f"K{each}", symbol="GBPUSD", reasons=WHY) for each in range(kept)]
    return PositionsClosed(
        account_id="A1", symbol="", which=Which.ALL, by="dora", reason="risk", closes=(*done, *stays), left=left
    )


def test_the_core_hears_who_closes_what_and_why(dora: Any, floor: list[Envelope]) -> None:
    assert dora.act("close-all", **BODIES["close-all"]).status_code == 200
    (heard,) = (envelope.command for envelope in floor if envelope.reply_to)
    assert heard == ClosePositions(
        account_id="A1", symbol="EURUSD", which=Which.LOSING, by="dora", reason="because of the news"
    )


@pytest.mark.parametrize(
    ("told", "state", "text"),
    [
        (closed(2, 0), "done", "2 of 2 positions closed or on their way"),
        (closed(0, 0), "done", "nothing to close"),
        (closed(1, 1), "done", "1 of 2 positions closed or on their way; K0 GBPUSD: the market is closed"),
        (closed(0, 1), "refused", "0 of 1 positions closed or on their way; K0 GBPUSD: the market is closed"),
        (closed(1, 0, left=3), "done", "1 of 1 positions closed or on their way; 3 are left: ask again"),
    ],
)
def test_what_stays_open_is_told_with_why(told: PositionsClosed, state: str, text: str) -> None:
    assert acting._of_closes(told) == (state, text)


def test_what_was_closed_in_part_is_no_refusal_and_says_how_much() -> None:
    part = PositionClose(
        position_id="P1", symbol="EURUSD", order_id="O1", lots=D("2.00"), filled=D("0.50"), average_price=D("1.1"),
        state=OrderState.CANCELLED, reasons=(Check(code="CANCELLED", passed=False, text="nobody deals the rest"),),
    )  # fmt: skip
    told = structs.replace(closed(0, 0), closes=(part,))
    text = "0 of 1 positions closed or on their way; P1 EURUSD: 0.5 of 2 lots closed, then nobody deals the rest"
    assert acting._of_closes(told) == ("done", text)


def test_what_is_on_its_way_out_already_is_told_as_that_and_as_no_refusal() -> None:
    """A second press finds nothing left to send, and nothing went wrong."""
    why = (Check(code=ON_ITS_WAY, passed=False, text="orders have all of it on its way out already"),)
    told = structs.replace(closed(0, 0), closes=(PositionClose(position_id="P1", symbol="EURUSD", reasons=why),))
    assert acting._of_closes(told) == ("done", "1 of 1 positions closed or on their way")


def test_of_many_that_stay_the_first_are_told_and_how_many_more() -> None:
    _, text = acting._of_closes(closed(0, acting.KEPT_TOLD + 2))
    assert text.count("the market is closed") == acting.KEPT_TOLD and text.endswith("and 2 more")


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        ({"stop_loss": "1.05", "take_profit": None}, {"stop_loss": D("1.05")}),
        (
            {"trailing_distance": "0.005", "no_take_profit": True},
            {"trailing_distance": D("0.005"), "take_profit": None},
        ),
        ({"no_stop_loss": True}, {"stop_loss": None}),
        ({"guaranteed_stop": "true"}, {"guaranteed_stop": True}),
        ({"guaranteed_stop": "false", "stop_loss": "1.05"}, {"guaranteed_stop": False, "stop_loss": D("1.05")}),
    ],
)
def test_exits_reach_the_core_as_they_were_given(
    dora: Any, floor: list[Envelope], sent: dict[str, Any], heard: dict[str, Any]
) -> None:
    body = {"position_id": "A1:EURUSD", "confirm": "exits A1:EURUSD"} | sent
    assert dora.act("set-exits", **body).status_code == 200
    (command,) = (envelope.command for envelope in floor if envelope.reply_to)
    assert command == SetExits(account_id="A1", position_id="A1:EURUSD", **heard)


def test_inv_02_exits_asked_for_again_hear_the_first_outcome_though_the_position_is_gone(dora: Any) -> None:
    first = dora.act("set-exits", once="k1", **BODIES["set-exits"])
    with in_tenant("acorn"):
        Position.objects.update(quantity=0)
    again = dora.act("set-exits", once="k1", **BODIES["set-exits"])
    assert (again.status_code, again.json()) == (200, first.json() | {"repeated": True}), again.content
    assert dora.act("set-exits", once="k2", **BODIES["set-exits"]).json()["code"] == "POSITION_UNKNOWN"
