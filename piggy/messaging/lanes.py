"""Two lanes into a desk: what makes it safer does not queue behind what it is to be made safe from."""

from __future__ import annotations

from piggy.core.commands import CancelOrder, Command, SetTradingState
from piggy.messaging import streams

URGENT = (CancelOrder, SetTradingState)


def key_of(*, tenant: str, command: Command) -> str:
    """Return the stream that a command goes on."""
    return streams.urgent_key(tenant=tenant) if isinstance(command, URGENT) else streams.commands_key(tenant=tenant)


def keys(*, tenant: str) -> tuple[str, str]:
    """Return both streams of a tenant, the urgent one first."""
    return streams.urgent_key(tenant=tenant), streams.commands_key(tenant=tenant)
