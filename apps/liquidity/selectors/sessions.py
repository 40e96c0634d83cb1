"""What the FIX worker needs to know: sessions, their secrets, orders and reports on their way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from msgspec import structs

from apps.common import sealing
from apps.common.sealing import Place
from apps.instruments.selectors import all_instruments
from apps.liquidity.models import (
    Credential,
    CredentialChange,
    CredentialKind,
    LiquidityProvider,
    VenueOrder,
    VenueReport,
)
from apps.outbox.selectors import commands_in_log
from piggy.adapters import tracking
from piggy.adapters.fix.config import DIALECTS, LOT_STEP, Dialect, SessionConfig
from piggy.adapters.fix.numbers import begun_by
from piggy.adapters.interface import ReportKind, SymbolMapping, VenueConfig
from piggy.core.orders import TimeInForce

FIX, YES = "fix", "yes"
# Names in a provider's settings, of what is another on the session that quotes than on the one that takes orders: its
# CompIDs, port and TargetSubID (57); the SubIDs of the latter; whether numbers begin anew with each logon.
QUOTES, QUOTES_PORT, QUOTES_SENDER, QUOTES_SUB = "quotes", "quotes_port", "quotes_sender", "quotes_sub"
SENDER_SUB, TARGET_SUB, RESETS = "sender_sub", "target_sub", "resets_at_logon"
# When numbers begin anew, as "17:00 America/New_York": the session of before ends then, and one begins at 1.
ANEW_AT = "numbers_begin_at"
# The drop copy's TargetCompID, and its port and SenderCompID where they are others.
DROP_COPY, DROP_COPY_PORT, DROP_COPY_SENDER = "drop_copy", "drop_copy_port", "drop_copy_sender"
AT_ONCE = (TimeInForce.IOC.value, TimeInForce.FOK.value)
# What changes what we hold; of all else the desk may have had nothing to record.
FACTS = (ReportKind.FILL, *tracking.RESTATING)
OPEN_STATES = (VenueOrder.State.PERSISTED, VenueOrder.State.SENT, VenueOrder.State.WORKING, VenueOrder.State.DOUBT)


def providers() -> QuerySet[LiquidityProvider]:
    """Return every LP of the current broker, by name."""
    return LiquidityProvider.objects.order_by("name")


def open_orders(*, venue: str) -> QuerySet[VenueOrder]:
    """Return the orders of which something may still live at the LP, oldest first."""
    return VenueOrder.objects.filter(venue=venue, state__in=OPEN_STATES).order_by("id")


def unsettled_orders(*, venue: str, silent_s: float) -> QuerySet[VenueOrder]:
    """Return orders in doubt, and those of which the LP said nothing for `silent_s` seconds though they should end."""
    at_once = Q(state=VenueOrder.State.WORKING, time_in_force__in=AT_ONCE)
    silent = Q(updated_at__lt=Now() - timedelta(seconds=silent_s)) & (Q(state=VenueOrder.State.SENT) | at_once)
    return VenueOrder.objects.filter(Q(state=VenueOrder.State.DOUBT) | silent, venue=venue).order_by("id")


def untold_reports() -> QuerySet[VenueReport]:
    """Return reports whose command is not known to be in the log, oldest first."""
    return VenueReport.objects.filter(heard_at__isnull=True, command_id__isnull=False).order_by("id")


def unreconciled(*, venue: str) -> int:
    """Return how many orders are in doubt and how many of the LP's facts are not in the event log yet."""
    facts = untold_reports().filter(venue=venue, kind__in=FACTS)
    told = [command_id for command_id in facts.values_list("command_id", flat=True) if command_id]
    doubts = VenueOrder.objects.filter(venue=venue, state=VenueOrder.State.DOUBT).count()
    return doubts + len(set(told) - commands_in_log(command_ids=told))


