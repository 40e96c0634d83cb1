"""Exposure by currency, group and account: positions as projected, valued at the desk's live quotes, in USD."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec
from django.db import connection

from apps.dealing.selectors.seats import panel_snapshot
from apps.risk import selectors as risk

ZERO = Decimal(0)
CENT = Decimal("0.01")
REPORTING_CURRENCY = "USD"
ROWS_MAX = 200
SIDES = ("client", "a", "b", "venue", "uncovered")
# Clients' long lots of a symbol are long its base and short what it is quoted in.
HELD_BY_CLIENTS = (("client_long", "long", "short"), ("client_short", "short", "long"))

# Long and short apart, because each is worth another side of the quote.
HELD = """
select {key}, p.symbol, i.contract_size, i.quote, count(*),
       sum(greatest(p.quantity, 0)), sum(greatest(-p.quantity, 0)),
       sum(sign(p.quantity) * p.a_lots), sum(sign(p.quantity) * p.b_lots), sum(sign(p.quantity) * p.cross_lots)
from trading_position p join accounts_account a using (account_id) join accounts_group g on g.id = a.group_id
     join instruments_instrument i using (symbol)
where p.quantity <> 0 group by 1, 2, 3, 4
"""
KEYS = {"group": "g.name", "account": "a.account_id"}

Row = dict[str, Any]
Rate = Callable[[str], Decimal | None]


class Marks:
    """Mids and rates of exchange as the quotes panel last had them."""

    def __init__(self, *, tenant: str) -> None:
        self._quotes = _rows(tenant, "quotes")

    def mid(self, symbol: str) -> Decimal | None:
        """Return the live mid, None where a side is missing."""
        row = self._quotes.get(symbol) or {}
        bid, ask = row.get("bid"), row.get("ask")
        return (Decimal(bid) + Decimal(ask)) / 2 if bid and ask else None

    def rate(self, currency: str) -> Decimal | None:
        """Return USD per unit of `currency`, None where nobody quotes it."""
        if currency == REPORTING_CURRENCY:
            return Decimal(1)
        direct = self.mid(f"{currency}{REPORTING_CURRENCY}")
        inverse = self.mid(f"{REPORTING_CURRENCY}{currency}")
        return direct or (1 / inverse if inverse else None)


def exposure_by(*, tenant: str, what: str) -> list[Row]:
    """Return exposure by `what` (currency, group or account), the largest first; amounts are USD text."""
    marks = Marks(tenant=tenant)
    rows = _by_currency(tenant, marks) if what == "currency" else _by_owner(what, marks)
    return sorted(rows, key=lambda row: -abs(Decimal(row["size"])))[:ROWS_MAX]


def _by_currency(tenant: str, marks: Marks) -> list[Row]:
    """Both legs of each symbol: long EURUSD is long EUR and short USD."""
    legs: dict[str, dict[str, Decimal]] = {}
    for row in _rows(tenant, "exposure").values():
        mid = marks.mid(row["symbol"])
        for side in SIDES:
            lots = Decimal(row["client_net" if side == "client" else side if side == "uncovered" else f"{side}_net"])
            units = lots * Decimal(row["contract_size"])
            _add(legs, row["base"], side, units)
            if mid is not None:
                _add(legs, row["currency"], side, -units * mid)
        for name, in_base, in_quote in HELD_BY_CLIENTS:
            units = Decimal(row[name]) * Decimal(row["contract_size"])
            _add(legs, row["base"], in_base, units)
            if mid is not None:
                _add(legs, row["currency"], in_quote, units * mid)
    found = []
    for currency, amounts in legs.items():
        rate = marks.rate(currency)
        if not any(amounts.values()):
            continue
        usd = None if rate is None else amounts.get("uncovered", ZERO) * rate
        found.append(
            {"key": currency, "name": currency, "rate": None if rate is None else str(round(rate, 6))}
            | {side: _text(amounts.get(side, ZERO)) for side in (*SIDES, "long", "short")}
            | {"usd": None if usd is None else _text(usd), "size": _text(usd or ZERO)}
        )
    return found


def _by_owner(what: str, marks: Marks) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(HELD.format(key=KEYS[what]))
        held = cursor.fetchall()
    owners: dict[str, dict[str, Decimal]] = {}
    unpriced: dict[str, set[str]] = {}
    for key, symbol, contract, quote, count, long, short, a_net, b_net, cross in held:
        mid, rate = marks.mid(symbol), marks.rate(quote)
        owner = owners.setdefault(key, {})
        owner["positions"] = owner.get("positions", ZERO) + count
        if mid is None or rate is None:
            unpriced.setdefault(key, set()).add(symbol)
            continue
        worth = contract * mid * rate
        parts = {"long": long, "short": short, "client": long - short, "a": a_net, "b": b_net, "cross": cross}
        for name, lots in parts.items():
            owner[name] = owner.get(name, ZERO) + lots * worth
    limits = _account_limits(marks) if what == "account" else {}
    return [_owner_row(key, parts, unpriced.get(key, set()), limits.get(key)) for key, parts in owners.items()]


def _account_limits(marks: Marks) -> dict[str, Decimal]:
    """Return what each account may have open, in USD; those whose currency nobody quotes are left out."""
    found = risk.account_exposure_limits().items()
    return {name: limit * rate for name, (limit, own) in found if (rate := marks.rate(own)) is not None}


def _owner_row(key: str, parts: dict[str, Decimal], unpriced: Iterable[str], limit: Decimal | None) -> Row:
    gross = parts.get("long", ZERO) + parts.get("short", ZERO)
    amounts = {name: _text(parts.get(name, ZERO)) for name in ("long", "short", "client", "a", "b", "cross")}
    use = {"limit": None, "limit_percent": None}
    if limit:
        use = {"limit": _text(limit), "limit_percent": str(round(gross * 100 / limit, 1))}  # type: ignore[dict-item]
    more = {"positions": int(parts["positions"]), "unpriced": sorted(unpriced), "gross": _text(gross)}
    return {"key": key, "name": key, **amounts, **use, **more, "size": _text(gross)}


def _rows(tenant: str, panel: str) -> dict[str, Row]:
    found = panel_snapshot(tenant=tenant, panel=panel)
    return msgspec.json.decode(found)["rows"] if found else {}


def _add(legs: dict[str, dict[str, Decimal]], currency: str, side: str, units: Decimal) -> None:
    amounts = legs.setdefault(currency, {})
    amounts[side] = amounts.get(side, ZERO) + units


def _text(amount: Decimal) -> str:
    return str(amount.quantize(CENT))
