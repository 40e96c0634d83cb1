"""INV-08: a desk out of a snapshot and the log's tail is the desk out of the whole log, wherever the cut was."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import zlib
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from piggy.core.desk import Desk
from piggy.core.events import Recorded
from piggy.core.orders import Side
from piggy.engine import snapshot
from piggy.engine.snapshot import Held, UnableToRestore, digest, live_of, parts_of, restored
from piggy.messaging.chain import EVENT_VERSION
from piggy.messaging.codec import encode
from piggy.messaging.fold_form import event_to_fold
from tests.core.floor import Floor

CUTS = int(os.environ.get("PIGGY_SNAPSHOT_CUTS", "12"))
ROOT = Path(__file__).resolve().parents[2]
ACCOUNTS = ("a1", "b1", "b2", "mixed1")


def busy_floor(*, seed: int, steps: int = 160) -> Floor:
    """A floor on which clients traded, venues filled, refused and repeated themselves, and prices moved."""
    chance, floor = random.Random(seed), Floor()
    for _ in range(steps):
        kind, side = chance.random(), chance.choice(list(Side))
        account, lots = chance.choice(ACCOUNTS), f"{chance.randint(1, 300) / 100:.2f}"
        if kind < 0.4:
            floor.place(account, side, lots)
        elif kind < 0.7:
            price = Decimal("1.10005") + Decimal(chance.randint(-60, 60)) / 100_000
            floor.place(account, side, lots, limit_price=str(price))
        elif kind < 0.8:
            floor.quotes(f"{chance.randint(-60, 60) / 100_000:.5f}")
            floor.act()
        elif legs := floor.children():
            leg = chance.choice(legs)
            leaves = floor.desk.state.children[leg.cl_ord_id].leaves
            if chance.random() < 0.3 and leaves == leg.quantity:
                floor.reject(leg)
            else:
                floor.fill(leg, str(leg.limit_price), lots=str(leaves))
    return floor


def folded(log: list[Recorded], *, into: Desk | None = None) -> Desk:
    desk = into or Desk(tenant="acorn")
    for recorded in log:
        desk.apply(recorded=recorded)
    return desk


class Shelves:
    """Snapshots as the store keeps them: every segment once, and the latest live part."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.live = b""
        self.held = Held()

    def take(self, desk: Desk, seq: int) -> None:
        parts = parts_of(desk=desk, held=self.held, seq=seq)
        self.bodies += parts.segments
        self.live = parts.live

    def restore(self) -> Desk:
        desk, self.held = restored(live=live_of(body=self.live), segments=self.bodies)
        return desk


@pytest.fixture(autouse=True)
def few_final_orders_stay_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "FINAL_KEPT", 3)
    monkeypatch.setattr(snapshot, "SEGMENT_ENTRIES", 7)


@pytest.mark.parametrize("seed", range(3))
def test_inv_08_a_snapshot_and_the_tail_are_the_desk_out_of_the_whole_log(seed: int) -> None:
    log = busy_floor(seed=seed).log
    whole = digest(state=folded(log).state)
    chance = random.Random(seed)
    for _ in range(CUTS):
        cut = chance.randrange(1, len(log))
        shelves = Shelves()
        shelves.take(folded(log[:cut]), cut)
        assert digest(state=folded(log[cut:], into=shelves.restore()).state) == whole, f"cut after event {cut}"


@pytest.mark.parametrize("seed", range(3))
def test_inv_08_events_as_a_fold_reads_them_make_the_same_desk(seed: int) -> None:
    log = busy_floor(seed=seed).log
    seen = [
        msgspec.structs.replace(each, event=event_to_fold(payload=encode(each.event), version=EVENT_VERSION))
        for each in log
    ]
    assert seen != log
    desk, read = folded(log), folded(seen)
    assert digest(state=read.state) == digest(state=desk.state)
    assert read.memory(answers_max=1_000) == desk.memory(answers_max=1_000)


def test_inv_08_snapshots_that_stand_on_each_other_lose_nothing() -> None:
    log = busy_floor(seed=7).log
    shelves, desk, before = Shelves(), Desk(tenant="acorn"), 0
    for cut in sorted(random.Random(7).sample(range(1, len(log)), 6)):
        folded(log[before:cut], into=desk)
        shelves.take(desk, cut)
        desk, before = shelves.restore(), cut
    assert len(shelves.held.segments) > 6
    folded(log[before:], into=desk)
    assert digest(state=desk.state) == digest(state=folded(log).state)


def test_a_restored_desk_decides_and_answers_as_the_one_it_was_taken_from() -> None:
    floor = busy_floor(seed=3)
    shelves = Shelves()
    shelves.take(floor.desk, len(floor.log))
    again = shelves.restore()
    for recorded in floor.log:
        first = floor.desk.answer(command_id=recorded.command_id, request_hash="")
        assert again.answer(command_id=recorded.command_id, request_hash="") == first
    other = Floor()
    other.desk, other.log, other.commands, other.now_us = again, list(floor.log), floor.commands, floor.now_us
    for each in (floor, other):
        each.quotes("0.00004")
        each.place("mixed1", Side.BUY, "1.50")
        each.place("b2", Side.SELL, "0.30", limit_price="1.09900")
        each.act()
    assert [recorded.event for recorded in other.log] == [recorded.event for recorded in floor.log]


def test_answers_beyond_those_kept_are_known_as_perhaps_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "ANSWERS_KEPT", 5)
    floor = busy_floor(seed=4)
    shelves = Shelves()
    shelves.take(floor.desk, len(floor.log))
    again = shelves.restore()
    ids = list(dict.fromkeys(recorded.command_id for recorded in floor.log))
    assert all(again.perhaps_forgotten(command_id=each) for each in ids[:-5])
    assert all(again.answer(command_id=each, request_hash="") for each in ids[-5:])
    unknown = [f"never {number}" for number in range(500)]
    assert sum(again.perhaps_forgotten(command_id=each) for each in unknown) < 5


def test_a_final_order_that_was_packed_away_can_still_be_read_and_changed() -> None:
    floor = busy_floor(seed=5)
    shelves = Shelves()
    shelves.take(floor.desk, len(floor.log))
    state = shelves.restore().state
    ended = [order_id for order_id, order in floor.desk.state.orders.items() if order.state.final]
    assert ended[0] not in dict.keys(state.orders)
    assert state.orders[ended[0]] == floor.desk.state.orders[ended[0]]
    state.orders[ended[0]].text = "busted"
    assert state.orders[ended[0]].text == "busted"
    assert state.orders.get("no such order") is None


def test_bytes_of_another_form_are_refused() -> None:
    with pytest.raises(UnableToRestore):
        live_of(body=zlib.compress(b"\x90"))
    with pytest.raises(UnableToRestore):
        live_of(body=b"no snapshot")


@pytest.mark.parametrize(("hash_seed", "zone"), [("0", "UTC"), ("1", "Pacific/Auckland"), ("4711", "America/St_Johns")])
def test_inv_08_the_digest_is_the_same_under_any_hash_seed_and_zone(tmp_path: Path, hash_seed: str, zone: str) -> None:
    log = busy_floor(seed=11).log
    cut = len(log) // 2
    shelves = Shelves()
    shelves.take(folded(log[:cut]), cut)
    (tmp_path / "case").write_bytes(msgspec.msgpack.encode([log, cut, shelves.live, shelves.bodies]))
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.snapshot_elsewhere", str(tmp_path / "case")],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = digest(state=folded(log).state)
    assert done.stdout.split() == [expected, expected]
