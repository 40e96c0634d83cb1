"""Make a broker, and work inside one broker's schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, transaction
from django_tenants.clone import CloneSchema
from django_tenants.utils import schema_exists

from apps.tenants import selectors
from apps.tenants.backend import removal, setup, shards, wall
from apps.tenants.backend.pool import patience as patience
from apps.tenants.backend.roles import become_owner as become_owner
from apps.tenants.models import SCHEMA_NAME, SHARD_NAME, Domain, Tenant

log = structlog.get_logger(__name__)


class UnableToCreateTenant(Exception):
    """Nothing was made; the message says which name or domain stands in the way."""


class UnableToMoveTenant(Exception):
    """The broker stays where it is; the message says why."""


class UnableToRenameTenant(Exception):
    """Name and domains stay as they are; the message says why."""


class UnableToRemoveTenant(Exception):
    """Nothing of the broker is removed; the message says why."""


class NoSuchTenant(Exception):
    """No broker that trades is called so; the message says it."""


class UnableToSuspendTenant(Exception):
    """Nothing was changed; the message says why."""


class UnableToSetUp(Exception):
    """No broker's schema could be migrated, so none was switched off; the message says why of each."""


@contextmanager
def in_tenant(schema: str) -> Iterator[None]:
    """Run a block in one broker's schema; afterwards the connection is back where it was, also after an error.

    Set and cleared around each piece of database work, never "at connect": threads and connections are shared.
    """
    if not schema or schema in settings.TENANT_NAMES_RESERVED:
        raise ValueError(f"{schema!r} is not a broker's schema.")
    if connection.schema_name == schema and connection.include_public_schema:
        # Already there, as in a thread that works for one broker only: nothing to set, and nothing to clear.
        yield
        return
    before, included = connection.tenant, connection.include_public_schema
    connection.set_schema(schema)
    try:
        yield
    finally:
        connection.set_tenant(before, included)


def named_tenants(*, schema: str = "", shard: str | None = None) -> list[str]:
    """Return the broker that is named, else all active ones. Raises NoSuchTenant.

    A schema that is none has no tables: whoever goes on regardless ends in the middle of what it does.
    """
    known = selectors.active_schemas(shard=None if schema else shard)
    if schema and schema not in known:
        why = selectors.why_off().get(schema)
        raise NoSuchTenant(f"{schema} is switched off: {why}" if why else f"There is no broker {schema!r}.")
    return [schema] if schema else known


def create_tenant(
    *,
    schema: str,
    name: str,
    domains: Sequence[str],
    shard: str = "main",
    colour_primary: str = "#0ecb81",
    colour_accent: str = "#3b82f6",
    logo_text: str = "",
) -> Tenant:
    """Make a broker by cloning the template schema (about a second) and protect it. Needs the owner's connection."""
    if schema in settings.TENANT_NAMES_RESERVED:
        raise UnableToCreateTenant(f"{schema} is a reserved name.")
    if not re.match(SCHEMA_NAME.regex, schema):
        raise UnableToCreateTenant(f"schema {schema!r}: {SCHEMA_NAME.message}")
    _check_shard(shard, UnableToCreateTenant)
    # As a browser's Host header is looked up; what never matches one would make a broker whom nobody reaches.
    hosts = {domain: selectors.clean_host(raw=domain) for domain in domains}
    if unknown := [domain for domain, host in hosts.items() if not host]:
        raise UnableToCreateTenant(f"domain {unknown[0]!r} is no host name.")
    with transaction.atomic():
        connection.set_schema_to_public()
        # What is looked for below another may be making; and a template half migrated makes a broker that stays so.
        _take_turns()
        taken = Domain.objects.filter(domain__in=hosts.values()).values_list("domain", flat=True)
        if taken:
            raise UnableToCreateTenant(f"{', '.join(taken)} belongs to another broker.")
        if schema_exists(schema, case_sensitive=False):
            raise UnableToCreateTenant(f"The schema {schema} exists already.")
        # Looked up last, for it may go while this one waits.
        if removal.was_dropped(schema=schema):
            raise UnableToCreateTenant(f"{schema} was removed: secrets of its clients would be the new one's too.")
        tenant = Tenant(
            schema_name=schema,
            name=name,
            shard=shard,
            colour_primary=colour_primary,
            colour_accent=colour_accent,
            logo_text=logo_text,
        )
        _check(tenant, UnableToCreateTenant)
        tenant.save()
        for at, host in enumerate(dict.fromkeys(hosts.values())):
            Domain.objects.create(domain=host, tenant=tenant, is_primary=at == 0)
        _clone(source=settings.TENANT_TEMPLATE_SCHEMA, target=schema)
    selectors.forget_hosts()
    if not connection.in_atomic_block:
        # What a session planned for a clone it keeps, and looks through for every table of the next one: the fifteenth
        # in one session takes PostgreSQL four times the processor time that it takes in a session of its own.
        connection.close()
    return tenant


