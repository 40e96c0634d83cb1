"""What events are made of: their base, what the gate said of an order, and why it was routed as it was."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Base of everything that can be in the log; `supersedes` is the seq of an earlier event that this one corrects."""

    supersedes: int = 0


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One question of the pre-trade gate with its answer; `code` is the control, as P-17."""

    code: str
    passed: bool
    value: str = ""
    limit: str = ""
    text: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate said of exactly these order fields (`terms_hash` is SHA-256 hex of them)."""

    terms_hash: str
    config_version: int
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return False not in [check.passed for check in self.checks]

    @property
    def reasons(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)


class VenueConsidered(msgspec.Struct, frozen=True, kw_only=True):
    """One venue that routing looked at, with what it knew; `rank` 0 means it was passed over, `text` says why."""

    venue: str
    price: Decimal | None
    size: Decimal | None
    quote_age_ms: int | None
    reject_rate: Decimal
    priority: int
    rank: int
    cost: Decimal | None = None
    text: str = ""


class RoutingDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Where an order goes and why, as data: rule and version, split in lots, every venue considered."""

    rule: str
    version: int
    mode: str
    a_quantity: Decimal
    b_quantity: Decimal
    cross_quantity: Decimal
    considered: tuple[VenueConsidered, ...] = ()
    text: str = ""
