"""What protects clients: losses that they must be told of, and the share of accounts that lose money."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import F, Max, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from apps.accounts import selectors as accounts
from apps.common.times import microseconds
from apps.instruments import selectors as instruments
from apps.risk.models import DepreciationNotice, LossShare
from apps.risk.selectors.prices import Quotes
from apps.trading import selectors as trading
from apps.treasury import selectors as treasury
from piggy.core.protection import WINDOW_DAYS, RiskWarning, depreciation_notices, risk_warning

ZERO = Decimal(0)
MONEY_STEP = Decimal("0.01")
NOTICES_SHOWN = 200
# Said beside the figure; and alone for as long as there is none that may be said.
BESIDE = "They are complex, and leverage can lose the money quickly. Trade them only if you understand them and can bear the loss."  # noqa: E501
ALONE = "CFDs are complex, and leverage can lose the money quickly. Trade them only if you understand them and can bear the loss."  # noqa: E501


class Depreciated(NamedTuple):
    """An open position that newly lost so many percent of its initial value; money in the account's currency."""

    account_id: str
    position_id: str
    symbol: str
    opened_at: datetime
    percent: int
    initial: Decimal
    value: Decimal
    currency: str
    price: Decimal


class _Worth(NamedTuple):
    initial: Decimal
    value: Decimal
    price: Decimal


def depreciated(*, tenant: str, at: datetime) -> list[Depreciated]:
    """Return the retail positions of which a notice is due at the live quotes; those without a price are left out.

    2017/565 Art 62(2) counts in tenths of each instrument's initial value, what it cost to begin with (ESMA's answer
    to question 8.3 on investor protection): the lots at the price they were opened at, the premium of an option bought.
    Neither margin nor a change of it plays a part; what leverage does to the account, margin calls tell.
    """
    quotes, currencies = Quotes(tenant=tenant, now_us=microseconds(at)), accounts.retail_currencies()
    terms = {row.symbol: row for row in instruments.all_instruments()}
    noted = _noted()
    due = []
    for held in trading.open_positions(account_ids=currencies):
        currency = currencies[held.account_id]
        worth = _worth(held, terms[held.symbol], currency, quotes)
        already = noted.get((held.position_id, held.opened_at), 0)
        if worth is None:
            continue
        before = worth.initial * (100 - already) / 100
        if steps := depreciation_notices(initial=worth.initial, before=before, after=worth.value):
            due.append(
                Depreciated(
                    held.account_id, held.position_id, held.symbol, held.opened_at, steps[-1],
                    worth.initial, worth.value, currency, worth.price,
                )
            )  # fmt: skip
    return due


def losing_accounts(*, tenant: str, since: datetime, at: datetime) -> tuple[int, int]:
    """Return (accounts, losing) of the retail accounts that dealt since `since` or hold something at `at`.

    An account lost money where its fills and its nights since then, costs taken off, and its open profit at the live
    quotes come to less than nothing. What came in and went out does not count.
    """
    quotes, currencies = Quotes(tenant=tenant, now_us=microseconds(at)), accounts.retail_currencies()
    terms = {row.symbol: row for row in instruments.all_instruments()}
    made = {account_id: net for account_id, net in trading.booked_since(at=since).items() if account_id in currencies}
    for account_id, amount in treasury.swaps_since(at=since).items():
        if account_id in currencies:
            made[account_id] = made.get(account_id, ZERO) + amount
    for held in trading.open_positions(account_ids=currencies):
        worth = _worth(held, terms[held.symbol], currencies[held.account_id], quotes)
        made[held.account_id] = made.get(held.account_id, ZERO) + (worth.value - worth.initial if worth else ZERO)
    return len(made), sum(net < 0 for net in made.values())


def window_begins(*, at: datetime) -> datetime:
    """Return when the twelve months that the risk warning speaks of began."""
    return at - timedelta(days=WINDOW_DAYS)


def latest_loss_share() -> LossShare | None:
    """Return the last measurement, None before the first."""
    return LossShare.objects.order_by("-measured_at").first()


def risk_warning_of(*, share: LossShare | None, at: datetime) -> RiskWarning | None:
    """Return the warning with its figure as it may be said at `at`, None where it must be measured first."""
    if share is None:
        return None
    measured_at_us, now_us = microseconds(share.measured_at), microseconds(at)
    return risk_warning(losing=share.losing, accounts=share.accounts, measured_at_us=measured_at_us, now_us=now_us)


def warning_is_due() -> bool:
    """Return whether there is no figure that may be said: never measured, or too long ago."""
    return risk_warning_of(share=latest_loss_share(), at=timezone.now()) is None


def warning_text() -> str:
    """Return what every page that offers CFDs says of their risk now."""
    found = risk_warning_of(share=latest_loss_share(), at=timezone.now())
    return f"{found.text} {BESIDE}" if found else ALONE


def warning_told() -> dict[str, Any]:
    """Return the warning in its parts: the figure or None, the words, and when it was measured."""
    share, now = latest_loss_share(), timezone.now()
    found = risk_warning_of(share=share, at=now)
    percent = str(found.percent) if found and found.percent is not None else None
    measured_at = share.measured_at if share and found else None
    return {"percent": percent, "text": warning_text(), "measured_at": measured_at}


def warning_context(request: HttpRequest) -> dict[str, Any]:
    """Give every template `risk_warning`; only those that say it ask the tables."""
    return {"risk_warning": SimpleLazyObject(warning_text)}


def notices_of(*, user: Any) -> QuerySet[DepreciationNotice]:
    """Return notices of the user's own accounts, those that were told to nobody before all others."""
    mine = list(accounts.accounts_of(user=user).values_list("account_id", flat=True))
    untold_first = F("told_at").desc(nulls_first=True)
    return DepreciationNotice.objects.filter(account_id__in=mine).order_by(untold_first, "-id")[:NOTICES_SHOWN]


def untold_notices() -> QuerySet[DepreciationNotice]:
    """Return the notices that nobody has told their client yet, the oldest first."""
    return DepreciationNotice.objects.filter(told_at=None).order_by("id")


def _noted() -> dict[tuple[str, datetime], int]:
    """The largest loss that was noted of each position since it was last flat."""
    latest = DepreciationNotice.objects.values("position_id", "opened_at").annotate(most=Max("percent"))
    return {(row["position_id"], row["opened_at"]): row["most"] for row in latest}


def _worth(held: Any, terms: Any, currency: str, quotes: Quotes) -> _Worth | None:
    """What a position cost, and what is left of that at the price that it would close at, in the account's currency.

    Both at the rate of now: a currency's fall is not the instrument's.
    """
    price = quotes.closing(symbol=held.symbol, quantity=held.quantity)
    rate = quotes.rate(source=terms.quote, target=currency)
    if price is None or rate is None:
        return None
    per_lot = terms.contract_size * rate
    initial, profit = abs(held.cost) * per_lot, (held.quantity * price - held.cost) * per_lot
    return _Worth(initial.quantize(MONEY_STEP), (initial + profit).quantize(MONEY_STEP), price)
