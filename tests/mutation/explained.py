"""Mutants that live because they change nothing that anybody could see; each with the reason.

A key is a part of the line that is printed: module, then the change (line numbers may move, so they are left out).
"""

from __future__ import annotations

EXPLAINED: dict[str, str] = {
    "became `_STRICTNESS[state] >= _STRICTNESS[strictest]`": "a state is as strict as itself",
    "`0` became `1` in _STRICTNESS = {": "ACTIVE is never compared",
    "`2` became `3` in _STRICTNESS = {": "HALTED and KILLED refuse alike",
    "`3` became `4` in _STRICTNESS = {": "strictness is an order; only which is larger counts",
    "`long_lots >= short_lots` became `long_lots > short_lots`": "of equal sides either may be called the heavier",
    "`2` became `3` in middle = (low + high) // 2": "a search that halves unevenly finds the same",
    "`(low + high) // 2` became": "a search may start anywhere",
    "`position.quantity > 0` became `position.quantity >= 0`": "a position is never flat",
    "in sane: bool = False": "worked out on construction whatever the default",
    "(terms.limit_price - touch) * terms.side.sign` became": "a sign divides as it multiplies",
    "`light and terms.hedged_ratio` became": "without hedged lots, or without a ratio, the share is nothing",
    "in news_until_us: int = 0": "without news lots nobody looks until when",
    "`left <= 0` became `left < 0` in if left <= 0:": "of nothing that is left no level takes anything",
    "`tier.percent > charged` became `tier.percent >= charged`": "a band that costs the same adds nothing",
    "`min(news_lots, opened)` became": "news lots above what was opened are cut again when they are charged",
}
