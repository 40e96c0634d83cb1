"""MetaTrader 5 behind a bridge agent: what each return code and order state means. Settings: `quote_lots`, `timezone`.

The account's volumes are lots, so a mapping's units in a lot are usually 1. `stream_url` says where the agent dials in.
"""

from __future__ import annotations

from enum import StrEnum

from piggy.adapters.interface import BudgetRule

QUOTE_LOTS = "10"
# The zone of the trade server's clock, in which it counts; many keep that of Athens, some New York's plus seven hours.
TIMEZONE = "UTC"
COMMENT_MAX = 31
CALLS_S_MAX = 5.0
# An agent answers one thing after another: once it says that it has no order, none is under way.
UNKNOWN_AFTER_US = 3_000_000
BUDGET = (BudgetRule(50, 1.0),)


class Meaning(StrEnum):
    """What a return code says of an order."""

    DONE = "done"
    REFUSED = "refused"
    DOUBT = "doubt"
    THROTTLED = "throttled"


TOO_MANY = 10024
# What either terminal says of requests that come too fast.
THROTTLED_BY = {"mt5": frozenset({TOO_MANY}), "mt4": frozenset({8, 141})}


def _refused(*codes: int) -> dict[int, Meaning]:
    return dict.fromkeys(codes, Meaning.REFUSED)


# TRADE_RETCODE_* of order_send, and RES_* of last_error where order_send gave nothing.
RETCODES: dict[int, Meaning] = {
    **dict.fromkeys((10008, 10009, 10010, 1), Meaning.DONE),
    # The request may have reached the trade server: a processing error, a timeout, being processed, a lost connection.
    **dict.fromkeys((10011, 10012, 10028, 10031), Meaning.DOUBT),
    **dict.fromkeys((-10005, -10004, -10003, -10002, -10001, -10000, -1), Meaning.DOUBT),
    TOO_MANY: Meaning.THROTTLED,
    **_refused(10004, 10006, 10007),
    **_refused(*range(10013, 10024)),
    **_refused(10025, 10026, 10027, 10029, 10030),
    **_refused(*range(10032, 10047)),
    **_refused(-8, -7, -6, -5, -4, -3, -2),
}
# ORDER_STATE_*: started, placed, cancelled, partial, filled, rejected, expired, being added, changed, cancelled.
STATES = {0: "open", 1: "open", 2: "canceled", 3: "open", 4: "closed", 5: "rejected", 6: "expired"} | dict.fromkeys(
    (7, 8, 9), "open"
)
TRADE_MODE_FULL = 4
