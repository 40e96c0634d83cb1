"""Sources of signals: written here, and told to the engine."""

from __future__ import annotations

from apps.outbox.services import retell_settings, save_setting
from apps.trading import selectors
from apps.trading.models import Strategy


def save_strategy(*, tenant: str, strategy: Strategy, by: str, reason: str = "") -> Strategy:
    """Write a new or changed signal source and tell the engine. Raises ValidationError, naming the field."""
    save_setting(tenant=tenant, row=strategy, by=by, reason=reason)
    return strategy


def sync_engine(*, tenant: str, by: str, mark: str) -> int:
    """Tell the engine every strategy anew; `mark` makes this re-telling distinct from earlier ones."""
    return retell_settings(tenant=tenant, rows=list(selectors.all_strategies()), by=by, mark=mark)
