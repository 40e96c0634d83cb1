"""What an engine has done since its process began, counted where it is done."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

# Upper bounds of the histogram of decision times; the gate's promise is 1,000.
DECIDE_US = (100, 150, 200, 300, 400, 500, 700, 1_000, 2_000, 5_000, 10_000, 100_000)


@dataclass(slots=True)
class Figures:
    """What the loop has done since the process began; `decided` counts decisions by DECIDE_US, the last beyond all."""

    commands: int = 0
    events: int = 0
    batches: int = 0
    failed: int = 0
    commit_s: float = 0
    decide_s: float = 0
    decided: list[int] = field(default_factory=lambda: [0] * (len(DECIDE_US) + 1))

    def took(self, *, decide_s: float) -> None:
        """Count one decision."""
        self.decide_s += decide_s
        self.decided[bisect_left(DECIDE_US, decide_s * 1e6)] += 1
