from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from django.db.models import Count, QuerySet

from apps.accounts import selectors as accounts
from apps.instruments import selectors as instruments
from apps.liquidity import selectors as liquidity
from apps.outbox import selectors as outbox
from apps.policies.models import ANY_SYMBOL, OF_RECORD, Kind, Policy, said_elsewhere
from apps.risk import selectors as risk
from piggy.core.accounts import PositionMode
from piggy.core.bookbuild import BuildMode, PriceBuild, SpreadProfile, ThinBook
from piggy.core.clearance import Calendar
from piggy.core.funds import HOUSE_RULES
from piggy.core.limits import HOUSE_LIMITS, OF_THE_GROUP
from piggy.core.margin import MarginSettings, margin_terms
from piggy.core.money import plain
from piggy.core.pricing import commission_plan
from piggy.core.profiles import profiles_of
from piggy.core.rollover import business_date
from piggy.core.routing_lint import Finding, lint

Row = dict[str, Any]
NOT_SET = "not configured"


def live_policies() -> QuerySet[Policy]:
    """Return the live version of every policy."""
    return Policy.objects.filter(state=Policy.State.LIVE).order_by("kind", "group", "symbol", "owner")


def waiting_drafts() -> list[tuple[str, str, int]]:
    """Return what another person has to decide: what the drafts are, the screen's model and how many, by kind."""
    drafts = Policy.objects.filter(state=Policy.State.DRAFT)
    counts = dict(drafts.order_by().values_list("kind").annotate(Count("pk")))
    screens = [(screen._meta, counts.get(screen.KIND, 0)) for screen in Policy.__subclasses__()]  # type: ignore[attr-defined]
    return [(str(meta.verbose_name_plural), meta.label_lower, count) for meta, count in screens if count]


def live_rows(*, kind: str) -> list[Policy]:
    """Return what holds now of one kind as policies, whether or not each was ever a draft."""
    if kind not in OF_RECORD:
        return list(live_policies().filter(kind=kind))
    if kind == Kind.INSTRUMENT:
        named = [{"group": "", "symbol": row.symbol} for row in instruments.all_instruments()]
    elif kind == Kind.GROUP:
        named = [{"group": row.name, "symbol": ""} for row in accounts.all_groups()]
    elif kind == Kind.VENUE:
        named = [{"group": "", "symbol": "", "owner": row.name} for row in liquidity.providers()]
    elif kind == Kind.ACCOUNT:
        # All in one question: there are many.
        found = accounts.terms_of_accounts()
        return [Policy(kind=kind, owner=name, body=_of_account(terms)) for name, terms in found.items()]
    else:
        named = [{"group": row.group.name, "symbol": ""} for row in risk.all_limits()]
    return [Policy(kind=kind, **names, body=live_body(kind=kind, **names)) for names in named]


def live_version(*, kind: str, group: str, symbol: str, owner: str = "") -> Policy | None:
    """Return the live version of one policy, None where there is none."""
    return live_policies().filter(kind=kind, group=group, symbol=symbol, owner=owner).first()


def live_body(*, kind: str, group: str, symbol: str, owner: str = "") -> dict[str, Any] | None:
    """Return the body of what holds now, None where nothing of the kind is set."""
    if kind in OF_RECORD:
        # What the engine has is in the record, also where no draft ever was.
        if kind == Kind.VENUE:
            return _plainly(liquidity.terms_of(name=owner))
        if kind == Kind.ACCOUNT:
            terms = accounts.terms_of_accounts(account_id=owner)
            return _of_account(terms[owner]) if terms else None
        record = _record(kind, group, symbol)
        return body_of(made=record) if record is not None else None
    live = live_version(kind=kind, group=group, symbol=symbol, owner=owner)
    return live.body if live else None


def body_of(*, made: msgspec.Struct) -> dict[str, Any]:
    """Return a core's struct as a body says it, numbers as people write them; what is not set is left out."""
    told = msgspec.to_builtins(made, str_keys=True, order="deterministic", builtin_types=(Decimal,))
    left_out = said_elsewhere(struct=type(made))
    return {name: _plainly(value) for name, value in told.items() if name not in left_out and value is not None}


