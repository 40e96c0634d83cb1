"""What events are made of: their base, what the gate said of an order, and why it was routed as it was.

An order has some thirty checks and twenty venues in its record, so those are written as arrays, without names.
Frozen values cannot be part of a cycle, so the garbage collector need not count or visit them (`gc=False`).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

TOLD_KEPT = 1_024
# What these ask is of tenant, firm and venues as well: how much they were sent, have open and lost today.
_OF_OTHERS_TOO = ("P-14", "P-19", "P-20")


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True, gc=False):
    """Base of everything that can be in the log; `supersedes` is the seq of an earlier event that this one corrects."""

    supersedes: int = 0


class Check(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One question of the pre-trade gate with its answer; `code` is the control, as P-17."""

    code: str
    passed: bool
    value: str = ""
    limit: str = ""
    text: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the gate said of exactly these order fields (`terms_hash` is SHA-256 hex of them), when, and which gate.

    `build` names the rules, `config_version` how often the desk had been configured by then; `at_us` is UTC
    microseconds.
    """

    terms_hash: str
    config_version: int
    checks: tuple[Check, ...]
    order_id: str = ""
    at_us: int = 0
    build: str = ""

    @property
    def passed(self) -> bool:
        return all(map(_passed, self.checks))

    @property
    def reasons(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)


class CostTerms(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a venue costs beyond its price by the cost model, term by term, in price units per unit."""

    fee: Decimal
    rejects: Decimal
    unfilled: Decimal
    latency: Decimal
    markout: Decimal

    @property
    def total(self) -> Decimal:
        return self.fee + self.rejects + self.unfilled + self.latency + self.markout


class VenueConsidered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One venue that routing looked at, with what it knew; `rank` 0 means it was passed over, `text` says why.

    `cost` is what it was ranked by beyond its price, the sum of its `terms`. Those are None without a cost model or a
    quote, and of before they were told.
    """

    venue: str
    price: Decimal | None
    size: Decimal | None
    received_at_us: int | None
    reject_rate: Decimal
    priority: int
    rank: int
    cost: Decimal | None = None
    text: str = ""
    terms: CostTerms | None = None


# The same, field by field: of all venues that are ranked most are never looked at.
VenueRow = tuple[
    str, Decimal | None, Decimal | None, int | None, Decimal, int, int, Decimal | None, str, CostTerms | None
]


class RoutingDecision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Where an order goes and why, as data: rule and version, split in lots, every venue considered at `at_us`.

    `venues` is what `packed` made of those: many orders share one ranking, and few are ever looked at. They were ranked
    by the cost model of `cost_version`, 0 where prices alone counted.
    """

    rule: str
    version: int
    mode: str
    a_quantity: Decimal
    b_quantity: Decimal
    cross_quantity: Decimal
    venues: bytes = b""
    at_us: int = 0
    text: str = ""
    cost_version: int = 0

    @property
    def considered(self) -> tuple[VenueConsidered, ...]:
        return _venues.decode(self.venues) if self.venues else ()


# Every order asks, and a generator would cost several times as much.
_passed = attrgetter("passed")
_encoder = msgspec.msgpack.Encoder()
_venues = msgspec.msgpack.Decoder(tuple[VenueConsidered, ...])


def packed(*, considered: Iterable[VenueConsidered | VenueRow]) -> bytes:
    """Return venues as a decision carries them."""
    return _encoder.encode(tuple(considered))


def told_checks(*, checks: Iterable[Check]) -> list[dict[str, Any]]:
    """Return checks with the names of their fields, as pages and the API show them."""
    return [msgspec.structs.asdict(check) for check in checks]


def told_to_client(*, checks: Iterable[Check]) -> tuple[Check, ...]:
    """Return checks as whoever they refused is shown them: figures of others than his own account are left out."""
    return tuple(
        msgspec.structs.replace(check, value="", limit="")
        if check.code in _OF_OTHERS_TOO and not check.text.startswith("the account")
        else check
        for check in checks
    )


def told_verdict(*, verdict: Verdict) -> dict[str, Any]:
    """Return a verdict with the names of its fields, ready to be encoded as JSON."""
    return msgspec.structs.asdict(verdict) | {"checks": told_checks(checks=verdict.checks)}


def told_decision(*, decision: RoutingDecision) -> dict[str, Any]:
    """Return a decision with the names of its fields, ready to be encoded as JSON; venues with their quotes' ages."""
    told = msgspec.structs.asdict(decision)
    del told["venues"]
    return told | {"considered": _told_venues(decision.venues, decision.at_us)}


# A page shows an order again with every change of it.
@lru_cache(maxsize=TOLD_KEPT)
def _told_venues(venues: bytes, at_us: int) -> msgspec.Raw:
    rows = [msgspec.structs.asdict(seen) for seen in (_venues.decode(venues) if venues else ())]
    for row in rows:
        received_at_us = row.pop("received_at_us")
        if seen_terms := row.pop("terms"):
            row["terms"] = msgspec.structs.asdict(seen_terms)
        row["quote_age_ms"] = None if received_at_us is None else (at_us - received_at_us) // 1_000
    return msgspec.Raw(msgspec.json.encode(rows))
