"""What people do about the controls: close what is stopped, run calls, record locates and volumes, override."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from apps.dealing.models import DeskAction
from apps.dealing.services.acting import Outcome, UnableToAct, Wish, first_outcome, perform
from apps.dealing.services.engine import require_confirmation, require_target
from apps.outbox.services import tell_engine
from piggy.core.auctions import AuctionPhase
from piggy.core.commands import (
    AnyCommand,
    ChangePhase,
    FlattenPositions,
    GrantOverride,
    RecordDailyVolume,
    RecordLocate,
    ReleaseThrottle,
)
from piggy.core.risk import OVERRIDABLE

ASK = "ask-override"
OVERRIDE_MINUTES = 25
ROWS_MAX = 500


def flatten(*, wish: Wish, scope: str, key: str, confirm: str) -> Outcome:
    """Close what a halted or killed scope still holds; whoever stopped it cannot (the engine holds them to it)."""
    require_target(scope=scope, key=key)
    require_confirmation(given=confirm, expected=f"flatten {key or wish.tenant}")
    command = FlattenPositions(scope=scope, key=key, reason=wish.reason, by=wish.by)
    return perform(wish=wish, subject=f"{scope}:{key}" if key else scope, command=command, waits=False)


def change_phase(*, wish: Wish, symbol: str, phase: AuctionPhase, call_s: int | None, confirm: str) -> Outcome:
    """Begin or end a call of a symbol, open or close it; leaving a call is its auction. Raises UnableToAct."""
    require_target(scope="symbol", key=symbol)
    require_confirmation(given=confirm, expected=f"{phase.value.replace('_', ' ')} {symbol}")
    command = ChangePhase(symbol=symbol, phase=phase, reason=wish.reason, by=wish.by, call_s=call_s)
    return perform(wish=wish, subject=f"symbol:{symbol}", command=command, waits=False)


def record_locates(*, wish: Wish, rows: Sequence[dict[str, Any]]) -> Outcome:
    """Record what accounts may borrow, one or a list; 0 lots take a locate back. Raises UnableToAct."""
    for row in rows:
        require_target(scope="account", key=row["account_id"])
        require_target(scope="symbol", key=row["symbol"])
    names = [f"locate:{row['account_id']}:{row['symbol']}:{row['reference']}" for row in rows]
    _require_once(names)
    return _record(wish, {name: RecordLocate(**row, by=wish.by) for name, row in zip(names, rows, strict=True)})


def record_volumes(*, wish: Wish, rows: Sequence[dict[str, Any]]) -> Outcome:
    """Record what the whole market dealt in symbols on business dates. Raises UnableToAct."""
    for row in rows:
        require_target(scope="symbol", key=row["symbol"])
    names = [f"volume:{row['symbol']}:{row['business_date']}" for row in rows]
    _require_once(names)
    return _record(wish, {name: RecordDailyVolume(**row) for name, row in zip(names, rows, strict=True)})


def ask_override(*, wish: Wish, order_id: str, codes: Sequence[str]) -> Outcome:
    """Ask that an order be let through named controls; another person grants it (P-26). Raises UnableToAct."""
    if not set(codes) <= OVERRIDABLE:
        text = f"Only {', '.join(sorted(OVERRIDABLE))} may be overridden."
        raise UnableToAct(text, code="NOT_OVERRIDABLE", field="codes")
    return perform(wish=wish, subject=f"order:{order_id}")


def grant_override(*, wish: Wish, action_id: int) -> Outcome:
    """Grant what another person asked for in the last half hour. Raises UnableToAct."""
    if done := first_outcome(wish=wish, waits=False):
        return done
    asked = asked_by_another(wish=wish, kind=ASK, action_id=action_id)
    command = GrantOverride(
        order_id=asked.body["order_id"],
        codes=frozenset(asked.body["codes"]),
        reason=asked.reason,
        requested_by=asked.by,
        authorised_by=wish.by,
        expires_at_us=int((wish.now + timedelta(minutes=OVERRIDE_MINUTES)).timestamp() * 1_000_000),
    )
    return perform(wish=wish, subject=asked.subject, command=command, waits=False)


def asked_by_another(*, wish: Wish, kind: str, action_id: int) -> DeskAction:
    """Return what somebody else asked for in the last half hour. Raises UnableToAct."""
    since = wish.now - timedelta(minutes=OVERRIDE_MINUTES)
    asked = DeskAction.objects.filter(pk=action_id, kind=kind, at__gte=since).first()
    if asked is None:
        raise UnableToAct("Nobody asked for it in the last minutes.", code="NOT_ASKED", field="action_id")
    if asked.by == wish.by:
        raise UnableToAct("This needs a second pair of eyes.", code="FOUR_EYES", field="action_id")
    return asked


def release_throttle(*, wish: Wish, account_id: str) -> Outcome:
    """Let an account deal again whose executions came too fast (P-15). Raises UnableToAct."""
    require_target(scope="account", key=account_id)
    command = ReleaseThrottle(account_id=account_id, by=wish.by, reason=wish.reason)
    return perform(wish=wish, subject=f"account:{account_id}", command=command)


def _require_once(names: Sequence[str]) -> None:
    """Raise UnableToAct where two rows are of the same: one of them would be lost without a word."""
    for at, name in enumerate(names):
        if (first := names.index(name)) != at:
            text = f"Row {at + 1} is of the same as row {first + 1}: leave one out."
            raise UnableToAct(text, code="ROW_TWICE", field=f"rows.{at}")


def _record(wish: Wish, commands: dict[str, AnyCommand]) -> Outcome:
    """Tell each in the transaction of the one entry."""

    def tell(action: DeskAction) -> None:
        for name, command in commands.items():
            tell_engine(tenant=wish.tenant, command=command, reference=name, version=f"desk:{action.pk}", by=wish.by)

    return perform(wish=wish, subject=next(iter(commands)).rpartition(":")[0], effect=tell)
