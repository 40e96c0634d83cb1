"""MetaTrader 4 behind the bridge agent: what each of its error codes says of an order, as documented."""

from __future__ import annotations

from piggy.adapters.mt5.config import THROTTLED_BY, Meaning

# What the agent reports where the trade went through: in MetaTrader 5's numbers, as its answers are.
PLACED, DONE, PARTIAL = 10008, 10009, 10010
# Nobody knows: no result, common error, server busy, connection lost, malfunction, timeout, being processed.
_DOUBT = (1, 2, 4, 6, 9, 128, 139, 142, 143)
_REFUSED = (
    3, 5, 7, 10, 11, 64, 65, 66, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 140, 144, 145, 146, 147, 148, 149,
    150,
)  # fmt: skip
# Errors of the terminal itself, found before anything leaves it: of its language, files, objects and trade checks.
_TERMINAL = (*range(4000, 4023), *range(4024, 4070), *range(4099, 4113), *range(4200, 4255), *range(5001, 5211))
CODES: dict[int, Meaning] = {
    **dict.fromkeys((PLACED, DONE, PARTIAL), Meaning.DONE),
    **dict.fromkeys(_DOUBT, Meaning.DOUBT),
    **dict.fromkeys(THROTTLED_BY["mt4"], Meaning.THROTTLED),
    **dict.fromkeys(_REFUSED, Meaning.REFUSED),
    **dict.fromkeys(_TERMINAL, Meaning.REFUSED),
}
