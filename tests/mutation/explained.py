"""Mutants that live because they change nothing that anybody could see; each with the reason.

A key is a part of the line that is printed: module, then the change (line numbers may move, so they are left out).
"""

from __future__ import annotations

EXPLAINED: dict[str, str] = {
    "became `_STRICTNESS[state] >= _STRICTNESS[strictest]`": "a state is as strict as itself",
    "controls_order line 19: `3` became": "strictness is an order; only which is larger counts",
    "`min(news_lots, opened)` became": "news lots above what was opened are cut again when they are charged",
}
