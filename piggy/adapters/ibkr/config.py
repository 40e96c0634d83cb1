"""Interactive Brokers through TWS or its gateway: limits, layouts of messages, what each code means. As documented.

`stream_url` is the gateway's socket (tcp://host:port), `account` one of its accounts. `settings`: `client_id` (another
for each worker at one gateway), `timezone` (of times that come without one).
"""

from __future__ import annotations

from enum import StrEnum

from piggy.adapters.interface import BudgetRule

ADDRESS = "tcp://127.0.0.1:4001"
CLIENT_ID = "71"
TIMEZONE = "UTC"
# The server version that we ask for, so that every layout below is fixed.
VERSION = 176
# A gateway fetches a contract that it has not seen today; an order it answers at once or not at all.
QUESTION_S_MAX, ORDER_S_MAX = 10.0, 2.5
OPEN_S_MAX = 5.0
# A gateway takes fifty messages a second, counted as they arrive: what was held up on its way comes in a bunch. Spread
# over the second, thirty of them may be late by almost half of one.
BUDGET = (BudgetRule(6, 0.2),)
# By then an order was given up, and what arrived is in the gateway's lists.
UNKNOWN_AFTER_US = 3_000_000
LOOK_BACK_US = 60_000_000
# Numbers of questions and tickers, far above those of orders: an error names any of them by its number alone.
TICKERS, QUESTIONS = 900_000_000, 910_000_000
TICK_PRICES, TICK_SIZES = {"1": "bids", "2": "asks"}, {"0": "bids", "3": "asks"}
FORCES = {"ioc": "IOC", "fok": "FOK", "gtc": "GTC", "day": "DAY"}
SUMMARY_TAGS = ("TotalCashValue", "AvailableFunds")


class In(StrEnum):
    """Numbers of the messages that a gateway sends."""

    TICK_PRICE = "1"
    TICK_SIZE = "2"
    ORDER_STATUS = "3"
    ERROR = "4"
    OPEN_ORDER = "5"
    NEXT_ID = "9"
    CONTRACT = "10"
    EXECUTION = "11"
    DEPTH = "12"
    DEPTH_L2 = "13"
    ACCOUNTS = "15"
    CONTRACT_END = "52"
    OPEN_ORDERS_END = "53"
    EXECUTIONS_END = "55"
    COMMISSION = "59"
    POSITION = "61"
    POSITIONS_END = "62"
    SUMMARY = "63"
    SUMMARY_END = "64"
    COMPLETED = "101"
    COMPLETED_END = "102"


# Which field is what; a negative place counts from the end, past lists of changing length.
LAYOUTS: dict[str, dict[str, int]] = {
    In.TICK_PRICE: {"number": 2, "tick": 3, "price": 4, "size": 5},
    In.TICK_SIZE: {"number": 2, "tick": 3, "size": 4},
    In.ORDER_STATUS: {"number": 1, "status": 2, "filled": 3, "perm_id": 6, "client": 9},
    In.ERROR: {"number": 2, "code": 3, "text": 4},
    In.OPEN_ORDER: {"number": 1, "con_id": 2, "ref": 23, "client": 24, "perm_id": 25},
    In.NEXT_ID: {"number": 2},
    In.CONTRACT: {
        "number": 1, "symbol": 2, "type": 3, "exchange": 7, "currency": 8, "con_id": 12, "tick": 13, "least": -3,
        "step": -2,
    },
    In.EXECUTION: {
        "number": 1, "con_id": 3, "exec_id": 14, "time": 15, "account": 16, "side": 18, "units": 19, "price": 20,
        "perm_id": 21, "cumulative": 24, "ref": 26,
    },
    In.DEPTH: {"number": 2, "row": 3, "operation": 4, "side": 5, "price": 6, "size": 7},
    In.DEPTH_L2: {"number": 2, "row": 3, "operation": 5, "side": 6, "price": 7, "size": 8},
    In.ACCOUNTS: {"accounts": 2},
    In.CONTRACT_END: {"number": 2},
    In.EXECUTIONS_END: {"number": 2},
    In.COMMISSION: {"exec_id": 2, "amount": 3, "currency": 4},
    In.POSITION: {"account": 2, "con_id": 3, "units": 14, "average": 15},
    In.SUMMARY: {"number": 2, "account": 3, "tag": 4, "value": 5, "currency": 6},
    In.SUMMARY_END: {"number": 2},
    In.COMPLETED: {"ref": 22, "perm_id": 23, "filled": -14, "status": -24},
}  # fmt: skip
# What comes without being asked for, or as well as being asked for.
STREAMED = frozenset(
    {In.TICK_PRICE, In.TICK_SIZE, In.ORDER_STATUS, In.ERROR, In.OPEN_ORDER, In.EXECUTION, In.DEPTH, In.DEPTH_L2}
) | {In.COMMISSION, In.NEXT_ID}

