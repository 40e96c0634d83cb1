"""What today's flow of each group made, and would have made under A, B and MIXED, marked at the live quotes."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.dealing.selectors.exposures import CENT, REPORTING_CURRENCY, Marks
from piggy.core import counterfactual as core
from piggy.core.orders import Side

# All is linear in the fills, so those alike are summed before they are marked. An LP's fee is that of whom the order
# went to, or would have gone to first; its best price at arrival stands on the order.
DEALT = """
select g.name, g.a_book_percent, g.book_mode, f.book, f.side, f.symbol, i.quote, a.currency,
       coalesce(p.commission_per_million, 0), sum(sign(f.quantity))::int, sum(f.quantity * i.contract_size),
       sum(f.quantity * i.contract_size * f.price), sum(f.quantity * i.contract_size * f.raw_price),
       sum(f.quantity * i.contract_size * coalesce(o.best_price, f.raw_price)), sum(f.commission + f.premium)
from trading_fill f join accounts_account a using (account_id) join accounts_group g on g.id = a.group_id
     join instruments_instrument i using (symbol) join trading_order o using (order_id)
     left join liquidity_liquidityprovider p
            on p.name = case when f.book = 'A' then f.counterparty else o.best_venue end
where f.filled_at >= date_trunc('day', now(), 'UTC')
group by 1, 2, 3, 4, 5, 6, 7, 8, 9 order by 1
"""


def counterfactuals(*, tenant: str) -> list[dict[str, Any]]:
    """Return one row per group; amounts are text in USD. `unpriced` names symbols that nobody quotes now."""
    marks = Marks(tenant=tenant)
    with connection.cursor() as cursor:
        cursor.execute(DEALT)
        rows = cursor.fetchall()
    flows: dict[str, list[core.Dealt]] = defaultdict(list)
    unpriced: dict[str, set[str]] = defaultdict(set)
    terms: dict[str, tuple[Decimal, str]] = {}
    for group, percent, mode, book, side, symbol, quote, currency, fee, fills, units, paid, raw, arrival, took in rows:
        terms[group] = (percent, mode)
        mid, rate, own = marks.mid(symbol), marks.rate(quote), marks.rate(currency)
        if mid is None or rate is None or own is None:
            unpriced[group].add(symbol)
            continue
        flows[group].append(
            core.Dealt(
                book=book, side=Side(side), units=units, paid=paid, raw=raw, arrival=arrival, mark=mid, rate=rate,
                commission=took * own, fee_per_million=fee, fills=fills,
            )
        )  # fmt: skip
    return [
        _row(group, mode, percent, core.marks(flow=flows[group], a_percent=percent), unpriced[group])
        for group, (percent, mode) in terms.items()
    ]


def _row(group: str, mode: str, percent: Decimal, found: core.Marks, unpriced: set[str]) -> dict[str, Any]:
    amounts = {
        "actual": found.actual,
        "under_a": found.under_a,
        "under_b": found.under_b,
        "under_mixed": found.under_mixed,
    }
    best = max(("A", found.under_a), ("B", found.under_b), ("MIXED", found.under_mixed), key=lambda each: each[1])
    per_million = {f"{name}_rpm": found.per_million(amount=amount) for name, amount in amounts.items()}
    return {
        "key": group,
        "group": group,
        "mode": mode,
        "a_percent": f"{percent.normalize():f}",
        "currency": REPORTING_CURRENCY,
        "fills": found.fills,
        "volume": str(found.volume.quantize(CENT)),
        **{name: str(amount.quantize(CENT)) for name, amount in (amounts | per_million).items()},
        "best": best[0] if found.fills else "",
        "unpriced": sorted(unpriced),
    }
