"""Policies of the desk: groups, symbols, accounts, prices, margin, limits, routing. Every version stays, one is live.

A draft is written by one person and let in by another; then the engine is told, and the next order sees it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec
from django.db import models

from apps.accounts import selectors as accounts
from apps.policies.models.terms import AccountTerms, RestrictedList, VenueStage, VenueTerms
from piggy.core import commands as cmd
from piggy.core.accounts import Account, Group, Venue
from piggy.core.auctions import AuctionRules, rules_fault
from piggy.core.clearance import Calendar, Permissions, calendar_fault
from piggy.core.hedging import HedgePolicy, policy_fault
from piggy.core.instruments import Instrument
from piggy.core.limits import HOUSE_LIMITS, OF_THE_GROUP, Limits
from piggy.core.margin import MarginSettings, settings_fault
from piggy.core.profiles import PriceProfile, profile_fault
from piggy.core.routing_rules import RoutingPolicy
from piggy.core.routing_rules import policy_fault as routing_fault
from piggy.core.stress import OptionModel, model_fault
from piggy.core.swaps import SwapFree, SwapRates, rates_fault

ANY_SYMBOL = "*"
DIGEST_CHARACTERS = 16
# The owner of the restricted list that every broker of the firm holds.
FIRM = "*"


class UnableToReadPolicy(ValueError):
    """The body is no policy of its kind; the message says where."""


class Kind(models.TextChoices):
    PRICING = "pricing"
    MARGIN = "margin"
    SWAPS = "swaps"
    SWAP_FREE = "swap-free"
    HEDGING = "hedging"
    ROUTING = "routing"
    CALENDAR = "calendar"
    LIMITS = "limits"
    OPTIONS = "options"
    CLEARANCE = "clearance"
    RESTRICTED = "restricted"
    GROUP = "group"
    INSTRUMENT = "instrument"
    AUCTIONS = "auctions"
    VENUE = "venue"
    ACCOUNT = "account"


STRUCTS: dict[str, type[msgspec.Struct]] = {
    Kind.PRICING: PriceProfile,
    Kind.MARGIN: MarginSettings,
    Kind.SWAPS: SwapRates,
    Kind.SWAP_FREE: SwapFree,
    Kind.HEDGING: HedgePolicy,
    Kind.ROUTING: RoutingPolicy,
    Kind.CALENDAR: Calendar,
    Kind.LIMITS: Limits,
    Kind.OPTIONS: OptionModel,
    Kind.CLEARANCE: Permissions,
    Kind.RESTRICTED: RestrictedList,
    Kind.GROUP: Group,
    Kind.INSTRUMENT: Instrument,
    Kind.AUCTIONS: AuctionRules,
    Kind.VENUE: VenueTerms,
    Kind.ACCOUNT: AccountTerms,
}
# What is live of these is another app's record, which set-up and the desk's changes for a while write too.
OF_RECORD = (Kind.LIMITS, Kind.GROUP, Kind.INSTRUMENT, Kind.VENUE, Kind.ACCOUNT)
# Of these every field is written: a default that nobody meant would move what clients trade by.
WHOLE = (Group, Instrument, VenueTerms)
# What names a policy of each kind beside the kind itself.
OF_GROUP = (Kind.PRICING, Kind.MARGIN, Kind.SWAP_FREE, Kind.LIMITS, Kind.GROUP)
OF_SYMBOL = (
    Kind.PRICING,
    Kind.MARGIN,
    Kind.SWAPS,
    Kind.HEDGING,
    Kind.CALENDAR,
    Kind.OPTIONS,
    Kind.INSTRUMENT,
    Kind.AUCTIONS,
)
OF_OWNER = (Kind.CLEARANCE, Kind.RESTRICTED, Kind.VENUE, Kind.ACCOUNT)
NAMED_BY = (("group", OF_GROUP), ("symbol", OF_SYMBOL), ("owner", OF_OWNER))
# As many as a column of the tables has.
DIGITS_MAX = 28


def said_elsewhere(*, struct: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the fields that the row itself says, or the group's own record: they are not written in the body."""
    return ("version", "symbol", "name", "underlying", *(OF_THE_GROUP if struct is Limits else ()))


