"""What one client's FIX session may do, and the limits of all of them."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

MESSAGE_BYTES_MAX = 65_536
LOGON_S_MAX = 10.0
# Lines that have not logged on; past it the oldest goes, of the address that has most of them.
WAITING_MAX = 50
# An address whose last Logon was refused is looked at this often; looking at a password is meant to take long.
REFUSED_S = 1.0
# Requests of one session that wait for their turn, of which cancels may be more; resends that wait for theirs.
REQUESTS_MAX, RESENDS_MAX = 1_000, 10
HEARTBEAT_S_MIN, HEARTBEAT_S_MAX = 1, 120
CLOCK_S_MAX = 120
# What was sent for the first time longer ago was for another market; a client's own store sends it all the same (D8).
ORDER_AGE_S_MAX = 10
# A silent line is asked after one and a bit heartbeats and given up after two and a bit (F-07).
ASK_AFTER, GIVE_UP_AFTER = 1.2, 2.4
RESEND_MAX = 2_500
# How long an answer to our own question for what is missing may bring nothing, until it is asked again.
ASK_AGAIN_S = 10.0
CL_ORD_ID_CHARACTERS_MAX = 64
TEXT_CHARACTERS_MAX = 200
# Of one session, all its subscriptions together; each symbol is told at most as often as prices are made for it.
SUBSCRIPTIONS_MAX, SYMBOLS_MAX = 20, 100
LISTED_MAX = 50


class Kind(StrEnum):
    """What a session is for: `DROP_COPY` hears reports and may ask nothing."""

    ORDERS = "orders"
    DROP_COPY = "drop_copy"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """In which steps a symbol is traded; `currency` is that of its price."""

    tick_size: Decimal
    lot_step: Decimal
    lot_min: Decimal
    currency: str


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a session's requests are read with; `units` holds the units of one lot by symbol, none: it speaks in lots.

    `accounts` are those it may name; with exactly one it need not name it. `steps` are of what may be traded now.
    """

    kind: Kind
    accounts: tuple[str, ...]
    units: dict[str, Decimal]
    in_lots: bool = False
    steps: dict[str, Step] = {}

    def units_per_lot(self, symbol: str) -> Decimal:
        """Return the quantity that one lot is on the wire."""
        return Decimal(1) if self.in_lots else self.units.get(symbol, Decimal(1))
