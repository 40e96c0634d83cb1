from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from django.db.models import QuerySet

from apps.accounts import selectors as accounts
from apps.risk.models import AccountMargin, ControlsReview, GroupLimits, MarginCall
from apps.trading import selectors as trading
from piggy.core.limits import HOUSE_LIMITS, Limits

ZERO = Decimal(0)
# What the desk may change for a while; the rest is set in the back office.
CHANGEABLE = (
    "order_value_max",
    "order_volume_max_lots",
    "orders_open_max",
    "slippage_bps_max",
    "window_value_max",
    "position_net_max_lots",
    "position_gross_max_lots",
    "exposure_account_max",
    "exposure_tenant_max",
    "exposure_venue_max",
    "loss_daily_account_max",
    "loss_daily_tenant_max",
)


class Money(NamedTuple):
    """An account's balance and used margin in its currency, as of the last projected event."""

    balance: Decimal
    used_margin: Decimal
    margin_called: bool


def money_of(*, account_ids: Iterable[str]) -> dict[str, Money]:
    """Return balance and used margin of each account, zero for one that the log has not spoken of."""
    ids = list(account_ids)
    rows, used = AccountMargin.objects.in_bulk(ids), trading.used_margin_of(account_ids=ids)
    return {
        account_id: Money(
            balance=rows[account_id].balance if account_id in rows else ZERO,
            used_margin=used.get(account_id, ZERO),
            margin_called=rows[account_id].margin_called if account_id in rows else False,
        )
        for account_id in ids
    }


def limits_of(*, group: str) -> Limits | None:
    """Return a group's own limits as the core has them, None where the house's hold."""
    row = all_limits().filter(group__name=group).first()
    return row.to_core() if row else None


def limits_version(*, group: str) -> int:
    """Return the version of a group's own limits, 0 where the house's hold."""
    return all_limits().filter(group__name=group).values_list("version", flat=True).first() or 0


def limit_notes() -> dict[str, str]:
    """Return what each limit is, by its name."""
    return {field.name: str(field.help_text) for field in GroupLimits._meta.fields if field.help_text}


def all_limits() -> QuerySet[GroupLimits]:
    """Return the limits of every group that has its own, by the group's name."""
    return GroupLimits.objects.select_related("group").order_by("group__name")


def latest_review() -> ControlsReview | None:
    """Return the review of the controls that was signed last, None where none ever was."""
    return ControlsReview.objects.order_by("-signed_at").first()


def margin_called_count() -> int:
    """Return how many accounts are under a margin call."""
    return AccountMargin.objects.filter(margin_called=True).count()


def account_exposure_limits() -> dict[str, tuple[Decimal, str]]:
    """Return the largest exposure (P-19) that each account may have, and the account's currency, which it is in."""
    own = {limits.group_id: limits.exposure_account_max for limits in GroupLimits.objects.all()}
    house = HOUSE_LIMITS.exposure_account_max
    found = accounts.all_accounts().values_list("account_id", "currency", "group_id")
    return {name: (limit, currency) for name, currency, of in found if (limit := own.get(of, house)) is not None}


def margin_events_of(*, account_id: str) -> QuerySet[MarginCall]:
    """Return an account's margin calls, their ends, stop-outs and write-offs."""
    return MarginCall.objects.filter(account_id=account_id)
