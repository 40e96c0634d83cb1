"""What each book earned today and what is open in it; amounts are text, in the accounts' currency."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import connection

from apps.dealing.selectors.exposures import CENT, ZERO, Marks

MILLION = Decimal(1_000_000)

DEALT = """
select f.book, a.currency, count(*), sum(f.quantity),
       sum(f.quantity * i.contract_size * f.price * f.conversion_rate),
       sum(f.realised), sum(f.commission + f.premium), sum(f.markup_revenue), sum(f.guarantee_cost)
from trading_fill f join accounts_account a using (account_id) join instruments_instrument i using (symbol)
where f.filled_at >= date_trunc('day', now(), 'UTC') group by 1, 2 order by 1, 2
"""
OPEN = """
select p.symbol, i.contract_size, i.quote, sign(p.quantity),
       sum(p.a_lots), sum(p.b_lots), sum(p.cross_lots), sum(p.cost * p.a_lots / abs(p.quantity)),
       sum(p.cost * p.b_lots / abs(p.quantity)), sum(p.cost * p.cross_lots / abs(p.quantity))
from trading_position p join instruments_instrument i using (symbol)
where p.quantity <> 0 group by 1, 2, 3, 4
"""
BOOKS = ("A", "B", "CROSS")


def books(*, tenant: str) -> list[dict[str, Any]]:
    """Return one row per book and currency: what clients made, what the house earned, revenue per million dealt.

    In the B book the house is the other side: it earns what clients lose, the markup being part of that. In A and CROSS
    it earns markup and commission, less what guaranteed stops got over the market. Premiums count as commission.
    """
    floating = _floating(Marks(tenant=tenant))
    with connection.cursor() as cursor:
        cursor.execute(DEALT)
        dealt = cursor.fetchall()
    rows = [_row(*each) for each in dealt]
    return rows + [
        {"key": f"{book}:open", "book": book, "currency": "USD", "kind": "open", "floating": str(amount.quantize(CENT))}
        for book, amount in floating.items()
        if amount
    ]


def _row(
    book: str,
    currency: str,
    fills: int,
    lots: Decimal,
    volume: Decimal,
    realised: Decimal,
    commission: Decimal,
    markup: Decimal,
    guaranteed: Decimal,
) -> dict[str, Any]:
    house = commission - realised if book == "B" else commission + markup - guaranteed
    amounts = {"volume": volume, "realised": realised, "commission": commission, "markup": markup, "house": house}
    per_million = house * MILLION / volume if volume else ZERO
    return {
        "key": f"{book}:{currency}",
        "book": book,
        "currency": currency,
        "kind": "today",
        "fills": fills,
        "lots": str(lots.quantize(CENT)),
        **{name: str(amount.quantize(CENT)) for name, amount in amounts.items()},
        "per_million": str(per_million.quantize(CENT)),
    }


def _floating(marks: Marks) -> dict[str, Decimal]:
    """Return clients' open profit by book, in USD at the mid."""
    totals = dict.fromkeys(BOOKS, ZERO)
    with connection.cursor() as cursor:
        cursor.execute(OPEN)
        for symbol, contract, quote, sign, *parts in cursor.fetchall():
            mid, rate = marks.mid(symbol), marks.rate(quote)
            if mid is None or rate is None:
                continue
            for at, book in enumerate(BOOKS):
                lots, cost = parts[at] * sign, parts[at + len(BOOKS)]
                totals[book] += (lots * mid - cost) * contract * rate
    return totals
