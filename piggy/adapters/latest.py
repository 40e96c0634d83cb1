"""What a session learnt of the latest orders; of those before it asks the venue again, as after a start."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")
# Of orders that all ended long ago: no venue has so many open at once, and each costs some hundred bytes.
KEPT_MAX = 100_000


class Latest(dict[K, V]):
    """A dictionary of at most KEPT_MAX entries: whatever was set last stays, the oldest goes."""

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        if len(self) > KEPT_MAX:
            del self[next(iter(self))]

    def setdefault(self, key: K, default: V) -> V:
        """Return what is there, else set it."""
        if key not in self:
            self[key] = default
        return self[key]