SENT, WORKING = frozenset({"PendingSubmit", "ApiPending"}), frozenset({"PreSubmitted", "Submitted"})
ENDED = frozenset({"Cancelled", "ApiCancelled"})
# Every word for how an order stands; `Inactive` is held by the gateway and may go on.
STATUSES = {word: word for word in (*SENT, *WORKING, *ENDED, "PendingCancel", "Filled", "Inactive")}
# What stands where a number would, and there is none.
UNSET = frozenset({"1.7976931348623157E308", "1.7976931348623157e+308", "2147483647", "9223372036854775807"})


class Meaning(StrEnum):
    """What a code says: a notice; an order refused; an order kept as it is; the gateway cut off; quotes not whole."""

    NOTICE = "notice"
    REFUSED = "refused"
    KEPT = "kept"
    DOWN = "down"
    FEED_LOST = "feed_lost"
    FEED_BACK = "feed_back"
    BOOK_RESET = "book_reset"
    BOOK_HALTED = "book_halted"
    NO_DATA = "no_data"
    DOUBT = "doubt"


# A refusal of a cancel or a change: no such order, not in a state for it, still being processed, not alike.
_KEPT = (104, 105, 134, 135, 136, 161, 329, 2102, 10147, 10148)
_REFUSED = (
    106, 107, *range(109, 131), 132, 133, *range(137, 161), 163, *range(166, 202), 203,
    311, 312, 313, 315, 321, 325, 328, *range(330, 354), *range(355, 366), *range(367, 393), 398, 400, 401, 402, 403,
    *range(405, 434), 434, *range(435, 481), *range(483, 492), *range(493, 501),
    10243, 10268, 10269, 10289, 10318, 10329,
)  # fmt: skip
_NO_DATA = (101, 102, 162, 300, 309, 310, 354, 420, 10089, 10090, 10186, 10197)
CODES: dict[int, Meaning] = {
    **dict.fromkeys(_REFUSED, Meaning.REFUSED),
    **dict.fromkeys(range(2100, 2200), Meaning.NOTICE),
    # The order goes on: held until shares are found, its size reduced, delayed data, a preset applied.
    **dict.fromkeys((131, 202, 399, 404, 481, 482, 492, 1102, 10167, 10311, 10349), Meaning.NOTICE),
    **dict.fromkeys(_KEPT, Meaning.KEPT),
    **dict.fromkeys((326, 327, 502, 503, 504, 507, 1100, 1101, 1300, 2110), Meaning.DOWN),
    **dict.fromkeys((2103, 2157), Meaning.FEED_LOST),
    2104: Meaning.FEED_BACK,
    316: Meaning.BOOK_HALTED,
    317: Meaning.BOOK_RESET,
    **dict.fromkeys(_NO_DATA, Meaning.NO_DATA),
}


def meaning_of(*, code: int) -> Meaning:
    """Return what a code says; one that is not documented here leaves everything open."""
    return CODES.get(code, Meaning.DOUBT)
