"""Market data and lists of symbols towards clients: who asked for what, and what each is told (V, x -> W, X, Y, y).

Prices are the client's own, with his group's markup; they come from who makes them, and this keeps only what was shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

import msgspec

from piggy.adapters.fix.messages import SOH, fields
from piggy.adapters.fix_clients.config import LISTED_MAX, SUBSCRIPTIONS_MAX, SYMBOLS_MAX, Terms
from piggy.adapters.fix_clients.inbound import account_of, id_of
from piggy.adapters.fix_clients.outbound import clean
from piggy.core.market import ClientPrice
from piggy.core.money import plain

SNAPSHOT, SUBSCRIBE, UNSUBSCRIBE = "0", "1", "2"
UNKNOWN_SYMBOL, DUPLICATE, TOO_MUCH, TYPE, DEPTH, UPDATE, ENTRY = "0", "1", "2", "4", "5", "6", "8"
BID, OFFER = "0", "1"
_ADDED, _CHANGED, _DELETED = "0", "1", "2"
MARKET = ("V", "x")
Pair = tuple[str, str]


class Said(NamedTuple):
    """One message towards the client."""

    kind: str
    body: str


NOTHING = ClientPrice()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription: at every change `whole` books (35=W), else what changed (35=X); `once` is only the first."""

    request_id: str
    account_id: str
    symbols: tuple[str, ...]
    sides: tuple[str, ...]
    whole: bool
    once: bool


