"""Margin watch: which accounts no price has moved enough to endanger, so that a tick looks only at the others.

Whoever was looked at exactly and found safe gets a band around each price that matters to it; as long as all of them
stay inside, no margin call can be due. What changes the account, or leaves a band, has it looked at exactly again.
Looking takes its time, and a desk that has just started knows nobody to be safe: so accounts stand in line, and a step
takes a few of them, who were called before everybody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import islice

import msgspec

from piggy.core.conversion import Pairs, Touch, conversion
from piggy.core.funds import Funds, position_profit, stop_out_percent
from piggy.core.money import ZERO
from piggy.core.state import State

HUNDRED = Decimal(100)
SHARE_MAX, SHARE_MIN = Decimal("0.05"), Decimal("0.00001")
# Below this a conversion rate's last digit could outweigh the slack.
RATE_MIN = Decimal("0.0001")
# If every price moves by at most a share e <= 5 %, a position loses at most e times its worth. A converted one loses at
# most e x (1.22 worth + 2.2 |profit|), for a rate over two legs then moves by at most 2.2 e. The rest is slack.
PLAIN, CONVERTED, CONVERTED_PROFIT = Decimal("1.01"), Decimal("1.3"), Decimal(3)
STALE_MAX = 1_000
# Of each line. An exact look takes some 20 us, and orders wait meanwhile.
LOOKS_PER_STEP_MAX = 100
BANDS_KEPT = 1_024

Entry = tuple[Decimal, int, str]


class Band(msgspec.Struct, frozen=True):
    """The account stays safe while both bid and ask of `symbol` are at least `floor` and at most `ceiling`."""

    symbol: str
    floor: Decimal
    ceiling: Decimal


class MarginWatch:
    """The accounts known to be safe. It forgets freely: an unknown account is only looked at once more."""

    def __init__(self) -> None:
        self._safe: dict[str, int] = {}
        self._floors: dict[str, list[Entry]] = {}
        self._ceilings: dict[str, list[Entry]] = {}
        self._number = 0
        self._pressing: dict[str, None] = {}
        self._waiting: dict[str, None] = {}

    def unsafe(self, *, accounts: set[str]) -> set[str]:
        """Return those of `accounts` that must be looked at."""
        return accounts.difference(self._safe)

    def unsafe_holders(self, *, symbols: Iterable[str], holders: Mapping[str, set[str]]) -> set[str]:
        """Return the accounts that hold any of `symbols` and must be looked at."""
        accounts: set[str] = set()
        for symbol in symbols:
            accounts |= self.unsafe(accounts=holders.get(symbol, set()))
        return accounts

    def line_up(self, *, accounts: set[str], called: set[str]) -> None:
        """Have `accounts` looked at, those among `called` first; nobody stands in a line twice."""
        self._pressing |= dict.fromkeys(sorted(accounts & called))
        self._waiting |= dict.fromkeys(sorted(accounts.difference(self._waiting, called)))

    def next_in_line(self) -> tuple[str, ...]:
        """Return whom to look at now, at most LOOKS_PER_STEP_MAX of either line; they leave it."""
        chosen = [*islice(self._pressing, LOOKS_PER_STEP_MAX), *islice(self._waiting, LOOKS_PER_STEP_MAX)]
        for account_id in chosen:
            self._pressing.pop(account_id, None)
            self._waiting.pop(account_id, None)
        return tuple(dict.fromkeys(chosen))

    def trust(self, *, account_id: str, bands: Iterable[Band]) -> None:
        """Take an account as safe while prices stay within its bands."""
        self._number = number = self._number + 1
        self._safe[account_id] = number
        entries_max = STALE_MAX + 2 * len(self._safe)
        for band in bands:
            floors, ceilings = self._entries(band.symbol)
            heappush(floors, (-band.floor, number, account_id))
            heappush(ceilings, (band.ceiling, number, account_id))
            if len(floors) > entries_max:
                self._tidy(floors)
            if len(ceilings) > entries_max:
                self._tidy(ceilings)

    def moved(self, *, symbol: str, touch: Touch) -> None:
        """A price moved: accounts whose band it left are no longer safe."""
        bid, ask, _ = touch
        low, high = (bid, ask) if bid <= ask else (ask, bid)
        if floors := self._floors.get(symbol):
            self._drop(floors, -low)
        if ceilings := self._ceilings.get(symbol):
            self._drop(ceilings, high)

    def forget(self, *, account_id: str) -> None:
        """Something of the account changed."""
        self._safe.pop(account_id, None)

    def clear(self) -> None:
        """Something changed that may concern every account."""
        self._safe.clear()
        self._floors.clear()
        self._ceilings.clear()

    def _drop(self, entries: list[Entry], edge: Decimal) -> None:
        while entries and entries[0][0] < edge:
            _, number, account_id = heappop(entries)
            if self._safe.get(account_id) == number:
                del self._safe[account_id]

    def _entries(self, symbol: str) -> tuple[list[Entry], list[Entry]]:
        floors = self._floors.get(symbol)
        if floors is None:
            floors, self._ceilings[symbol] = self._floors.setdefault(symbol, []), []
        return floors, self._ceilings[symbol]

    def _tidy(self, entries: list[Entry]) -> None:
        """Throw away what no longer speaks for anybody."""
        entries[:] = [kept for kept in entries if self._safe.get(kept[2]) == kept[1]]
        heapify(entries)


def safe_bands(
    *, state: State, account_id: str, funds: Funds, marks: Mapping[str, Touch], pairs: Pairs
) -> tuple[Band, ...] | None:
    """Return bands in which the account stays above its maintenance margin and every level of its group.

    None where none is sure. `funds` are those at `marks`, all positions priced.
    """
    account = state.accounts[account_id]
    group = state.groups[account.group]
    level = max(group.margin_call_percent, stop_out_percent(account=account, group=group))
    cushion = funds.equity - max(funds.used_margin * level / HUNDRED, funds.maintenance)
    # Profiles shape prices by time and spread, so there no band of raw prices is sure.
    if cushion <= 0 or state.profiles:
        return None
    weight, symbols = ZERO, set[str]()
    for position_id in state.positions_of.get(account_id, ()):
        found = _weight(state, position_id, marks, pairs, symbols)
        if found is None:
            return None
        weight += found
    share = min(SHARE_MAX, cushion / weight) if weight else SHARE_MAX
    return _bands(symbols, share, marks) if share >= SHARE_MIN else None


def _weight(
    state: State, position_id: str, marks: Mapping[str, Touch], pairs: Pairs, symbols: set[str]
) -> Decimal | None:
    """Return what a share of price movement is multiplied with to bound a position's loss; add the prices it needs."""
    position = state.positions[position_id]
    account, instrument = state.accounts[position.account_id], state.instruments[position.symbol]
    bid, ask, _ = marks[position.symbol]
    symbols.add(position.symbol)
    worth = abs(position.quantity) * instrument.contract_size * (ask if ask > bid else bid)
    if instrument.quote == account.currency:
        return worth * PLAIN
    rates: list[Decimal] = []
    for gain in (True, False):
        found = conversion(source=instrument.quote, target=account.currency, gain=gain, pairs=pairs, quotes=marks.get)
        if found is None or found.rate < RATE_MIN:
            return None
        rates.append(found.rate)
        symbols.update(leg.symbol for leg in found.legs)
    profit = position_profit(state=state, position=position, marks=marks, pairs=pairs)
    assert profit is not None, "the position was just priced"
    return worth * max(rates) * CONVERTED + abs(profit) * max(rates) / min(rates) * CONVERTED_PROFIT


def _bands(symbols: Iterable[str], share: Decimal, marks: Mapping[str, Touch]) -> tuple[Band, ...] | None:
    bands: list[Band] = []
    for symbol in sorted(symbols):
        band = _band(symbol, share, marks[symbol])
        if band is None:
            return None
        bands.append(band)
    return tuple(bands)


# Most accounts are far from danger, so that they share the widest band around the same prices.
@lru_cache(maxsize=BANDS_KEPT)
def _band(symbol: str, share: Decimal, touch: Touch) -> Band | None:
    bid, ask, _ = touch
    low, high = (bid, ask) if bid <= ask else (ask, bid)
    # Reckoned from the far side, so that neither bid nor ask may move by more than the share.
    band = Band(symbol, high * (1 - share), low * (1 + share))
    return None if low < band.floor or high > band.ceiling else band