def session_configs(*, tenant: str, home: Path) -> dict[str, SessionConfig]:
    """Return the FIX session of each enabled LP of the current broker, by LP, without its password."""
    found = _enabled().filter(kind=FIX)
    return {provider.name: _with_others(provider, tenant=tenant, home=home) for provider in found}


def _with_others(provider: LiquidityProvider, *, tenant: str, home: Path) -> SessionConfig:
    config = SessionConfig(
        tenant=tenant,
        venue=provider.name,
        host=provider.host,
        port=provider.port,
        sender_comp_id=provider.sender_comp_id,
        target_comp_id=provider.target_comp_id,
        home=home / tenant / provider.name,
        symbols=_mappings(provider),
        dialect=_dialect(provider),
        account=provider.account,
        username=provider.username,
        credential_version=sum(row.version for row in provider.credentials.all()),
        heartbeat_s=provider.heartbeat_s,
        lot_step=Decimal(provider.settings.get("lot_step", LOT_STEP)),
        order_age_ms_max=provider.order_age_ms_max,
        numbers_since=_numbers_since(provider),
        sender_sub_id=provider.settings.get(SENDER_SUB, ""),
        target_sub_id=provider.settings.get(TARGET_SUB, _dialect(provider).target_sub_id),
        drop_copy=_drop_copy(provider, tenant=tenant, home=home),
    )
    return structs.replace(config, quotes=_quotes(provider, config))


def _dialect(provider: LiquidityProvider) -> Dialect:
    dialect = DIALECTS[provider.dialect]
    said = provider.settings.get(RESETS)
    return structs.replace(dialect, resets_at_logon=said == YES) if said else dialect


def _numbers_since(provider: LiquidityProvider) -> datetime | None:
    agreed = provider.settings.get(ANEW_AT)
    return begun_by(agreed=agreed, now=datetime.now(UTC)) if agreed else None


def _quotes(provider: LiquidityProvider, orders: SessionConfig) -> SessionConfig | None:
    """Return the session on which the LP quotes, None where that is the one that takes orders."""
    said, sub_id = provider.settings, provider.settings.get(QUOTES_SUB, orders.dialect.quotes_sub_id)
    if not (sub_id or any(said.get(name) for name in (QUOTES, QUOTES_PORT, QUOTES_SENDER))):
        return None
    return structs.replace(
        orders,
        port=int(said.get(QUOTES_PORT) or orders.port),
        sender_comp_id=said.get(QUOTES_SENDER) or orders.sender_comp_id,
        target_comp_id=said.get(QUOTES) or orders.target_comp_id,
        target_sub_id=sub_id,
        home=orders.home.with_name(f"{provider.name}-quotes"),
        only_quotes=True,
        drop_copy=None,
    )


def _drop_copy(provider: LiquidityProvider, *, tenant: str, home: Path) -> SessionConfig | None:
    """Return the session on which the LP repeats its reports, None where it has none."""
    target = provider.settings.get(DROP_COPY)
    if not target:
        return None
    return SessionConfig(
        tenant=tenant,
        venue=provider.name,
        host=provider.host,
        port=int(provider.settings.get(DROP_COPY_PORT, provider.port)),
        sender_comp_id=provider.settings.get(DROP_COPY_SENDER, provider.sender_comp_id),
        target_comp_id=target,
        home=home / tenant / f"{provider.name}-drop-copy",
        symbols=_mappings(provider),
        dialect=DIALECTS[provider.dialect],
        username=provider.username,
        heartbeat_s=provider.heartbeat_s,
        listens=True,
        numbers_since=_numbers_since(provider),
    )


def venue_configs(*, tenant: str) -> dict[str, VenueConfig]:
    """Return the account at each enabled LP without FIX of the current broker, by LP, without its secrets."""
    return {
        provider.name: VenueConfig(
            tenant=tenant,
            venue=provider.name,
            kind=provider.kind,
            symbols=_checked(_mappings(provider)),
            rest_url=provider.rest_url,
            stream_url=provider.stream_url,
            key=provider.username,
            account=provider.account,
            settings=provider.settings,
            credential_version=sum(row.version for row in provider.credentials.all()),
            order_age_ms_max=provider.order_age_ms_max,
        )
        for provider in _enabled().exclude(kind=FIX)
    }