class Policy(models.Model):
    """One version of one policy; `body` is the core's struct as JSON, decimals as text.

    `replaced` is the body that held when this one went live, whoever had written that.
    """

    class State(models.TextChoices):
        DRAFT = "draft"
        LIVE = "live"
        REPLACED = "replaced"
        WITHDRAWN = "withdrawn"

    kind = models.CharField(max_length=10, choices=Kind.choices, editable=False)
    owner = models.CharField(
        max_length=40,
        blank=True,
        help_text="A clearance, terms of an account: the account. Terms of an LP: its name. A restricted list: the"
        f" client's reference, blank for all of this broker's clients, {FIRM} for the list that the firm keeps.",
    )
    group = models.CharField(max_length=60, blank=True)
    symbol = models.CharField(max_length=40, blank=True, help_text=f"{ANY_SYMBOL}: every symbol without its own.")
    version = models.PositiveIntegerField(editable=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT, editable=False)
    body = models.JSONField(default=dict, blank=True)
    replaced = models.JSONField(default=dict, editable=False)
    reason = models.CharField(max_length=500)
    written_by = models.CharField(max_length=150, editable=False)
    written_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.CharField(max_length=150, blank=True, editable=False)
    decided_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "policies"
        constraints = [
            models.UniqueConstraint(fields=["kind", "group", "symbol", "owner", "version"], name="policy_version_once"),
            models.UniqueConstraint(
                fields=["kind", "group", "symbol", "owner"], name="policy_one_live", condition=models.Q(state="live")
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["live", "replaced"]) | ~models.Q(decided_by=models.F("written_by")),
                name="policy_by_two_people",
            ),
        ]

    def __str__(self) -> str:
        return " ".join([self.kind, *filter(None, (self.group, self.symbol, self.owner)), f"v{self.version}"])

    @property
    def is_saved(self) -> bool:
        """Whether it has a row already."""
        return not self._state.adding

    @property
    def reference(self) -> str:
        """The policy's name in the outbox, the same for every version."""
        return f"policy:{self.kind}:{self.group}:{self.symbol}" + (f":{self.owner}" if self.owner else "")

    @property
    def digest(self) -> str:
        """What whoever decides has looked at, in short: who wrote it, why, and every word of it."""
        told = [self.written_by, self.reason, self.named, self.body]
        return hashlib.sha256(msgspec.json.encode(told, order="deterministic")).hexdigest()[:DIGEST_CHARACTERS]

    @property
    def named(self) -> dict[str, str]:
        """What tells this policy from others of any kind."""
        return {"kind": self.kind, "group": self.group, "symbol": self.symbol, "owner": self.owner}

    def to_core(self) -> Any:
        """Return the core's struct. Raises UnableToReadPolicy."""
        struct = STRUCTS[self.kind]
        given = dict(self.body)
        if self.kind == Kind.HEDGING:
            given["key"] = given.get("key") or self.symbol
        if self.kind == Kind.LIMITS:
            if of_group := sorted(set(OF_THE_GROUP) & set(given)):
                raise UnableToReadPolicy(f"{of_group[0]} is set on the group itself.")
            # A limit that is left out is the house's; to the gate, one that is not set refuses every order.
            house = msgspec.to_builtins(HOUSE_LIMITS)
            collars = given.get("collar_percent", {})
            given = {**house, **given}
            if isinstance(collars, dict):
                given["collar_percent"] = house["collar_percent"] | collars
        own = {"version": self.version, "symbol": self.symbol, "underlying": self.symbol, "name": self.group}
        given |= {name: value for name, value in own.items() if name in struct.__struct_fields__}
        if struct in WHOLE and (blank := [name for name in needed(struct=struct) if name not in given]):
            raise UnableToReadPolicy(f"{blank[0]}: this has to be written.")
        try:
            made = msgspec.convert(given, type=struct, strict=False)
        except (msgspec.ValidationError, ValueError) as error:
            raise UnableToReadPolicy(str(error)) from error
        if unknown := sorted(set(given) - set(struct.__struct_fields__)):
            raise UnableToReadPolicy(
                f"There is no field {unknown[0]}; there are {', '.join(struct.__struct_fields__)}."
            )
        if fault := _endless(msgspec.to_builtins(made, builtin_types=(Decimal,), str_keys=True)) or _fault(made):
            raise UnableToReadPolicy(fault)
        return made

    def to_command(self) -> cmd.AnyCommand:
        """Return what the engine is told when this version goes live."""
        return _COMMANDS[self.kind](self, self.to_core())