def _of_account(terms: Row) -> Row:
    return {name: str(value) for name, value in terms.items()}


def _record(kind: str, group: str, symbol: str) -> msgspec.Struct | None:
    if kind == Kind.LIMITS:
        return risk.limits_of(group=group)
    if kind == Kind.GROUP:
        found = accounts.all_groups().filter(name=group).first()
        return found.to_core() if found else None
    known = instruments.all_instruments().filter(symbol=symbol).first()
    return known.to_core() if known else None


def _plainly(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plainly(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plainly(each) for each in value]
    return plain(value) if isinstance(value, Decimal) else value


def history(*, policy: Policy) -> list[tuple[Policy, list[tuple[str, Any, Any]]]]:
    """Return every version of a policy, the latest first, each with what it changed in what was live before it."""
    rows: list[tuple[Policy, list[tuple[str, Any, Any]]]] = []
    before: dict[str, Any] = {}
    now = live_body(**policy.named) or {}
    for each in Policy.objects.filter(**policy.named).order_by("version"):
        was_live = each.state in (Policy.State.LIVE, Policy.State.REPLACED)
        # A record may have been changed beside its drafts: by set-up, or by the desk for a while.
        held = each.replaced if was_live else now if each.state == Policy.State.DRAFT else before
        rows.insert(0, (each, differences(before=held, after=each.body)))
        before = each.body if was_live else before
    return rows


def differences(*, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (path, before, after) of each value that differs, parts of parts with dots; None where there is none."""
    old, new = dict(outbox.flat(value=before)), dict(outbox.flat(value=after))
    return [(path, old.get(path), new.get(path)) for path in {**old, **new} if old.get(path) != new.get(path)]


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
            "price": ("the best of each side", NOT_SET),
            "spread": ("as it is", NOT_SET),
            "guaranteed stops": ("none", NOT_SET),
            "swap": ("none", NOT_SET),
            "hedging": ("none", NOT_SET),
            "session": ("always open", NOT_SET),
            "interruption": ("none", NOT_SET),
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
        calendar = live.get((Kind.CALENDAR, "", symbol))
        if calendar is not None:
            values["session"] = (_week(calendar.to_core()), str(calendar))
        auctions = live.get((Kind.AUCTIONS, "", symbol))
        if auctions is not None:
            rules = auctions.to_core()
            told = f"past {rules.dynamic_bps} or {rules.static_bps} basis points, for {rules.call_s} s"
            values["interruption"] = (told, str(auctions))
        rows.append({"symbol": symbol, "values": values})
    return rows


def symbols_of(*, account: Any, symbol: str | None, at_us: int) -> list[Row]:
    """Return each symbol, or one, on the terms of an account's row, as the engine was told them, by name."""
    kinds = (Kind.PRICING, Kind.MARGIN, Kind.SWAPS, Kind.SWAP_FREE, Kind.CALENDAR)
    rows = live_policies().filter(kind__in=kinds, group__in=("", account.group.name))
    live = {(row.kind, row.group, row.symbol): row.to_core() for row in rows}
    known = instruments.all_instruments()
    found = known.filter(symbol=symbol) if symbol else known
    return [_of_symbol(row.to_core(), account.to_core(), account.group.to_core(), live, at_us) for row in found]


def _of_symbol(instrument: Any, account: Any, group: Any, live: dict[Any, Any], at_us: int) -> Row:
    profiles = profiles_of(
        profiles={(of, symbol): made for (kind, of, symbol), made in live.items() if kind == Kind.PRICING},
        group=group.name,
        symbol=instrument.symbol,
    )
    offer = next((each.guaranteed_stops for each in profiles if each.guaranteed_stops is not None), None)
    swap, free = live.get((Kind.SWAPS, "", instrument.symbol)), live.get((Kind.SWAP_FREE, group.name, ""))
    hours = live.get((Kind.CALENDAR, "", instrument.symbol))
    today = business_date(at_us=at_us)
    return {
        "instrument": instrument,
        "margin": _margin(instrument, account, group, live),
        "commission": commission_plan(group=group, profiles=profiles),
        "swap": None if swap is None or free is not None else _ahead(swap, today),
        "swap_free": free,
        "hours": hours and _ahead(hours, hours.local(at_us=at_us)[0]) | {"is_open": hours.is_open(at_us=at_us)},
        "guaranteed_stops": offer if offer is not None and offer.offered else None,
    }


def _margin(instrument: Any, account: Any, group: Any, live: dict[Any, Any]) -> Row:
    names = (instrument.symbol, ANY_SYMBOL)
    made = next((live[key] for name in names if (key := (Kind.MARGIN, group.name, name)) in live), MarginSettings())
    terms = margin_terms(instrument=instrument, account=account, group=group, rules=HOUSE_RULES)
    is_netting = account.position_mode is PositionMode.NETTING
    return {
        "percent": max(terms.percent, made.percent),
        "tier_basis": made.tier_basis,
        "tiers": made.tiers,
        "hedged_ratio": None if is_netting else made.hedged_ratio,
    }


def _ahead(made: Any, today: date) -> Row:
    """Return what a struct says, of its holidays those that are not over."""
    return msgspec.structs.asdict(made) | {"holidays": sorted(day for day in made.holidays if day >= today)}


def effective_limits(*, group: str) -> list[tuple[str, str, str, str]]:
    """Return of each limit of a group: (name, what it is, value, where that comes from), as the gate holds to it."""
    record = accounts.all_groups().filter(name=group).first()
    if record is None:
        return []
    own, notes = risk.limits_of(group=group), risk.limit_notes()
    limits = (own or HOUSE_LIMITS).for_group(group=record.to_core())
    version = risk.limits_version(group=group)
    found: list[tuple[str, str, str, str]] = []
    for name in limits.__struct_fields__:
        if name == "version":
            continue
        value = getattr(limits, name)
        is_house = own is None or getattr(own, name) == getattr(HOUSE_LIMITS, name)
        source = _group(record) if name in OF_THE_GROUP else "house" if is_house else f"limits of {group} v{version}"
        found.append((name, notes.get(name, ""), _limit(value), source))
    return found


def _limit(value: Any) -> str:
    told = msgspec.to_builtins(
        plain(value) if isinstance(value, Decimal) else value, str_keys=True, order="deterministic"
    )
    if isinstance(told, dict):
        return ", ".join(f"{name} {each}" for name, each in sorted(told.items()))
    return ", ".join(map(str, told)) if isinstance(told, list | tuple) else str(told)


def _week(calendar: Calendar) -> str:
    lasting = sum(session.closes - session.opens for session in calendar.sessions) // 60
    away = f", {len(calendar.holidays)} holidays" if calendar.holidays else ""
    return f"{len(calendar.sessions)} sessions, {lasting} h a week, {calendar.timezone}{away}"


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
        if profile.build is not None:
            found["price"] = (_price(profile.build), str(row))
        if profile.spread is not None:
            found["spread"] = (_spread(profile.spread), str(row))
        if (offer := profile.guaranteed_stops) is not None:
            told = f"{offer.premium_points:f} points, at least {offer.distance_points_min:f} away"
            found["guaranteed stops"] = (told if offer.offered else "not offered", str(row))
    return found


def _price(build: PriceBuild) -> str:
    if build.size_lots is None:
        return "the middle" if build.mode is BuildMode.MIDPOINT else "the best of each side"
    made = "average" if build.mode is BuildMode.VWAP else "worst"
    thin = ", none while there are fewer" if build.thin is ThinBook.REJECT else ""
    return f"{made} of {build.size_lots.normalize():f} lots{thin}"


def _spread(limits: SpreadProfile) -> str:
    least = "" if limits.min_points is None else f"at least {limits.min_points} points"
    if limits.target_points is not None:
        least = f"{limits.target_points} points"
    most = "" if limits.max_points is None else f"past {limits.max_points} points: {limits.action.value}"
    return ", ".join(filter(None, (least, most))) or "as it is"


def _group(record: Any) -> str:
    return f"group {record.name} v{record.version}"