def _enabled() -> QuerySet[LiquidityProvider]:
    return LiquidityProvider.objects.filter(enabled=True).prefetch_related("symbols", "credentials")


def _mappings(provider: LiquidityProvider) -> tuple[SymbolMapping, ...]:
    return tuple(
        SymbolMapping(symbol=row.symbol, venue_symbol=row.venue_symbol, units_per_lot=row.units_per_lot.normalize())
        for row in sorted(provider.symbols.all(), key=lambda row: row.symbol)
        if row.enabled
    )


def _checked(mappings: tuple[SymbolMapping, ...]) -> tuple[SymbolMapping, ...]:
    """Return mappings with what our own instruments deal in, for the check against the venue's terms."""
    names = [mapping.symbol for mapping in mappings]
    ours = {one.symbol: one for one in all_instruments().filter(symbol__in=names)}
    return tuple(
        structs.replace(
            mapping,
            tick_size=ours[mapping.symbol].tick_size.normalize(),
            lot_step=ours[mapping.symbol].lot_step.normalize(),
            lot_min=ours[mapping.symbol].lot_min.normalize(),
        )
        if mapping.symbol in ours
        else mapping
        for mapping in mappings
    )


def order_by_client_id(*, venue: str, client_id: str) -> VenueOrder | None:
    """Return the order that an LP knows by this id, the latest of them."""
    return VenueOrder.objects.filter(venue=venue, client_id=client_id).order_by("-id").first()


def heard_until_us(*, venue: str, now_us: int) -> int:
    """Return when the oldest order that may still fill was made, else when the LP last said anything, else now."""
    first = open_orders(venue=venue).first()
    last = VenueReport.objects.filter(venue=venue).order_by("-id").first()
    found = [first.created_at] if first else []
    found += [last.received_at] if last else []
    return min((int(at.timestamp() * 1_000_000) for at in found), default=now_us)


def open_credentials(*, tenant: str, venue: str) -> dict[str, str]:
    """Return an LP's secrets by kind, opened: for who starts its session, kept nowhere.

    Raises sealing.UnableToOpen, sealing.UnableToReachKeys: then no session starts (F-28).
    """
    return {
        row.kind: sealing.unseal(place=place_of(tenant=tenant, credential=row), sealed=bytes(row.sealed))
        for row in Credential.objects.filter(provider__name=venue)
    }


def password_of(*, tenant: str, venue: str) -> str:
    """Return an LP's password, '' where it has none. Raises as `open_credentials` does."""
    return open_credentials(tenant=tenant, venue=venue).get(CredentialKind.PASSWORD, "")


def has_credential(*, venue: str) -> bool:
    """Return whether the LP has a credential, or one that waits for its second person."""
    waiting = CredentialChange.objects.filter(provider__name=venue, state=CredentialChange.State.REQUESTED)
    return Credential.objects.filter(provider__name=venue).exists() or waiting.exists()


def place_of(*, tenant: str, credential: Credential) -> Place:
    """Return what a credential's secret is bound to."""
    return credential_place(
        tenant=tenant, provider_id=credential.provider_id, kind=credential.kind, version=credential.version
    )


def credential_place(*, tenant: str, provider_id: int, kind: str, version: int) -> Place:
    """Return the place of one version of one of an LP's credentials."""
    return Place(
        tenant=tenant, table="liquidity_credential", column="sealed", row=f"{provider_id}/{kind}", version=version
    )


def change_place(*, tenant: str, change: CredentialChange) -> Place:
    """Return what the secret of a change is bound to."""
    return Place(tenant=tenant, table="liquidity_credentialchange", column="sealed", row=str(change.pk), version=1)


def parked_count() -> int:
    """Return how many messages of LPs nobody could read."""
    return VenueReport.objects.filter(kind="parked").count()
