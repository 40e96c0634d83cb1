"""Rates: how often a name may come, even over time with a second's worth at once; nothing else is kept of it."""

from __future__ import annotations

NAMES_KEPT = 100_000


class Rates:
    """One limit for many names. A limit of 0 lets everything through."""

    def __init__(self, *, per_s_max: int) -> None:
        self._each_ns = 1_000_000_000 // per_s_max if per_s_max else 0
        self._next_ns: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._next_ns)

    def take(self, *, name: str, now_ns: int) -> bool:
        """Return whether `name` may come once more at `now_ns` (monotonic), and count it if so."""
        if not self._each_ns:
            return True
        at_ns = max(now_ns, self._next_ns.get(name, 0))
        if at_ns - now_ns > 1_000_000_000 - self._each_ns:
            return False
        if len(self._next_ns) >= NAMES_KEPT and name not in self._next_ns:
            self._next_ns = {known: next_ns for known, next_ns in self._next_ns.items() if next_ns > now_ns}
        self._next_ns[name] = at_ns + self._each_ns
        return True
