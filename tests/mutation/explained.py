"""Mutants that live because they change nothing that anybody could see; each with the reason.

A key is a part of the line that is printed: module, then the change (line numbers may move, so they are left out).
"""

from __future__ import annotations

EXPLAINED: dict[str, str] = {
    "`not over` became `not not over`": "what is over the step is cut off either way",
    "became `STRICTNESS[state] >= STRICTNESS[strictest]`": "a state is as strict as itself",
    "`0` became `1` in STRICTNESS = {": "ACTIVE is never compared",
    "`2` became `3` in STRICTNESS = {": "HALTED and KILLED refuse alike",
    "`3` became `4` in STRICTNESS = {": "strictness is an order; only which is larger counts",
    "`long_lots >= short_lots` became `long_lots > short_lots`": "of equal sides either may be called the heavier",
    "`2` became `3` in middle = (low + high) // 2": "a search that halves unevenly finds the same",
    "`(low + high) // 2` became": "a search may start anywhere",
    "`position.quantity > 0` became `position.quantity >= 0`": "a position is never flat",
    "in sane: bool = field(": "worked out on construction whatever the default, and nobody gives it",
    "in reduces: bool = field(init=False": "nobody gives it at construction",
    "`held > 0` became `held >= 0` in opposite": "asked only where something is held",
    "`1` became `2` in percent = (Decimal(losing)": "only the exponent of what is quantized to counts",
    "`balance >= 0` became `balance > 0` in if not protected": "of nothing there is nothing to write off",
    "(terms.limit_price - touch) * terms.side.sign` became": "a sign divides as it multiplies",
    "`light and terms.hedged_ratio` became": "without hedged lots, or without a ratio, the share is nothing",
    "in news_until_us: int = 0": "without news lots nobody looks until when",
    "`left <= 0` became `left < 0` in if left <= 0:": "of nothing that is left no level takes anything",
    "`tier.percent > charged` became `tier.percent >= charged`": "a band that costs the same adds nothing",
    "    return lots - over` became `if not not over:": "what is over the step is cut off either way",
    "became `lots + instrument.lot_step` in over": "what is over the step is cut off either way",
    "`lots - over` became `lots + over`": "nothing is over where this is said",
    "`share - over` became `share + over`": "nothing is over where this is said",
    "became `share + instrument.lot_step` in over": "a share on the step is nearest to itself either way",
    "`opening > a_opening` became `opening >= a_opening`": "of nothing that stays in the B book nothing overflows",
    "in if a > 0 and not b and not cross:": "the longer way says the same",
    "`100` became `101` in low, high = 0, 100": "a share above the whole is cut to the whole",
    "`net_before * net_after < 0` became `net_before * net_after <= 0`": "from or to nothing both ways say the same",
    "became `False` in @dataclass(slots=True)": "where attributes are kept is no rule",
    "`0` became `1` in *, positions: Iterable[Position], buy_working": "no news window is of the year 1970",
    "`64` became `65` in LIFE_FILLS_MAX": "how many fills are kept apart is a matter of room",
    "`self.quantity > 0` became `self.quantity >= 0`": "a position is never flat",
    "`ticks > 0` became `ticks >= 0`": "of no ticks none is walked",
    "`0` became `1` in opened_at_us": "every fill says when it was",
    "`lots <= 0` became `lots < 0` in if lots <= 0:": "without lots a window has no percent either",
    "`min(news_lots, opened)` became": "news lots above what was opened are cut again when they are charged",
    "`most + least >= 0` became `most + least > 0`": "of two sides that weigh the same either may be told",
}
