"""Events of control: margin settings, clearances, overrides and latches; part of the log as those of events.py are."""

from __future__ import annotations

from decimal import Decimal

from piggy.core.clearance import Calendar, Override, Permissions
from piggy.core.margin import MarginSettings
from piggy.core.stress import OptionModel
from piggy.core.verdicts import Event


class MarginConfigured(Event, frozen=True, kw_only=True):
    """From the next fill on, `group` is margined in `symbol` ('*': every symbol without its own) as `settings` say."""

    group: str
    symbol: str
    settings: MarginSettings


class OptionModelConfigured(Event, frozen=True, kw_only=True):
    model: OptionModel


class SymbolMarginChanged(Event, frozen=True, kw_only=True):
    """A news window ended: the account's margin in the symbol is `margin` again, in its currency."""

    account_id: str
    symbol: str
    margin: Decimal


class PermissionsConfigured(Event, frozen=True, kw_only=True):
    account_id: str
    permissions: Permissions


class RestrictionsConfigured(Event, frozen=True, kw_only=True):
    """P-04: the whole restricted list of a scope (firm, tenant or client); `key` is the owner for a client, else ''."""

    scope: str
    key: str
    symbols: frozenset[str]


class CalendarConfigured(Event, frozen=True, kw_only=True):
    calendar: Calendar


class OverrideGranted(Event, frozen=True, kw_only=True):
    """P-26: one order is let through: `key` is the hash of its terms, or its id where it is to be amended."""

    override: Override
    key: str


class ThrottleLatched(Event, frozen=True, kw_only=True):
    """P-15: the account traded too often in its window; only a person opens it again."""

    account_id: str


class ThrottleReleased(Event, frozen=True, kw_only=True):
    account_id: str
    by: str
    reason: str


class ClientConnectionChanged(Event, frozen=True, kw_only=True):
    """P-29: a client session that asked for cancel on disconnect dropped off, or is back."""

    account_id: str
    connected: bool
    occurred_at_us: int