def _take_turns() -> None:
    """Wait, until the transaction that is open ends, for whoever makes, renames or drops a broker, or sets up."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [setup.SETUP_LOCK])


def _check_shard(shard: str, refused: type[Exception]) -> None:
    if shard == shards.NOBODYS:
        raise refused(f"shard {shard!r} is of brokers that are being removed.")
    if not re.match(SHARD_NAME.regex, shard):
        raise refused(f"shard {shard!r}: {SHARD_NAME.message}")


def _check(tenant: Tenant, refused: type[Exception]) -> None:
    try:
        tenant.full_clean()
    except ValidationError as error:
        told = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
        raise refused(told) from error


def move_tenant(*, schema: str, shard: str, may_wait: bool = False) -> str:
    """Give a broker's desk to the engine of another shard while both run; return the shard that had it.

    One that no engine holds takes nobody unless it `may_wait` for one. Needs the owner's connection. Raises
    UnableToMoveTenant.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        found = Tenant.objects.filter(schema_name=schema, is_active=True).values_list("shard", flat=True).first()
        if found is None or schema == settings.TENANT_TEMPLATE_SCHEMA:
            raise UnableToMoveTenant(f"No broker is called {schema}.")
        if found == shard:
            raise UnableToMoveTenant(f"{schema} is in shard {shard} already.")
        _check_shard(shard, UnableToMoveTenant)
        if not may_wait and not shards.is_served(cursor=cursor, shard=shard):
            raise UnableToMoveTenant(f"No engine runs shard {shard}: {schema} would stand still until one does.")
        if not shards.move(cursor=cursor, schema=schema, source=found, target=shard):
            raise UnableToMoveTenant(f"{schema} left shard {found} meanwhile.")
    return str(found)


def rename_tenant(*, schema: str, name: str = "", domains: Sequence[str] = ()) -> None:
    """Change what a broker is called, and put these domains, the first of them primary, in the place of its own.

    Its schema stays: logs, signatures and addresses of signals name it. A domain that it gives up is nobody's within
    seconds. Needs the owner's connection. Raises UnableToRenameTenant.
    """
    if not (name or domains):
        raise UnableToRenameTenant("Say a name, a domain, or both.")
    wanted = [selectors.clean_host(raw=domain) for domain in domains]
    if not all(wanted):
        raise UnableToRenameTenant(f"Not a host name: {domains[wanted.index('')]!r}.")
    with transaction.atomic():
        connection.set_schema_to_public()
        _take_turns()
        known = Tenant.objects.select_for_update().exclude(schema_name=settings.TENANT_TEMPLATE_SCHEMA)
        tenant = known.filter(schema_name=schema).first()
        if tenant is None:
            raise UnableToRenameTenant(f"No broker is called {schema}.")
        if taken := Domain.objects.filter(domain__in=wanted).exclude(tenant=tenant).values_list("domain", flat=True):
            raise UnableToRenameTenant(f"{', '.join(taken)} belongs to another broker.")
        if name:
            tenant.name = name
            _check(tenant, UnableToRenameTenant)
            tenant.save(update_fields=["name"])
        if wanted:
            Domain.objects.filter(tenant=tenant).exclude(domain__in=wanted).delete()
        for at, domain in enumerate(wanted):
            Domain.objects.update_or_create(domain=domain, defaults={"tenant": tenant, "is_primary": at == 0})
    selectors.forget_hosts()


def require_suspended(*, schema: str) -> None:
    """Raise UnableToRemoveTenant where there is no such broker, or it is not suspended."""
    connection.set_schema_to_public()
    tenant = Tenant.objects.exclude(schema_name=settings.TENANT_TEMPLATE_SCHEMA).filter(schema_name=schema).first()
    if tenant is None:
        raise UnableToRemoveTenant(f"No broker is called {schema}.")
    if tenant.suspended_at is None:
        raise UnableToRemoveTenant(f"{schema} is not suspended: suspend it first, and let its clients close.")


def is_being_removed(*, schema: str) -> bool:
    """Return whether a broker was switched off to be removed; nothing is written to its log any more."""
    return Tenant.objects.filter(schema_name=schema, shard=shards.NOBODYS).exists()


def is_removed(*, schema: str) -> bool:
    """Return whether a broker's schema was dropped; no other ever has its name. Needs the owner's connection."""
    return removal.was_dropped(schema=schema)


def is_gone(*, schema: str) -> bool:
    """Return whether a broker of that name was removed, or is being removed. Needs the owner's connection."""
    return removal.was_dropped(schema=schema) or is_being_removed(schema=schema)


