"""What waits to be decided: a line for each tenant, and tenants take turns; who floods waits for himself (F-32).

Within a tenant everything keeps its order. A turn is several items, for every tenant in a commit costs as much as five
rows of it; so that nobody waits for the others' long turns, who has nothing waiting and then comes is next, once in a
round (the new flows of RFC 8290).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

# Thirty-two orders are some three milliseconds of deciding: a batch holds about one turn, a full one several. With
# sixteen a row of fifty tenants that all have much waiting costs a fifth more processor time than of one, now as much.
TURN = 32


class Owned(Protocol):
    """What belongs to a tenant."""

    @property
    def tenant(self) -> str: ...


T = TypeVar("T", bound=Owned)


class _Line(Generic[T]):
    """One tenant's items, and how many of them the turn that it has, or will have next, still lets go."""

    __slots__ = ("items", "left", "tenant")

    def __init__(self, tenant: str) -> None:
        self.tenant, self.left = tenant, TURN
        self.items: deque[T] = deque()


class Lines(Generic[T]):
    """As a deque that is taken from the left, but that the next one is of the tenant whose turn it is."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line[T]] = {}
        self._new: deque[_Line[T]] = deque()
        # Who is through with a turn keeps a place, also with nothing waiting: until it comes nobody is new again.
        self._round: deque[_Line[T]] = deque()
        self._count = self._tenants = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        for line in (*self._new, *self._round):
            yield from line.items

    def append(self, item: T, /) -> None:
        """Put an item at the end of its tenant's line."""
        line = self._lines.get(item.tenant)
        if line is None:
            line = self._lines[item.tenant] = _Line(item.tenant)
            self._new.append(line)
        if not line.items:
            self._tenants += 1
        line.items.append(item)
        self._count += 1

    def extend(self, items: Iterable[T], /) -> None:
        """Append items in their order."""
        for item in items:
            self.append(item)

    def first(self) -> T:
        """Return what `popleft` would."""
        return self._whose_turn()[0].items[0]

    def popleft(self) -> T:
        """Take the next item of the tenant whose turn it is; after TURN of them it is another's."""
        turns = self._whose_turn()
        line = turns[0]
        item = line.items.popleft()
        line.left -= 1
        self._count -= 1
        if not line.items:
            self._tenants -= 1
        if not line.items or not line.left:
            line.left = TURN
            self._round.append(turns.popleft())
        return item

    def clear(self) -> None:
        """Forget everything."""
        self._lines.clear()
        self._new.clear()
        self._round.clear()
        self._count = self._tenants = 0

    def waiting(self, *, tenant: str) -> int:
        """Return how many items of a tenant wait."""
        line = self._lines.get(tenant)
        return len(line.items) if line else 0

    def share(self, *, tenant: str, of: int) -> int:
        """Return how many of `of` places are a tenant's: all, or as many as any other's where others wait too."""
        return max(min(of, 1), of // max(1, self._tenants + (not self.waiting(tenant=tenant))))

    def _whose_turn(self) -> deque[_Line[T]]:
        """Return the turns whose first is next; places for which nothing came are given up."""
        if self._new:
            return self._new
        while not self._round[0].items:
            del self._lines[self._round.popleft().tenant]
        return self._round
