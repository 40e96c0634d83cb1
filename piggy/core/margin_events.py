"""Events of margin: calls, stop-outs, write-offs; part of the log as those of events.py are."""

from __future__ import annotations

from decimal import Decimal

from piggy.core.money import ZERO
from piggy.core.verdicts import Event


class MarginCalled(Event, frozen=True, kw_only=True):
    """The account fell to its group's margin call level, or to its maintenance margin where that is higher."""

    account_id: str
    equity: Decimal
    used_margin: Decimal
    level_percent: Decimal
    maintenance: Decimal = ZERO


class MarginRestored(Event, frozen=True, kw_only=True):
    """The account is well above its levels again; without a `level_percent` it binds nothing any more."""

    account_id: str
    level_percent: Decimal | None = None


class StoppedOut(Event, frozen=True, kw_only=True):
    """Margin level fell to the stop-out level; the closes follow as orders of source `stop_out`."""

    account_id: str
    equity: Decimal
    used_margin: Decimal
    level_percent: Decimal
    positions: tuple[str, ...]


class NegativeBalanceWrittenOff(Event, frozen=True, kw_only=True):
    """What the house gives an account that is below nothing; one that `supersedes` another restates it by `amount`."""

    account_id: str
    amount: Decimal
    currency: str


MarginEvent = MarginCalled | MarginRestored | StoppedOut | NegativeBalanceWrittenOff
