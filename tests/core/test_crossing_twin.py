"""The desk's internal crossing against the compiled book: the same commands give the same fills and the same queues.

CROSSING_SEEDS sets how many streams of 60 commands are tried (default 40; thousands in the long run).
"""

from __future__ import annotations

import os
import random
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account
from piggy.core.book import Book
from piggy.core.booktypes import SIDES, STP_MODES, Flag, Kind, Reason
from piggy.core.desk import Desk
from piggy.core.instruments import AssetClass
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderTerms, OrderType, SelfTradePrevention, Side, TimeInForce
from tests.core.floor import CLEARED, SECOND_US, Floor, canonical, only

SEEDS, COMMANDS = int(os.environ.get("CROSSING_SEEDS", "40")), 60
OWNERS = {"b1": 1, "b2": 2, "bis": 1, "mixed1": 3}
FAR = {AssetClass.FX_MAJOR: D(1_000)}
Fill = tuple[int, int, int, int]

PRICES, LOTS = (110_000, 110_006), (1, 12)
KINDS = ("plain", "plain", "iceberg", "iceberg", "aon", "post", "ioc", "fok", "minimum")


class Pair:
    """A desk whose street is far away, and a book; both hear the same."""

    def __init__(self) -> None:
        self.floor, self.book = Floor(), Book()
        self.floor.open_account("bis", group="b")
        self.floor.do(
            cmd.ConfigureAccount(
                account=Account(account_id="bis", group="b", owner_id="b1", currency="USD"), clearance=CLEARED
            )
        )
        for number, account_id in enumerate(OWNERS):
            money = cmd.CreditAccount(account_id=account_id, amount=D(10_000_000), reference=f"more {number}")
            self.floor.do(money)
        loose = msgspec.structs.replace(
            HOUSE_LIMITS, collar_percent=FAR, window_value_max=D(10**9), executions_max=10**6,
            rejects_consecutive_max=10**6, rejects_percent_max=D(100), price_age_ms_max=10**9, collar_age_ms_max=10**9,
        )  # fmt: skip
        for group in ("b", "mixed"):
            self.floor.do(cmd.ConfigureLimits(group=group, limits=loose))
        for venue in ("LP1", "LP2", "LP3"):
            self.floor.desk.market.withdraw(venue=venue)
            for _ in range(5):
                self.floor.quote(venue, "0.90000", "1.30000", size="5000")

    def place(self, asked: dict[str, Any]) -> None:
        order_id = self.floor.desk.state.order_count + 1
        terms, flags, more = _terms(asked)
        self.floor.now_us += SECOND_US
        events = self.floor.do(cmd.PlaceOrder(terms=terms))
        told = self.book.submit(
            order_id=order_id, side=SIDES[terms.side], price=asked["price"], qty=asked["lots"], flags=flags,
            owner=OWNERS[terms.account_id], stp=STP_MODES[terms.stp], **more,
        )  # fmt: skip
        if isinstance(events[0], ev.OrderDenied):
            assert [check.code for check in events[0].verdict.reasons] == ["P-22"], events[0].verdict.reasons
            assert told[0][0] in (Kind.CANCELLED, Kind.REJECTED), told
            assert told[0][5] in (Reason.SELF_TRADE, Reason.FILL_OR_KILL, Reason.MINIMUM, Reason.POST_ONLY), told
        self.compare(events, told)

    def change(self, what: str, number: int, price: int, lots: int) -> None:
        order = self.floor.desk.state.orders.get(f"O{number:09d}")
        if order is None or order.state.final:
            return
        self.floor.now_us += SECOND_US
        account_id = order.terms.account_id
        if what == "cancel":
            events = self.floor.do(cmd.CancelOrder(order_id=order.order_id, account_id=account_id))
            self.compare(events, self.book.cancel(order_id=number))
            return
        if (order.terms.display_quantity or order.terms.minimum_quantity or D(0)) * 100 > lots:
            return  # The gate's to refuse; the book knows no such rule on a change.
        total = order.filled + D(lots) / 100
        command = cmd.AmendOrder(
            order_id=order.order_id, account_id=account_id, quantity=total, limit_price=D(price) / 100_000
        )
        events = self.floor.do(command)
        if isinstance(events[0], ev.CommandRefused) and events[0].code == "P-22":
            walked = self.book.walk(
                side=SIDES[order.terms.side], price=price, qty=lots, owner=OWNERS[account_id], stp=0,
                flags=Flag.ALL_OR_NONE if order.terms.all_or_none else 0,
            )  # fmt: skip
            assert order.terms.all_or_none or (walked[0][0], walked[0][5]) == (Kind.CANCELLED, Reason.SELF_TRADE)
            return
        told = self.book.amend(order_id=number, price=price, qty=lots)
        if isinstance(events[0], ev.CommandRefused):
            assert (events[0].code, told[0][5]) == ("POST_ONLY", Reason.POST_ONLY)
        self.compare(events, told)

    def compare(self, events: list[ev.AnyEvent], told: list[Any]) -> None:
        fills = [
            (
                _number(fill.counterparty),
                _number(fill.order_id),
                round(fill.price * 100_000),
                round(fill.quantity * 100),
            )
            for fill in only(events, ev.OrderFilled)
            if fill.maker
        ]
        assert fills == [(e[1], e[2], e[3], e[4]) for e in told if e[0] == Kind.FILLED]
        state = self.floor.desk.state
        for side in Side:
            mine = []
            for order_id, price in state.resting["EURUSD"].best_first(side=side):
                order = state.orders[order_id]
                shown = order.leaves if order.terms.display_quantity is None else min(order.shown, order.leaves)
                mine.append((_number(order_id), round(price * 100_000), round(shown * 100), round(order.leaves * 100)))
            assert mine == [row[:4] for row in self.book.queue(side=SIDES[side])], (events, told)