def _endless(value: Any, place: str = "") -> str | None:
    """Return where a number is that no figure can be: what `1e999999999` is as people read it fills the memory."""
    if isinstance(value, Decimal):
        is_figure = (
            value.is_finite() and abs(value.adjusted()) <= DIGITS_MAX and len(value.as_tuple().digits) <= DIGITS_MAX
        )
        return None if is_figure else f"{place}: a number of at most {DIGITS_MAX} digits."
    found: Iterable[tuple[str, Any]] = ()
    if isinstance(value, dict):
        found = ((f"{place}.{name}" if place else str(name), each) for name, each in value.items())
    elif isinstance(value, list | tuple):
        found = ((f"{place}[{at}]", each) for at, each in enumerate(value))
    return next((fault for name, each in found if (fault := _endless(each, name))), None)


def needed(*, struct: type[msgspec.Struct]) -> list[str]:
    """Return the fields that a body has to say, in their order."""
    fields, is_whole = msgspec.structs.fields(struct), struct in WHOLE
    return [each.name for each in fields if each.required or (is_whole and each.default not in (None, ()))]


class LabRun(models.Model):
    """A recorded window replayed as it was and, where there are drafts, under them; `differences` is CSV, zlib."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    UNDER_WAY = (State.QUEUED, State.RUNNING)

    begins_at = models.DateTimeField(help_text="UTC. The recorded time that is replayed begins here.")
    ends_at = models.DateTimeField(help_text="UTC, excluded; at most 24 hours later.")
    drafts = models.ManyToManyField(Policy, blank=True, related_name="+", help_text="None: only check the recording.")
    currency = models.CharField(max_length=3, default="USD", help_text="What money is shown in.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED, editable=False)
    progress = models.PositiveSmallIntegerField(default=0, editable=False)
    asked_by = models.CharField(max_length=150, editable=False)
    asked_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, editable=False)
    error = models.CharField(max_length=500, blank=True, editable=False)
    check_result = models.JSONField(default=dict, editable=False)
    result = models.JSONField(default=dict, editable=False)
    first_differences = models.JSONField(default=list, editable=False)
    differences = models.BinaryField(default=b"", editable=False)

    class Meta:
        verbose_name = "rule lab run"
        constraints = [
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("begins_at")), name="lab_run_has_a_length")
        ]

    def __str__(self) -> str:
        return f"run {self.pk} of {self.begins_at:%Y-%m-%d %H:%M}"


def _restrictions(row: Policy, made: RestrictedList) -> cmd.ConfigureRestrictions:
    scope = {"": "tenant", FIRM: "firm"}.get(row.owner, "client")
    key = row.owner if scope == "client" else ""
    return cmd.ConfigureRestrictions(scope=scope, key=key, symbols=made.symbols)


def _venue(row: Policy, made: VenueTerms) -> Venue:
    return Venue(
        name=row.owner,
        enabled=made.enabled,
        priority=made.priority,
        quote_age_ms_max=made.quote_age_ms_max,
        answer_ms_max=made.answer_ms_max,
        messages_per_s_max=made.messages_per_s_max,
        commission_per_million=made.commission_per_million,
        symbols=tuple(sorted(each.symbol for each in made.symbols if each.enabled)),
        shadow=made.stage is VenueStage.SHADOW,
        canary_percent=made.canary_percent if made.stage is VenueStage.CANARY else None,
    )


def _account(row: Policy, made: AccountTerms) -> Account:
    terms = msgspec.structs.asdict(made) | {"category_evidence": made.category_evidence or ""}
    return msgspec.structs.replace(accounts.account_in_core(account_id=row.owner), **terms)


_COMMANDS: dict[str, Callable[[Policy, Any], cmd.AnyCommand]] = {
    Kind.PRICING: lambda row, made: cmd.ConfigurePricing(group=row.group, symbol=row.symbol, profile=made),
    Kind.MARGIN: lambda row, made: cmd.ConfigureMargin(group=row.group, symbol=row.symbol, settings=made),
    Kind.SWAPS: lambda row, made: cmd.ConfigureSwaps(rates=made),
    Kind.SWAP_FREE: lambda row, made: cmd.ConfigureSwapFree(group=row.group, terms=made),
    Kind.HEDGING: lambda row, made: cmd.ConfigureHedging(policy=made),
    Kind.ROUTING: lambda row, made: cmd.ConfigureRouting(policy=made),
    Kind.CALENDAR: lambda row, made: cmd.ConfigureCalendar(calendar=made),
    Kind.LIMITS: lambda row, made: cmd.ConfigureLimits(group=row.group, limits=made),
    Kind.OPTIONS: lambda row, made: cmd.ConfigureOptionModel(model=made),
    Kind.CLEARANCE: lambda row, made: cmd.ConfigurePermissions(account_id=row.owner, permissions=made),
    Kind.RESTRICTED: _restrictions,
    Kind.GROUP: lambda row, made: cmd.ConfigureGroup(group=made, limits=HOUSE_LIMITS),
    Kind.INSTRUMENT: lambda row, made: cmd.ConfigureInstrument(instrument=made),
    Kind.AUCTIONS: lambda row, made: cmd.ConfigureAuctions(rules=made),
    Kind.VENUE: lambda row, made: cmd.ConfigureVenue(venue=_venue(row, made)),
    Kind.ACCOUNT: lambda row, made: cmd.ConfigureAccount(
        account=_account(row, made), clearance=accounts.clearance_in_core(account_id=row.owner)
    ),
}


def _fault(made: Any) -> str:
    if isinstance(made, PriceProfile):
        return profile_fault(profile=made)
    if isinstance(made, MarginSettings):
        return settings_fault(settings=made) or ""
    if isinstance(made, SwapRates):
        return rates_fault(rates=made)
    if isinstance(made, HedgePolicy):
        return policy_fault(policy=made)
    if isinstance(made, Calendar):
        return calendar_fault(calendar=made) or ""
    if isinstance(made, AuctionRules):
        return rules_fault(rules=made) or ""
    if isinstance(made, RoutingPolicy):
        found = routing_fault(policy=made)
        return ": ".join(found) if found else ""
    return model_fault(model=made) if isinstance(made, OptionModel) else ""


def _proxy(name: str, kind: Kind, title: str, titles: str = "") -> type[Policy]:
    meta = type("Meta", (), {"proxy": True, "verbose_name": title, "verbose_name_plural": titles or f"{title}s"})
    return type(name, (Policy,), {"__module__": __name__, "Meta": meta, "KIND": kind})


PriceProfilePolicy = _proxy("PriceProfilePolicy", Kind.PRICING, "price profile")
MarginPolicy = _proxy("MarginPolicy", Kind.MARGIN, "margin setting")
SwapPolicy = _proxy("SwapPolicy", Kind.SWAPS, "swap rate")
SwapFreePolicy = _proxy("SwapFreePolicy", Kind.SWAP_FREE, "swap-free group")
HedgingPolicy = _proxy("HedgingPolicy", Kind.HEDGING, "hedging policy", "hedging policies")
RoutingRules = _proxy("RoutingRules", Kind.ROUTING, "routing rule set")
CalendarPolicy = _proxy("CalendarPolicy", Kind.CALENDAR, "trading calendar")
LimitsPolicy = _proxy("LimitsPolicy", Kind.LIMITS, "group limits", "group limits")
OptionPolicy = _proxy("OptionPolicy", Kind.OPTIONS, "option model")
ClearancePolicy = _proxy("ClearancePolicy", Kind.CLEARANCE, "account clearance")
RestrictedPolicy = _proxy("RestrictedPolicy", Kind.RESTRICTED, "restricted list")
GroupPolicy = _proxy("GroupPolicy", Kind.GROUP, "change of a group", "changes of groups")
InstrumentPolicy = _proxy("InstrumentPolicy", Kind.INSTRUMENT, "change of a symbol", "changes of symbols")
AuctionPolicy = _proxy("AuctionPolicy", Kind.AUCTIONS, "auction rule")
VenuePolicy = _proxy("VenuePolicy", Kind.VENUE, "terms of an LP", "terms of LPs")
AccountPolicy = _proxy("AccountPolicy", Kind.ACCOUNT, "terms of an account", "terms of accounts")
