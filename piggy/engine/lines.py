"""What waits to be decided: a line for each tenant, and tenants take turns; who floods waits for himself (F-32).

Within a tenant everything keeps its order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar


class Owned(Protocol):
    """What belongs to a tenant."""

    @property
    def tenant(self) -> str: ...


T = TypeVar("T", bound=Owned)


class Lines(Generic[T]):
    """As a deque that is taken from the left, but that the next one is of the tenant whose turn it is."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[T]] = {}
        self._turns: deque[deque[T]] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        for line in self._turns:
            yield from line

    def append(self, item: T, /) -> None:
        """Put an item at the end of its tenant's line."""
        line = self._lines.get(item.tenant)
        if line is None:
            line = self._lines[item.tenant] = deque()
        if not line:
            self._turns.append(line)
        line.append(item)
        self._count += 1

    def extend(self, items: Iterable[T], /) -> None:
        """Append items in their order."""
        for item in items:
            self.append(item)

    def first(self) -> T:
        """Return what `popleft` would."""
        return self._turns[0][0]

    def popleft(self) -> T:
        """Take the next item of the tenant whose turn it is; then it is another's."""
        turns = self._turns
        line = turns[0]
        item = line.popleft()
        if not line:
            turns.popleft()
            del self._lines[item.tenant]
        elif len(turns) > 1:
            turns.rotate(-1)
        self._count -= 1
        return item

    def clear(self) -> None:
        """Forget everything."""
        self._lines.clear()
        self._turns.clear()
        self._count = 0

    def waiting(self, *, tenant: str) -> int:
        """Return how many items of a tenant wait."""
        return len(self._lines.get(tenant, ()))

    def share(self, *, tenant: str, of: int) -> int:
        """Return how many of `of` places are a tenant's: all, or as many as any other's where others wait too."""
        return max(min(of, 1), of // max(1, len(self._turns) + (tenant not in self._lines)))
