"""Clients' own prices are those that they would deal at, and cost nothing while nobody waits for any."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core.accounts import BookMode, Group
from piggy.core.bookbuild import BuildMode, PriceBuild
from piggy.core.events import OrderFilled
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.market import ClientPrice
from piggy.core.orders import Side
from piggy.core.profiles import PriceProfile
from piggy.engine.client_prices import WHOLE_ROUNDS, ClientPrices, prices_of
from piggy.messaging import codec
from tests.core.floor import Floor


def shown(floor: Floor, *names: bytes) -> dict[str, dict[str, ClientPrice]]:
    return prices_of(desk=floor.desk, names=names, now_us=floor.now_us)


@pytest.mark.parametrize(("bid", "ask"), [(2, 3), (0, 0), (7, 1)])
def test_a_client_deals_at_the_price_that_he_was_shown(bid: int, ask: int) -> None:
    floor = Floor(bid_markup_points=bid, ask_markup_points=ask)
    price = shown(floor, b"b1|EURUSD")["b1"]["EURUSD"]
    assert price == ClientPrice(
        Decimal("1.10001") - bid * Decimal("0.00001"), Decimal("1.10010") + ask * Decimal("0.00001"), 2, 2
    )
    for side, seen in ((Side.BUY, price.ask), (Side.SELL, price.bid)):
        (fill,) = [each for each in floor.place("b1", side, "1") if isinstance(each, OrderFilled)]
        assert fill.price == seen


def test_each_client_has_his_own_and_what_nobody_knows_has_none() -> None:
    floor = Floor()
    floor.do(
        cmd.ConfigureGroup(group=Group(name="dear", book_mode=BookMode.B, ask_markup_points=50), limits=HOUSE_LIMITS)
    )
    floor.open_account("rich", group="dear")
    found = shown(floor, b"b1|EURUSD", b"rich|EURUSD", b"nobody|EURUSD", b"b1|NOTHING", b"b1", b"")
    assert {account: set(mine) for account, mine in found.items()} == {"b1": {"EURUSD"}, "rich": {"EURUSD"}}
    assert found["rich"]["EURUSD"].ask - found["b1"]["EURUSD"].ask == Decimal("0.00047")
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "", "1.10012")
    price = shown(floor, b"b1|EURUSD")["b1"]["EURUSD"]
    assert (price.bid, price.bid_lots, price.ask is None) == (None, 0, False), "a side that nobody quotes is empty"


def test_a_price_built_of_a_size_is_shown_with_the_lots_it_is_good_for() -> None:
    """The average of 5 lots: 2 at 1.10010, 2 at 1.10011 and 1 at 1.10012; and what a thin book has."""
    floor = Floor(bid_markup_points=0, ask_markup_points=0)
    build = PriceBuild(mode=BuildMode.VWAP, size_lots=Decimal(5))
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(build=build)))
    price = shown(floor, b"b1|EURUSD")["b1"]["EURUSD"]
    assert price == ClientPrice(Decimal("1.10000"), Decimal("1.10011"), 5, 5)
    (fill, *_) = [each for each in floor.place("b1", Side.BUY, "1") if isinstance(each, OrderFilled)]
    assert fill.price == price.ask
    floor.quote("LP1", "", "")
    assert shown(floor, b"b1|EURUSD")["b1"]["EURUSD"].ask_lots == 4


class Wire:
    """Stands in for Redis: one sorted set that never grows old, and what was published."""

    def __init__(self) -> None:
        self.names: list[bytes] = []
        self.published: list[dict[str, Any]] = []

    def pipeline(self, **_: Any) -> Wire:
        return self

    async def __aenter__(self) -> Wire:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def zremrangebyscore(self, *_: Any) -> None: ...
    def zrange(self, *_: Any) -> None: ...

    async def execute(self) -> list[Any]:
        return [0, self.names]

    async def publish(self, channel: str, data: bytes) -> None:
        assert channel == "{acorn}:client-prices"
        self.published.append(codec.decode_client_prices(data))


class At:
    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def now_us(self) -> int:
        return self._floor.now_us


def test_what_changed_is_told_at_once_and_everything_now_and_then() -> None:
    floor, wire = Floor(), Wire()
    prices = ClientPrices(connection=wire, desks={"acorn": floor.desk}, clock=At(floor))  # type: ignore[arg-type]

    def rounds(count: int) -> int:
        before = len(wire.published)
        for _ in range(count):
            asyncio.run(prices._tell())
        return len(wire.published) - before

    assert rounds(2 * WHOLE_ROUNDS) == 0, "nobody waits"
    wire.names = [b"b1|EURUSD"]
    assert rounds(WHOLE_ROUNDS) == 2, "once as news, once with everything"
    floor.quotes("0.00100")
    assert rounds(1) == 1
    assert wire.published[-1]["b1"]["EURUSD"].ask == Decimal("1.10113")
    assert rounds(WHOLE_ROUNDS) == 1