def switch_off(*, schema: str) -> None:
    """Let nothing be written to a suspended broker's log from here on, and nobody in; the first step of removing it.

    Every process that served it has let go of it within seconds. May be repeated. Needs the owner's connection.
    Raises UnableToRemoveTenant.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        require_suspended(schema=schema)
        shard = Tenant.objects.values_list("shard", flat=True).get(schema_name=schema)
        # As a move does: it waits for what is being written, and no later write takes a row.
        if shard != shards.NOBODYS and not shards.move(
            cursor=cursor, schema=schema, source=shard, target=shards.NOBODYS
        ):
            raise UnableToRemoveTenant(f"{schema} left shard {shard} meanwhile.")
        # Set-up switches on again whom it had switched off.
        Tenant.objects.filter(schema_name=schema).update(is_active=False, setup_error="")
    selectors.forget_hosts()


def archive_tenant(*, schema: str, folder: Path) -> dict[str, str]:
    """Write every table of a broker into `folder`; returns the SHA-256 of each. Needs the owner. Raises OSError."""
    return removal.archive(schema=schema, folder=folder)


def remove_tenant(*, schema: str) -> None:
    """Drop the schema of a broker that was switched off, with its domains. Needs the owner.

    Raises UnableToRemoveTenant.
    """
    with transaction.atomic():
        connection.set_schema_to_public()
        # Set-up makes whatever schema is missing of those that it began with.
        _take_turns()
        tenant = (
            Tenant.objects.select_for_update().filter(schema_name=schema, shard=shards.NOBODYS, is_active=False).first()
        )
        if tenant is None:
            raise UnableToRemoveTenant(f"{schema} is not switched off.")
        removal.drop(schema=schema)
        Domain.objects.filter(tenant=tenant).delete()
        Tenant.objects.filter(pk=tenant.pk).delete()
    selectors.forget_hosts()


def mark_suspended(*, schema: str, at: datetime | None) -> None:
    """Note since when a broker is suspended, None that it no longer is. Needs the owner. Raises UnableToSuspendTenant.

    What follows from it at the desk is apps.dealing.services.suspend.
    """
    connection.set_schema_to_public()
    known = Tenant.objects.filter(schema_name=schema, is_active=True).exclude(
        schema_name=settings.TENANT_TEMPLATE_SCHEMA
    )
    if not known.filter(suspended_at__isnull=at is not None).update(suspended_at=at):
        what = "suspended already" if at else "not suspended"
        raise UnableToSuspendTenant(f"{schema} is {what}." if known.exists() else f"No broker is called {schema}.")
    selectors.forget_hosts()


def set_up_database(*, verbosity: int = 1) -> tuple[list[str], dict[str, str]]:
    """Bring public, the template and every broker to this code's shape; returns the schemas, [] if all was so already.

    A broker whose schema cannot be migrated is off from then on, until it can, and the others run (F-27); those are
    returned with the reason. Where none can be it is this program's fault: they are left to the one that runs. Needs
    the owner's connection. Safe to run from several processes at once. Raises UnableToSetUp.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [setup.SETUP_LOCK])
    wanted = setup.fingerprint()
    if setup.stored_fingerprint() == wanted:
        return [], {}
    setup.migrate_shared(verbosity=verbosity)
    template = settings.TENANT_TEMPLATE_SCHEMA
    Tenant.objects.get_or_create(schema_name=template, defaults={"name": "Template", "is_active": False})
    setup.migrate_schema(schema=template, verbosity=verbosity)
    brokers = Tenant.objects.exclude(schema_name=template).order_by("created_at")
    schemas = list(brokers.values_list("schema_name", flat=True))
    failed = {schema: why for schema in schemas if (why := _set_up(schema, verbosity))}
    if failed and len(failed) == len(schemas):
        raise UnableToSetUp("; ".join(f"{schema}: {why}" for schema, why in failed.items()))
    for schema, why in failed.items():
        # Whoever is off for something else stays so, whatever set-up finds later.
        brokers.filter(schema_name=schema).exclude(is_active=False, setup_error="").update(
            is_active=False, setup_error=why
        )
    if not failed:
        setup.store_fingerprint(wanted)
    connection.close()
    return ["public", template, *schemas], failed


def _set_up(schema: str, verbosity: int) -> str:
    """Migrate one broker and switch it on again if it was off for that; return why not, else ''."""
    try:
        setup.migrate_schema(schema=schema, verbosity=verbosity)
    except OperationalError:
        # A lock, the disk, the server: no fault of this broker, and nothing to switch it off for.
        raise
    except Exception as error:
        # The boundary of one broker.
        log.exception("broker_not_migrated", tenant=schema)
        connection.set_schema_to_public()
        return f"{type(error).__name__}: {str(error).strip()}"
    Tenant.objects.filter(schema_name=schema).exclude(setup_error="").update(is_active=True, setup_error="")
    return ""


def _clone(*, source: str, target: str) -> None:
    # The template's rows are behind its own policy, so the copy runs with the template's context.
    with wall.context_of(source):
        CloneSchema().clone_schema(source, target, "DATA", set_connection=False)
    connection.set_schema_to_public()
    wall.copy_triggers(source=source, target=target)
    wall.protect(schema=target)
    wall.protect_shared()
    if missing := wall.shape(schema=source) ^ wall.shape(schema=target):
        raise UnableToCreateTenant(f"The clone differs from the template: {sorted(missing)[:5]}")
