"""Frames to groups of sockets: encoded once, numbered without a gap, what somebody did before what the market did."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from apps.dealing.consumers.groups import MARKET_BYTES_PER_S, PEEK_S, ROWS_AT_ONCE_MAX, Group
from apps.dealing.consumers.panel import Frame, Panel, encode_rows
from piggy.messaging.streams import PANELS


class Screen:
    """A member that keeps what it is told, as a page folds it: older numbers are passed over, a gap is a fault."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.lanes: list[str] = []
        self.seqs: dict[str, int] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        self.sight: dict[str, tuple[str, ...]] = {}
        self.peeks: list[dict[str, Any]] = []
        self.outbox = self

    def put(self, *, lane: str, text: str, frame: bytes) -> None:
        assert frame.endswith(text.encode())
        self.texts.append(text)
        self.lanes.append(lane)
        found = msgspec.json.decode(text)
        for frame in found if isinstance(found, list) else [found]:
            self.take(frame)

    def take(self, frame: dict[str, Any]) -> None:
        name = frame["panel"]
        if frame.get("peek"):
            self.peeks.append(frame)
            self.rows.setdefault(name, {}).update(frame["rows"])
        elif frame["snapshot"]:
            self.seqs[name], self.rows[name] = frame["seq"], frame["rows"]
        elif frame["seq"] > self.seqs.get(name, 0):
            assert frame["seq"] == self.seqs.get(name, 0) + 1, "a gap"
            self.seqs[name] = frame["seq"]
            self.rows.setdefault(name, {}).update(frame["rows"])


class Floor:
    def __init__(self) -> None:
        self.panels = {name: Panel(name=name) for name in PANELS}
        self.group = Group(panels=self.panels, number=0)
        self.screens = [Screen(), Screen()]
        self.group.members.update(self.screens)

    def say(self, panel: str, rows: dict[str, Any]) -> None:
        seq = self.panels[panel].seq + 1
        raw = {key: msgspec.Raw(msgspec.json.encode(row)) for key, row in rows.items()}
        frame = Frame(panel=panel, seq=seq, snapshot=False, at_us=seq, rows=raw)
        self.panels[panel].take(frame=frame)
        self.group.take(frame=frame, rows=encode_rows(raw))


MANY = {f"S{number}": {"bid": "1"} for number in range(ROWS_AT_ONCE_MAX + 1)}


def test_all_of_a_group_get_one_text_with_all_that_is_news() -> None:
    floor = Floor()
    floor.say("orders", {"O1": {"state": "filled"}})
    floor.say("exposure", {"EURUSD": {"net": "1"}})
    floor.group.beat(now_s=1.0)
    one, other = (screen.texts for screen in floor.screens)
    assert len(one) == 1 and one[0] is other[0]
    assert floor.screens[0].lanes == ["orders"], "a text with an order in it is never dropped"
    assert [frame["panel"] for frame in msgspec.json.decode(one[0])] == ["orders", "exposure"]


def test_every_change_of_an_order_is_told_and_of_a_price_the_last() -> None:
    floor = Floor()
    for state in ("working", "filled"):
        floor.say("orders", {"O1": {"state": state}})
    for bid in ("1", "2", "3"):
        floor.say("quotes", MANY | {"S1": {"bid": bid}})
    floor.group.beat(now_s=1.0)
    news, prices = floor.screens[0].texts
    assert [frame["rows"]["O1"]["state"] for frame in msgspec.json.decode(news)] == ["working", "filled"]
    assert msgspec.json.decode(prices)["rows"]["S1"] == {"bid": "3"}
    assert floor.screens[0].seqs == {"orders": 2, "quotes": 1}


def test_of_orders_none_is_told_by_its_last_state_alone_however_many_there_are() -> None:
    """A kill ends hundreds in one frame; what came between is somebody's fill."""
    floor = Floor()
    for state in ("working", "filled"):
        floor.say("orders", {f"O{number}": {"state": state} for number in range(ROWS_AT_ONCE_MAX + 1)})
    floor.group.beat(now_s=1.0)
    (text,) = floor.screens[0].texts
    assert [frame["rows"]["O1"]["state"] for frame in msgspec.json.decode(text)] == ["working", "filled"]


def test_a_whole_market_goes_at_a_pace_that_a_line_carries_and_a_deal_does_not_wait_for_it() -> None:
    floor = Floor()
    wide = {key: {"bid": "1" * 8_000} for key in MANY}
    for beat in range(20):
        floor.say("quotes", wide)
        floor.say("orders", {f"O{beat}": {}})
        floor.group.beat(now_s=beat * 0.05)
    lanes = floor.screens[0].lanes
    size = max(len(text) for text in floor.screens[0].texts)
    assert size > MARKET_BYTES_PER_S, "so much takes longer than a second"
    assert (lanes.count("orders"), lanes.count("market")) == (20, 1)


def test_what_is_in_sight_does_not_wait_for_the_whole_market() -> None:
    floor = Floor()
    one, other = floor.screens
    one.sight = {"quotes": ("S1", "S2")}
    wide = {key: {"bid": "1" * 8_000} for key in MANY}
    floor.say("quotes", wide)
    floor.group.beat(now_s=1.0)
    for bid in ("2", "3"):
        floor.say("quotes", wide | {"S1": {"bid": bid}})
        floor.group.beat(now_s=1.0 + PEEK_S * int(bid))
    assert [set(frame["rows"]) for frame in one.peeks] == [{"S1", "S2"}] * 2
    assert one.rows["quotes"]["S1"] == {"bid": "3"}
    assert not other.peeks and other.seqs == one.seqs == {"quotes": 1}


def test_a_screen_ends_with_what_the_desk_has_however_it_was_told() -> None:
    """A seeded stream of deals, whole markets and snapshots."""
    for seed in range(10):
        chance, floor = random.Random(seed), Floor()
        for beat in range(100):
            number = chance.randrange(9)
            floor.screens[0].sight = {"quotes": tuple(f"S{chance.randrange(70)}" for _ in range(9))}
            rows = {f"S{chance.randrange(60)}": {"bid": str(beat)} for _ in range(chance.choice((1, 2, 60)))}
            floor.say("quotes", rows)
            if number == 0:
                late = floor.screens[chance.randrange(2)]
                late.take(msgspec.json.decode(floor.group.snapshot_text("quotes")))
            if number < 5:
                floor.group.beat(now_s=beat * 0.1)
        floor.group.beat(now_s=100.0)
        truth = msgspec.json.decode(floor.panels["quotes"].rows_text())
        assert [screen.rows["quotes"] for screen in floor.screens] == [truth, truth], seed
