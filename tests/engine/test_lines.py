"""Lines: tenants take turns, within a tenant all keeps its order, and places are shared (F-32)."""

from __future__ import annotations

import random
from collections import deque
from typing import NamedTuple

from piggy.engine.lines import Lines


class Thing(NamedTuple):
    tenant: str
    number: int


class Twin:
    """The same, told naively: after each taking the next tenant, in the order in which they came to wait."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, list[Thing]]] = []

    def append(self, thing: Thing) -> None:
        for tenant, line in self.waiting:
            if tenant == thing.tenant:
                line.append(thing)
                return
        self.waiting.append((thing.tenant, [thing]))

    def popleft(self) -> Thing:
        tenant, line = self.waiting.pop(0)
        if line[1:]:
            self.waiting.append((tenant, line[1:]))
        return line[0]


def test_lines_are_what_their_naive_twin_is() -> None:
    chance, lines, twin = random.Random(32), Lines[Thing](), Twin()
    for number in range(5_000):
        if chance.random() < 0.52 or not lines:
            thing = Thing(chance.choice("aaaaabcd"), number)
            lines.append(thing)
            twin.append(thing)
        else:
            assert lines.first() == twin.waiting[0][1][0]
            assert lines.popleft() == twin.popleft()
        assert len(lines) == sum(len(line) for _, line in twin.waiting)
        assert list(lines) == [thing for _, line in twin.waiting for thing in line]
        for tenant in "abcde":
            assert lines.waiting(tenant=tenant) == sum(len(line) for name, line in twin.waiting if name == tenant)
    lines.clear()
    assert (len(lines), list(lines), lines.waiting(tenant="a")) == (0, [], 0)


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
