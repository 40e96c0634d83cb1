"""Lines: tenants take turns, within a tenant all keeps its order, and places are shared (F-32)."""

from __future__ import annotations

import random
from collections import deque
from typing import NamedTuple

from piggy.engine.lines import TURN, Lines


class Thing(NamedTuple):
    tenant: str
    number: int


class Twin:
    """The same, told naively: who has no place is served before all who have, for a turn, and then has the last."""

    def __init__(self) -> None:
        self.places: list[tuple[bool, str]] = []
        self.things: list[Thing] = []
        self.taken = 0

    def append(self, thing: Thing) -> None:
        if all(tenant != thing.tenant for _, tenant in self.places):
            news = [each for each in self.places if each[0]]
            self.places.insert(len(news), (True, thing.tenant))
            if not news:
                self.interrupted, self.taken = self.taken, 0
        self.things.append(thing)

    def of(self, tenant: str) -> list[Thing]:
        return [thing for thing in self.things if thing.tenant == tenant]

    def popleft(self) -> Thing:
        while not self.of(self.places[0][1]):
            self.places.pop(0)
            self.taken = 0
        is_new, tenant = self.places[0]
        thing = self.of(tenant)[0]
        self.things.remove(thing)
        self.taken += 1
        if self.taken == TURN or not self.of(tenant):
            self.places.append((False, self.places.pop(0)[1]))
            self.taken = self.interrupted if is_new and not self.places[0][0] else 0
            if is_new and not self.places[0][0]:
                self.interrupted = 0
        return thing


def test_lines_are_what_their_naive_twin_is() -> None:
    chance, lines, twin = random.Random(32), Lines[Thing](), Twin()
    for number in range(5_000):
        if chance.random() < 0.52 or not lines:
            thing = Thing(chance.choice("aaaaabcd"), number)
            lines.append(thing)
            twin.append(thing)
        else:
            first = lines.first()
            assert first == lines.popleft() == twin.popleft()
        assert len(lines) == len(twin.things)
        assert list(lines) == [thing for _, tenant in twin.places for thing in twin.of(tenant)]
        for tenant in "abcde":
            assert lines.waiting(tenant=tenant) == len(twin.of(tenant))
    lines.clear()
    assert (len(lines), list(lines), lines.waiting(tenant="a")) == (0, [], 0)


def test_tenants_who_all_wait_take_turns_of_several_each_for_a_tenant_costs_a_commit_more_than_a_row() -> None:
    lines = Lines[Thing]()
    for number in range(2 * TURN + 1):
        lines.extend(Thing(tenant, number) for tenant in "abc")
    taken = "".join(lines.popleft().tenant for _ in range(len(lines)))
    assert taken == 2 * ("a" * TURN + "b" * TURN + "c" * TURN) + "abc"


def test_f_32_who_comes_again_and_again_waits_for_one_turn_of_a_flood_and_never_makes_it_wait_for_two() -> None:
    lines, taken = Lines[Thing](), ""
    lines.extend(Thing("f", number) for number in range(10 * TURN))
    for number in range(3 * (TURN + 1) + 9):
        if not lines.waiting(tenant="o"):
            lines.append(Thing("o", number))
        taken += lines.popleft().tenant
    assert taken == ("f" * TURN + "o") * 3 + "f" * 9


def test_f_32_who_comes_beside_a_flood_is_next_and_in_his_own_order() -> None:
    lines = Lines[Thing]()
    lines.extend(Thing("flood", number) for number in range(10_000))
    taken = [lines.popleft() for _ in range(100)]
    lines.extend(Thing("other", number) for number in range(3))
    taken += [lines.popleft() for _ in range(6)]
    assert [thing.number for thing in taken if thing.tenant == "other"] == [0, 1, 2]
    rest: deque[Thing] = deque(lines)
    assert [thing.number for thing in taken if thing.tenant == "flood"] == list(range(103))
    assert [thing.number for thing in rest] == list(range(103, 10_000))


def test_f_32_places_are_all_ones_own_until_others_wait_too() -> None:
    lines = Lines[Thing]()
    assert lines.share(tenant="a", of=1_000) == 1_000
    lines.append(Thing("a", 1))
    assert lines.share(tenant="a", of=1_000) == 1_000
    assert lines.share(tenant="b", of=1_000) == 500, "it would be the second"
    lines.append(Thing("b", 1))
    assert lines.share(tenant="a", of=1_000) == lines.share(tenant="b", of=1_000) == 500
    assert lines.share(tenant="c", of=2) == 1, "everybody may have one"
