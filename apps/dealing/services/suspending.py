"""The platform suspends a broker in the middle of the day: sockets close, what works is taken back, closing stays."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.outbox.services import tell_engine
from apps.tenants.services import UnableToSuspendTenant, in_tenant, mark_suspended
from piggy.core.accounts import TradingState
from piggy.core.commands import SetTradingState

PLATFORM = "platform"
REASON_CHARACTERS_MAX = 500


def suspend(*, schema: str, reason: str, at: datetime, keeps_orders: bool = False) -> None:
    """Let a broker's clients close and nothing else; end what works unless told not to, save what only reduces (F-33).

    The mark and the command commit together; the open sockets see the mark within seconds. Needs the owner's
    connection. Raises tenants.services.UnableToSuspendTenant.
    """
    _tell(schema, reason, at, since=at, state=TradingState.REDUCING, suspends=True, cancel_working=not keeps_orders)


def lift_suspension(*, schema: str, reason: str, at: datetime) -> None:
    """Let a suspended broker trade again. Needs the owner's connection. Raises UnableToSuspendTenant."""
    _tell(schema, reason, at, since=None, state=TradingState.ACTIVE)


def _tell(
    schema: str,
    reason: str,
    at: datetime,
    *,
    since: datetime | None,
    state: TradingState,
    suspends: bool = False,
    cancel_working: bool = False,
) -> None:
    if not reason.strip() or len(reason) > REASON_CHARACTERS_MAX:
        raise UnableToSuspendTenant(f"The reason has {len(reason)} characters, it needs 1 to {REASON_CHARACTERS_MAX}.")
    command = SetTradingState(
        scope="firm", key="", state=state, reason=reason, by=PLATFORM, cancel_working=cancel_working, suspends=suspends
    )
    with transaction.atomic():
        mark_suspended(schema=schema, at=since)
        with in_tenant(schema):
            tell_engine(
                tenant=schema,
                command=command,
                reference="suspension",
                version=at.isoformat(),
                by=PLATFORM,
                reason=reason,
            )
