"""Committed events -> balances, used margin and margin calls for people. Repeatable: each row knows its last seq."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from apps.common import bulk
from apps.common.times import moment
from apps.risk.models import AccountMargin, MarginCall
from piggy.core import events as ev
from piggy.core.correction_events import OrderFillBusted
from piggy.core.events import Recorded

ZERO = Decimal(0)
TABLES = (AccountMargin, MarginCall)
MONEY = ("balance", "deposited", "withdrawn", "realised", "commission", "premiums", "swaps")
ACCOUNT_UPDATES = ("last_seq", "currency", *MONEY, "margin_called", "updated_at")


def project(*, tenant: str, batch: Sequence[Recorded]) -> Iterator[None]:
    """Fold `batch` (rising seq, inside the caller's transaction) into the tables; events already folded are skipped."""
    mine = [recorded for recorded in batch if type(recorded.event) in EVENT_HANDLERS]
    if not mine:
        return
    rows = _load(mine)
    yield
    for recorded in mine:
        EVENT_HANDLERS[type(recorded.event)](rows, recorded.event, recorded)
    rows.save()


@dataclass(slots=True)
class Rows:
    """The rows that one batch touches; of `changed` those that are `added` are not in the table yet."""

    accounts: dict[str, Any]
    calls: list[MarginCall] = field(default_factory=list)
    changed: dict[str, None] = field(default_factory=dict)
    added: set[str] = field(default_factory=set)

    def account(self, account_id: str, recorded: Recorded) -> Any:
        """Return the account's row to change, None where this event is already in it."""
        row = self.accounts.get(account_id)
        if row is None:
            row = self.accounts[account_id] = bulk.new(AccountMargin, account_id=account_id, last_seq=0)
            self.added.add(account_id)
        if row.last_seq >= recorded.seq:
            return None
        row.last_seq, row.updated_at = recorded.seq, recorded.recorded_at_us
        self.changed[account_id] = None
        return row

    def save(self) -> None:
        """Write what is new in one statement, and what changed in another."""
        bulk.insert(rows=[self.accounts[key] for key in self.changed if key in self.added], model=AccountMargin)
        bulk.update(rows=[self.accounts[key] for key in self.changed if key not in self.added], names=ACCOUNT_UPDATES)
        MarginCall.objects.bulk_create(self.calls, ignore_conflicts=True)


def _load(batch: Sequence[Recorded]) -> Rows:
    events: list[Any] = [recorded.event for recorded in batch]
    account_ids = {
        event.account.account_id if isinstance(event, ev.AccountConfigured) else event.account_id for event in events
    }
    return Rows(accounts={row.account_id: row for row in AccountMargin.objects.filter(account_id__any_of=account_ids)})


def _configured(rows: Rows, event: ev.AccountConfigured, recorded: Recorded) -> None:
    if (row := rows.account(event.account.account_id, recorded)) is not None:
        row.currency = event.account.currency


def _credited(rows: Rows, event: ev.AccountCredited, recorded: Recorded) -> None:
    if (row := rows.account(event.account_id, recorded)) is not None:
        row.balance += event.amount
        row.deposited += event.amount
        row.currency = event.currency


def _debited(rows: Rows, event: ev.AccountDebited, recorded: Recorded) -> None:
    if (row := rows.account(event.account_id, recorded)) is not None:
        row.balance -= event.amount
        row.withdrawn += event.amount


def _filled(rows: Rows, event: ev.OrderFilled, recorded: Recorded) -> None:
    if (row := rows.account(event.account_id, recorded)) is not None:
        row.balance += event.realised - event.commission - event.premium
        row.realised += event.realised
        row.commission += event.commission
        row.premiums += event.premium


def _busted(rows: Rows, event: OrderFillBusted, recorded: Recorded) -> None:
    if (row := rows.account(event.account_id, recorded)) is not None:
        row.balance += event.realised + event.commission + event.premium
        row.realised += event.realised
        row.commission -= event.commission
        row.premiums -= event.premium


def _swap_charged(rows: Rows, event: ev.SwapCharged | ev.SwapRestated, recorded: Recorded) -> None:
    if (row := rows.account(event.account_id, recorded)) is not None:
        row.balance += event.amount
        row.swaps += event.amount


def _written_off(rows: Rows, event: ev.NegativeBalanceWrittenOff, recorded: Recorded) -> None:
    if (row := rows.account(event.account_id, recorded)) is not None:
        row.balance += event.amount
    _record(rows, event.account_id, "written_off", recorded, detail=[f"{event.amount} {event.currency}"])


def _called(rows: Rows, event: ev.MarginCalled, recorded: Recorded) -> None:
    if (row := rows.account(event.account_id, recorded)) is not None:
        row.margin_called = True
    _record(rows, event.account_id, "margin_call", recorded, **_levels(event))


def _restored(rows: Rows, event: ev.MarginRestored, recorded: Recorded) -> None:
    if (row := rows.account(event.account_id, recorded)) is not None:
        row.margin_called = False
    _record(rows, event.account_id, "restored", recorded, level_percent=event.level_percent)


def _stopped_out(rows: Rows, event: ev.StoppedOut, recorded: Recorded) -> None:
    _record(rows, event.account_id, "stop_out", recorded, detail=list(event.positions), **_levels(event))


def _levels(event: ev.MarginCalled | ev.StoppedOut) -> dict[str, Decimal]:
    return {"equity": event.equity, "used_margin": event.used_margin, "level_percent": event.level_percent}


def _record(rows: Rows, account_id: str, kind: str, recorded: Recorded, **more: Any) -> None:
    at = moment(recorded.recorded_at_us)
    rows.calls.append(MarginCall(seq=recorded.seq, account_id=account_id, kind=kind, at=at, **more))


EVENT_HANDLERS: dict[type, Callable[[Rows, Any, Recorded], None]] = {
    ev.AccountConfigured: _configured,
    ev.AccountCredited: _credited,
    ev.AccountDebited: _debited,
    ev.OrderFilled: _filled,
    OrderFillBusted: _busted,
    ev.SwapCharged: _swap_charged,
    ev.SwapRestated: _swap_charged,
    ev.NegativeBalanceWrittenOff: _written_off,
    ev.MarginCalled: _called,
    ev.MarginRestored: _restored,
    ev.StoppedOut: _stopped_out,
}