class UnableToShow(Exception):
    """The request is refused (35=Y): `reason` is its MDReqRejReason, the text names the limit."""

    def __init__(self, text: str, *, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class Board:
    """What one session asked for and what it was shown; `terms` are the session's."""

    def __init__(self, *, terms: Terms) -> None:
        self._terms = terms
        self._asked: dict[str, Asked] = {}
        self._shown: dict[tuple[str, str], ClientPrice] = {}
        self._latest: dict[Pair, ClientPrice] = {}

    @property
    def wanted(self) -> set[Pair]:
        """Account and symbol of every price that is asked for."""
        return {(each.account_id, symbol) for each in self._asked.values() for symbol in each.symbols}

    def ask(self, text: str) -> list[Said]:
        """Take a MarketDataRequest (35=V); return a refusal, or what is known already. Raises UnableToTake."""
        values = fields(text)
        request_id = id_of(values, "262")
        kind = values.get("263", "")
        if kind == UNSUBSCRIBE:
            self._forget(request_id)
            return []
        try:
            asked = self._read(text, values, request_id, kind)
        except UnableToShow as error:
            body = f"262={request_id}{SOH}281={error.reason}{SOH}58={clean(str(error))}{SOH}"
            return [Said("Y", body)]
        self._asked[request_id] = asked
        return self._news(asked, {symbol: self._latest.get((asked.account_id, symbol)) for symbol in asked.symbols})

    def take(self, prices: Mapping[str, Mapping[str, ClientPrice]]) -> list[Said]:
        """Take prices by account and symbol; return what the session is told of them."""
        wanted = self.wanted
        self._latest = {pair: price for pair, price in self._latest.items() if pair in wanted}
        found: list[Said] = []
        for account_id, of_account in prices.items():
            mine = {symbol: price for symbol, price in of_account.items() if (account_id, symbol) in wanted}
            self._latest |= {(account_id, symbol): price for symbol, price in mine.items()}
            for asked in [each for each in self._asked.values() if each.account_id == account_id]:
                found += self._news(asked, mine)
        return found

    def withdraw(self) -> list[Said]:
        """Nobody makes prices any more: return what takes back those that were shown."""
        gone: dict[str, dict[str, ClientPrice]] = {}
        for account_id, symbol in self.wanted:
            if self._latest.get((account_id, symbol), NOTHING) != NOTHING:
                gone.setdefault(account_id, {})[symbol] = NOTHING
        return self.take(gone)

    def _read(self, text: str, values: dict[str, str], request_id: str, kind: str) -> Asked:
        if request_id in self._asked:
            raise UnableToShow("MDReqID (262) is in use.", reason=DUPLICATE)
        if kind not in (SNAPSHOT, SUBSCRIBE):
            raise UnableToShow("SubscriptionRequestType (263): 0, 1 or 2.", reason=TYPE)
        if values.get("264", "1") != "1":
            raise UnableToShow("MarketDepth (264): 1, the best price of each side.", reason=DEPTH)
        if values.get("265", "0") not in ("0", "1"):
            raise UnableToShow("MDUpdateType (265): 0 or 1.", reason=UPDATE)
        sides = _all(text, "269")
        if not sides or not set(sides) <= {BID, OFFER}:
            raise UnableToShow("MDEntryType (269): 0 and 1.", reason=ENTRY)
        symbols = tuple(dict.fromkeys(_all(text, "55")))
        if unknown := [symbol for symbol in symbols if symbol not in self._terms.units]:
            raise UnableToShow(f"Symbol (55): there is no {unknown[0]}.", reason=UNKNOWN_SYMBOL)
        held = sum(len(each.symbols) for each in self._asked.values())
        if not symbols or held + len(symbols) > SYMBOLS_MAX or len(self._asked) >= SUBSCRIPTIONS_MAX:
            text = f"At most {SUBSCRIPTIONS_MAX} subscriptions to {SYMBOLS_MAX} symbols in all."
            raise UnableToShow(text, reason=TOO_MUCH)
        return Asked(
            request_id=request_id,
            account_id=account_of(values, self._terms),
            symbols=symbols,
            sides=sides,
            whole=values.get("265", "0") == "0",
            once=kind == SNAPSHOT,
        )

    def _news(self, asked: Asked, prices: Mapping[str, ClientPrice | None]) -> list[Said]:
        """Say what is new to this subscription; its first word of each symbol is a whole book."""
        found: list[Said] = []
        entries: list[str] = []
        for symbol, price in prices.items():
            shown = self._shown.get((asked.request_id, symbol))
            if price is None or symbol not in asked.symbols or price == shown:
                continue
            self._shown[asked.request_id, symbol] = price
            if shown is None or asked.whole:
                found.append(Said("W", self._book(asked, symbol, price)))
            else:
                entries += self._changes(asked, symbol, shown, price)
        if entries:
            found.append(Said("X", f"262={asked.request_id}{SOH}268={len(entries)}{SOH}{''.join(entries)}"))
        if asked.once and all((asked.request_id, symbol) in self._shown for symbol in asked.symbols):
            self._forget(asked.request_id)
        return found

    def _forget(self, request_id: str) -> None:
        self._asked.pop(request_id, None)
        self._shown = {key: price for key, price in self._shown.items() if key[0] != request_id}

    def _book(self, asked: Asked, symbol: str, price: ClientPrice) -> str:
        entries = []
        for side in asked.sides:
            at, lots = _side(price, side)
            # A side that nobody can deal at is said to be closed.
            told = f"270={plain(at)}{SOH}271={self._size(symbol, lots)}" if at is not None else f"270=0{SOH}276=B"
            entries.append(f"269={side}{SOH}{told}{SOH}")
        return f"262={asked.request_id}{SOH}55={symbol}{SOH}268={len(entries)}{SOH}{''.join(entries)}"

    def _changes(self, asked: Asked, symbol: str, shown: ClientPrice, price: ClientPrice) -> Iterable[str]:
        for side in asked.sides:
            (before, _), (at, lots) = _side(shown, side), _side(price, side)
            if _side(shown, side) == _side(price, side):
                continue
            action = _DELETED if at is None else _ADDED if before is None else _CHANGED
            told = f"270={plain(at)}{SOH}271={self._size(symbol, lots)}{SOH}" if at is not None else ""
            yield f"279={action}{SOH}269={side}{SOH}278={symbol}.{side}{SOH}55={symbol}{SOH}{told}"

    def _size(self, symbol: str, lots: Decimal) -> str:
        return plain(lots * self._terms.units_per_lot(symbol))


def listed(*, text: str, terms: Terms) -> list[Said]:
    """Return all that a session may trade (35=y), in parts, answering its request (35=x). Raises UnableToTake."""
    values = fields(text)
    request_id = id_of(values, "320")
    asked = [values["55"]] if values.get("55") and values.get("559") == "0" else list(terms.steps)
    found = [symbol for symbol in asked if symbol in terms.steps]
    result = "0" if found else "2"  # No instruments found.
    parts = [found[at : at + LISTED_MAX] for at in range(0, len(found), LISTED_MAX)] or [[]]
    said = []
    for number, part in enumerate(parts, start=1):
        last = "Y" if number == len(parts) else "N"
        heads = f"320={request_id}{SOH}322={request_id}-{number}{SOH}560={result}{SOH}393={len(found)}{SOH}"
        entries = "".join(_entry(symbol, terms) for symbol in part)
        group = f"146={len(part)}{SOH}{entries}" if part else ""
        said.append(Said("y", f"{heads}893={last}{SOH}{group}"))
    return said


def _entry(symbol: str, terms: Terms) -> str:
    step, units = terms.steps[symbol], terms.units_per_lot(symbol)
    return (
        f"55={symbol}{SOH}15={step.currency}{SOH}561={plain(step.lot_step * units)}{SOH}"
        f"562={plain(step.lot_min * units)}{SOH}58={clean(f'tick {plain(step.tick_size)}')}{SOH}"
    )


def _side(price: ClientPrice, side: str) -> tuple[Decimal | None, Decimal]:
    return (price.bid, price.bid_lots) if side == BID else (price.ask, price.ask_lots)


def _all(text: str, tag: str) -> tuple[str, ...]:
    return tuple(part.partition("=")[2] for part in text.split(SOH) if part.startswith(f"{tag}="))
