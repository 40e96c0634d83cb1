from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from django.db.models import Q

from apps.accounts import selectors as accounts
from apps.gateway.models import Asked, CopyCursor, FixClient, OrderCopy, SentMessage
from apps.instruments import selectors as instruments
from apps.outbox.selectors import commands_in_log
from apps.tenants import selectors as tenants
from apps.trading import selectors as trading
from piggy.adapters.fix_clients.config import Kind, Step, Terms
from piggy.adapters.fix_clients.outbound import Copy

SUSPENDED = "the broker is suspended; its accounts may close over the API or its desk"
CHANGED = "the session's settings were changed; log on again"
_ENDED = ("2", "4", "8", "C")
# What a session is let in by, and what it may hear and do.
_TERMS = (
    "comp_id",
    "password",
    "sources",
    "kind",
    "user_id",
    "every_account",
    "accounts",
    "in_lots",
    "cancel_on_disconnect",
)


def has_clients() -> bool:
    """Return whether the current broker has any FIX client."""
    return FixClient.objects.filter(enabled=True).exists()


def reason_to_end(*, tenant: str, client: FixClient) -> str:
    """Return why a session may not go on, '' where it may; `client` is it as it logged on.

    Of what was changed since then nothing would reach who stays: accounts, addresses and a password that were taken
    from it would be its own for as long as its line holds.
    """
    if tenants.is_suspended(schema=tenant):
        return SUSPENDED
    of_nobody_or_active = Q(user=None) | Q(user__is_active=True)
    now = FixClient.objects.filter(of_nobody_or_active, pk=client.pk, enabled=True).first()
    if now is None:
        return "the session is closed"
    return "" if all(getattr(now, name) == getattr(client, name) for name in _TERMS) else CHANGED


def accounts_of(*, client: FixClient) -> tuple[str, ...] | None:
    """Return the accounts that a session hears of, None for every one."""
    if client.every_account:
        return None
    if client.user_id is None:
        return tuple(client.accounts)
    owned = accounts.accounts_of(user=client.user).values_list("account_id", flat=True)
    return tuple(each for each in owned if not client.accounts or each in client.accounts)


def terms_of(*, client: FixClient) -> Terms:
    """Return what a session's requests are read with, as of now."""
    known = list(instruments.all_instruments())
    return Terms(
        kind=Kind(client.kind),
        accounts=accounts_of(client=client) or (),
        units={each.symbol: each.contract_size.normalize() for each in known},
        in_lots=client.in_lots,
        steps={
            each.symbol: Step(
                tick_size=each.tick_size, lot_step=each.lot_step, lot_min=each.lot_min, currency=each.quote
            )
            for each in known
            if each.tradable
        },
    )


def copied_seq() -> int:
    """Return the last event of the log that was copied."""
    row = CopyCursor.objects.first()
    return row.seq if row else 0


def last_copies(*, order_ids: Sequence[str]) -> dict[str, Copy]:
    """Return the latest copy of each order that has one."""
    rows = OrderCopy.objects.filter(order_id__any_of=list(order_ids)).order_by("order_id", "-seq").distinct("order_id")
    return {row.order_id: copy_of(row) for row in rows}


def copy_by_client_id(*, client: FixClient, cl_ord_id: str) -> Copy | None:
    """Return the latest copy that names this ClOrdID, of the session's own accounts only."""
    rows = OrderCopy.objects.filter(cl_ord_id=cl_ord_id, account_id__in=accounts_of(client=client) or ())
    found = rows.order_by("-seq").first()
    return last_copies(order_ids=[found.order_id])[found.order_id] if found else None


def open_copies(*, client: FixClient) -> list[Copy]:
    """Return the latest copy of every order of the session's accounts that has not ended.

    Which may be open is asked of the orders: an account's copies of years would each have to be read.
    """
    mine = accounts_of(client=client) or ()
    order_ids, shown = trading.open_order_ids(account_ids=mine)
    new = OrderCopy.objects.filter(account_id__in=mine, seq__gt=shown).values_list("order_id", flat=True)
    copies = last_copies(order_ids=sorted({*order_ids, *new})).values()
    return [copy for copy in copies if copy.status not in _ENDED]


def was_told(*, client: FixClient, cl_ord_id: str, before: datetime) -> bool:
    """Return whether the desk may know this ClOrdID: its log does, or it was asked later than `before`.

    What was written down and never left, as the database stopped in between, it does not know.
    """
    row = Asked.objects.filter(client=client, cl_ord_id=cl_ord_id).first()
    return row is not None and (row.asked_at > before or bool(commands_in_log(command_ids=[row.command_id])))


def refused_numbers(*, client: FixClient) -> frozenset[int]:
    """Return which of the client's messages were refused for good and may come again, as they were not all noted."""
    rows = SentMessage.objects.filter(client=client, refuses__gte=client.incoming)
    return frozenset(number for number in rows.values_list("refuses", flat=True) if number is not None)


def sent_between(*, client: FixClient, first: int, last: int, rows_max: int) -> list[tuple[SentMessage, Copy | None]]:
    """Return what was sent under numbers from `first` to `last`, each report with its copy; at most so many."""
    rows = list(client.sent.filter(number__gte=first, number__lte=last).order_by("number")[:rows_max])
    copies = OrderCopy.objects.in_bulk([row.copy_seq for row in rows if row.copy_seq is not None])
    return [(row, copy_of(copies[row.copy_seq]) if row.copy_seq is not None else None) for row in rows]


def copy_of(row: OrderCopy) -> Copy:
    """Return the facts of a row."""
    return msgspec.msgpack.decode(bytes(row.facts), type=Copy)
