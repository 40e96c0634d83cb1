from __future__ import annotations

from typing import Any

import msgspec
from django.db.models import QuerySet

from apps.accounts import selectors as accounts
from apps.instruments import selectors as instruments
from apps.policies.models import ANY_SYMBOL, Kind, Policy
from piggy.core.routing_lint import Finding, lint

Row = dict[str, Any]


def live_policies() -> QuerySet[Policy]:
    """Return the live version of every policy."""
    return Policy.objects.filter(state=Policy.State.LIVE).order_by("kind", "group", "symbol")


def live_version(*, kind: str, group: str, symbol: str) -> Policy | None:
    """Return the live version of one policy, None where there is none."""
    return live_policies().filter(kind=kind, group=group, symbol=symbol).first()


def findings(*, policy: Policy) -> tuple[Finding, ...]:
    """Return what the linter says of a routing rule set; nothing of other kinds. Raises UnableToReadPolicy."""
    return lint(policy=policy.to_core()) if policy.kind == Kind.ROUTING else ()


def effective(*, group: str) -> list[Row]:
    """Return for each symbol of a group what holds and where it comes from: {symbol, values: {name: (value, source)}}.

    A field that the more specific policy leaves as the struct's default is still that policy's: policies replace one
    another whole, only price profiles inherit field by field.
    """
    live = {(row.kind, row.group, row.symbol): row for row in live_policies()}
    record = accounts.all_groups().filter(name=group).first()
    if record is None:
        return []
    rows: list[Row] = []
    for instrument in instruments.all_instruments():
        symbol = instrument.symbol
        values = {
            "book": (record.book_mode, _group(record)),
            "bid markup": (f"{record.bid_markup_points} points", _group(record)),
            "ask markup": (f"{record.ask_markup_points} points", _group(record)),
            "commission": (f"{record.commission_per_lot.normalize():f} per lot", _group(record)),
            "leverage": (f"{record.leverage_max.normalize():f}", _group(record)),
            "margin": (f"{instrument.margin_percent.normalize():f} %", f"symbol {symbol}"),
            "swap": ("none", "not configured"),
            "hedging": ("none", "not configured"),
        }
        values |= _from_profiles(live, group, symbol)
        margin = live.get((Kind.MARGIN, group, symbol)) or live.get((Kind.MARGIN, group, ANY_SYMBOL))
        if margin is not None:
            values["margin"] = (f"at least {margin.to_core().percent.normalize():f} %", str(margin))
        swap, free = live.get((Kind.SWAPS, "", symbol)), live.get((Kind.SWAP_FREE, group, ""))
        if swap is not None:
            rates = swap.to_core()
            values["swap"] = (f"{rates.long:f} / {rates.short:f} {rates.unit.value}", str(swap))
        if free is not None:
            values["swap"] = ("swap-free", str(free))
        hedging = live.get((Kind.HEDGING, "", symbol))
        if hedging is not None:
            values["hedging"] = (f"past {hedging.to_core().threshold.normalize():f} lots", str(hedging))
        rows.append({"symbol": symbol, "values": values})
    return rows


def _from_profiles(live: dict[tuple[str, str, str], Policy], group: str, symbol: str) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for name in (ANY_SYMBOL, symbol):
        row = live.get((Kind.PRICING, group, name))
        if row is None:
            continue
        profile = row.to_core()
        if profile.bands:
            band = profile.bands[0]
            found["bid markup"] = (f"{band.bid:f} {band.unit.value}", str(row))
            found["ask markup"] = (f"{band.ask:f} {band.unit.value}", str(row))
        if profile.commission is not None:
            found["commission"] = (msgspec.json.encode(profile.commission).decode(), str(row))
    return found


def _group(record: Any) -> str:
    return f"group {record.name} v{record.version}"
