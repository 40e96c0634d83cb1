"""Which brokers there are, whose a host name is, and how a broker looks."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django_tenants.utils import schema_context

from apps.tenants.models import Domain, Tenant
from piggy.messaging.installation import IDENTITY

HOST = re.compile(r"[a-z0-9._-]{1,254}\Z", re.ASCII)
DOMAIN_CACHE_S = 2.0
DOMAINS_CACHED_MAX = 10_000
BLANK_BRAND = {"name": "Piggy Broker", "logo_text": "Piggy", "colour_primary": "#0ecb81", "colour_accent": "#3b82f6"}


@dataclass(frozen=True, slots=True)
class _Known:
    tenant: Tenant | None
    until_s: float


# What a worker is given that serves the venues of every shard.
ALL_SHARDS = "*"

_known_hosts: dict[str, _Known] = {}


def active_tenants(*, shard: str | None = None) -> list[Tenant]:
    """Return the brokers that trade, of one shard, or of all (None or ALL_SHARDS); never the template."""
    with schema_context("public"):
        found = Tenant.objects.filter(is_active=True).exclude(schema_name=settings.TENANT_TEMPLATE_SCHEMA)
        return list(found.filter(shard=shard) if shard and shard != ALL_SHARDS else found)


def active_schemas(*, shard: str | None = None) -> list[str]:
    """Return the schema names of `active_tenants`."""
    return [tenant.schema_name for tenant in active_tenants(shard=shard)]


def switched_off() -> list[Tenant]:
    """Return the brokers that nobody serves; `setup_error` says why, '' of one that is being removed."""
    with schema_context("public"):
        return list(Tenant.objects.filter(is_active=False).exclude(schema_name=settings.TENANT_TEMPLATE_SCHEMA))


def why_off() -> dict[str, str]:
    """Return why each of `switched_off` is, in a line, by schema name."""
    lines = {each.schema_name: " ".join(each.setup_error.split()) for each in switched_off()}
    return {schema: line or "being removed" for schema, line in lines.items()}


def database_identity() -> str:
    """Return which database ours is, as no copy of it in another cluster is."""
    with connection.cursor() as cursor:
        cursor.execute(IDENTITY)
        return str(cursor.fetchone()[0])


def is_suspended(*, schema: str) -> bool:
    """May this broker's clients do nothing but close?"""
    with schema_context("public"):
        return Tenant.objects.filter(schema_name=schema, suspended_at__isnull=False).exists()


def current_schema() -> str:
    """Return the schema this thread's connection is set to; 'public' when it is nobody's."""
    return str(connection.schema_name)


def clean_host(*, raw: str) -> str:
    """Return a Host header as the domain table writes it: lower case, no port, no trailing dot; '' when not a name."""
    host = raw.strip().lower()
    name, colon, port = host.partition(":")
    if not HOST.match(name) or (colon and not (port.isascii() and port.isdigit())):
        return ""
    return name.removesuffix(".")


def tenant_of_host(*, raw: str) -> Tenant | None:
    """Return the active broker whose domain the Host header `raw` is. Leaves the connection in public."""
    host = clean_host(raw=raw)
    if not host:
        return None
    known = _known_hosts.get(host)
    now_s = time.monotonic()
    if known and now_s < known.until_s:
        return known.tenant
    with schema_context("public"):
        domain = Domain.objects.select_related("tenant").filter(domain=host, tenant__is_active=True).first()
    tenant = domain.tenant if domain else None
    # An attacker chooses the names, so what is remembered has a bound.
    if len(_known_hosts) >= DOMAINS_CACHED_MAX:
        _known_hosts.clear()
    _known_hosts[host] = _Known(tenant, now_s + DOMAIN_CACHE_S)
    return tenant


def forget_hosts() -> None:
    """Drop what is remembered of the domain table; after a change in this process."""
    _known_hosts.clear()


def brand_of(request: HttpRequest) -> dict[str, str]:
    """Return name, logo text and colours of the request's broker."""
    tenant = getattr(request, "tenant", None)
    if tenant is None:
        return BLANK_BRAND
    brand = {name: str(getattr(tenant, name)) for name in BLANK_BRAND}
    return {**brand, "logo_text": brand["logo_text"] or brand["name"]}


def brand_context(request: HttpRequest) -> dict[str, Any]:
    """Give every template the broker's brand."""
    return {"brand": brand_of(request)}


def brand_schema(result: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> dict[str, Any]:
    """Name the API's description after the broker whose domain it is asked on."""
    if request is not None and (name := brand_of(request)["name"]):
        result["info"]["title"] = f"{name} API"
    return result


def brand_title(request: HttpRequest) -> str:
    """Return the title of the back office."""
    return brand_of(request)["name"]


def brand_palette(request: HttpRequest) -> dict[str, str]:
    """Return the admin theme's eleven shades of the broker's primary colour."""
    colour = brand_of(request)["colour_primary"].lstrip("#")
    rgb = [int(colour[at : at + 2], 16) for at in (0, 2, 4)]
    darker = _readable_on_white(rgb)
    return {
        shade: _shaded(rgb, min(percent, darker) if shade in _INK else percent) for shade, percent in _SHADES.items()
    }


# Positive: towards white; negative: towards black.
_SHADES = {
    "50": 92, "100": 84, "200": 68, "300": 48, "400": 24, "500": 0,
    "600": -14, "700": -30, "800": -44, "900": -56, "950": -72,
}  # fmt: skip


# The theme writes with these on white, and in white on them.
_INK = ("600", "700", "800", "900", "950")
_CONTRAST = 4.6


def _readable_on_white(rgb: list[int]) -> int:
    """Return how far towards black a colour must go to be read on white (WCAG AA), in percent below nothing."""
    for percent in range(0, -100, -2):
        mixed = [value * (100 + percent) // 100 / 255 for value in rgb]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in mixed]
        luminance = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
        if 1.05 / (luminance + 0.05) >= _CONTRAST:
            return percent
    return -100


def _shaded(rgb: list[int], percent: int) -> str:
    towards = 255 if percent > 0 else 0
    part = abs(percent)
    mixed = [(value * (100 - part) + towards * part) // 100 for value in rgb]
    return f"rgb({mixed[0]} {mixed[1]} {mixed[2]})"
