"""Commands of control: the records that controls ask for, intraday limits, alerts; asked like those of commands.py."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from piggy.core.auctions import AuctionPhase, AuctionRules
from piggy.core.bust_commands import BustCommand
from piggy.core.command import Command
from piggy.core.limits import Limits


class RecordDailyVolume(Command, frozen=True, kw_only=True):
    """P-21: what the whole market dealt in a symbol on one business date, in lots."""

    symbol: str
    business_date: date
    lots: Decimal


class RecordLocate(Command, frozen=True, kw_only=True):
    """P-23: `lots` of a symbol were found for an account to borrow; 0 takes a locate back. `reference` is the lender's.

    It counts until `until_us` (UTC microseconds).
    """

    account_id: str
    symbol: str
    lots: Decimal
    reference: str
    until_us: int
    by: str


class SignReview(Command, frozen=True, kw_only=True):
    """P-30: a person certifies that the controls were reviewed; without one, nobody trades."""

    signed_by: str
    reference: str
    signed_at_us: int


class ChangeLimits(Command, frozen=True, kw_only=True):
    """P-28: limits of a group for the rest of the day, or until `reverts_at_us`; then its own hold again.

    What `limits` leave out of value, number and slippage of orders (None) stays as the group's settings say.
    """

    group: str
    limits: Limits
    reason: str
    asked_by: str
    approved_by: str
    reverts_at_us: int | None = None


class RevertLimits(Command, frozen=True, kw_only=True):
    """End a group's limits of the day before their time; its own hold again."""

    group: str
    by: str
    reason: str


class ActOnLimits(Command, frozen=True, kw_only=True):
    """The engine's own: something of these accounts changed, so see how far their limits are used (P-27).

    `groups` are groups, each with a currency of its accounts, whose limits of what tenant, firm and venues have open
    are looked at too.
    """

    accounts: tuple[str, ...]
    groups: tuple[tuple[str, str], ...] = ()


class FlattenPositions(Command, frozen=True, kw_only=True):
    """P-25: the second step of a kill: close what a halted or killed scope still holds."""

    scope: str
    key: str
    reason: str
    by: str


class RecordVenueCancelReject(Command, frozen=True, kw_only=True):
    """The venue does not cancel the order: too late, unknown to it, or it may not (OrderCancelReject)."""

    venue: str
    cl_ord_id: str
    text: str
    occurred_at_us: int


class ConfigureAuctions(Command, frozen=True, kw_only=True):
    rules: AuctionRules


class ChangePhase(Command, frozen=True, kw_only=True):
    """Begin or end a call of a symbol, open or close it; a call of `call_s` seconds ends by itself."""

    symbol: str
    phase: AuctionPhase
    reason: str
    by: str
    call_s: int | None = None


ControlCommand = (
    RecordDailyVolume
    | RecordVenueCancelReject
    | RecordLocate
    | SignReview
    | ChangeLimits
    | RevertLimits
    | ActOnLimits
    | ConfigureAuctions
    | ChangePhase
    | FlattenPositions
    | BustCommand
)