def _number(order_id: str) -> int:
    return int(order_id[1:])


def _terms(asked: dict[str, Any]) -> tuple[OrderTerms, int, dict[str, int]]:
    """Return the same order for the desk and for the book."""
    kind, part = asked["kind"], min(asked["part"], asked["lots"])
    terms = OrderTerms(
        account_id=asked["account_id"], symbol="EURUSD", side=asked["side"], quantity=D(asked["lots"]) / 100,
        type=OrderType.LIMIT, limit_price=D(asked["price"]) / 100_000, stp=asked["stp"],
    )  # fmt: skip
    changed: dict[str, tuple[dict[str, Any], int, dict[str, int]]] = {
        "plain": ({}, 0, {}),
        "iceberg": ({"display_quantity": D(part) / 100}, 0, {"display": part}),
        "aon": ({"all_or_none": True}, Flag.ALL_OR_NONE, {}),
        "post": ({"post_only": True}, Flag.POST_ONLY, {}),
        "ioc": ({"time_in_force": TimeInForce.IOC}, Flag.IOC, {}),
        "fok": ({"time_in_force": TimeInForce.FOK}, Flag.FOK, {}),
        "minimum": ({"time_in_force": TimeInForce.IOC, "minimum_quantity": D(part) / 100}, Flag.IOC, {"minimum": part}),
    }
    more, flags, numbers = changed[kind]
    return msgspec.structs.replace(terms, **more), flags, numbers


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_desk_and_the_compiled_book_cross_alike(seed: int) -> None:
    """Priority, icebergs, minimum, all-or-none, post-only, amendments and the four modes of self-trade prevention."""
    pair, chance = Pair(), random.Random(seed)
    for _ in range(COMMANDS):
        if chance.random() < 0.75:
            pair.place(
                {
                    "account_id": chance.choice(sorted(OWNERS)),
                    "side": chance.choice(list(Side)),
                    "price": chance.randint(*PRICES),
                    "lots": chance.randint(*LOTS),
                    "stp": chance.choice(list(SelfTradePrevention)),
                    "kind": chance.choice(KINDS),
                    "part": chance.randint(*LOTS),
                }
            )
        else:
            what, number = chance.choice(("cancel", "amend")), chance.randint(1, COMMANDS)
            pair.change(what, number, chance.randint(*PRICES), chance.randint(*LOTS))
    fills = [recorded for recorded in pair.floor.log if isinstance(recorded.event, ev.OrderFilled)]
    assert fills, "a stream without a trade shows nothing"
    again = Desk(tenant="acorn")
    for recorded in pair.floor.log:
        again.apply(recorded=recorded)
    assert canonical(again.state) == canonical(pair.floor.desk.state)
