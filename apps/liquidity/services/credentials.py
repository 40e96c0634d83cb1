"""Credentials of LPs: asked for by one person, let in by another, sealed anew when the keys turn over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import structlog
from django.db import IntegrityError, connection, transaction

from apps.common import sealing
from apps.common.two_people import undecided
from apps.liquidity import selectors
from apps.liquidity.models import Credential, CredentialChange, LiquidityProvider

SECRET_CHARACTERS_MAX = 4_096
# One statement for a whole batch; what bulk_update writes takes longer to read than the batch to seal.
SEALED_ANEW = """
update {table} as row set sealed = fresh.sealed, kek_id = %s
  from unnest(%s::{key}[], %s::bytea[]) as fresh(pk, sealed) where row.{pk} = fresh.pk
"""
State = CredentialChange.State

log = structlog.get_logger(__name__)


class UnableToRequestCredential(Exception):
    """Nothing was written; the message may be shown to staff and never holds the secret."""


class UnableToDecideCredential(Exception):
    """The change stays as it is; the message may be shown to staff."""


def request_credential(
    *, tenant: str, provider: LiquidityProvider, kind: str, secret: str, by: Any
) -> CredentialChange:
    """Write a new credential down, sealed, for a second person to let in; an older open request is withdrawn.

    Raises UnableToRequestCredential, sealing.UnableToReachKeys.
    """
    if not 0 < len(secret) <= SECRET_CHARACTERS_MAX:
        raise UnableToRequestCredential(f"secret: between 1 and {SECRET_CHARACTERS_MAX} characters.")
    change = CredentialChange(provider=provider, kind=kind, requested_by_id=by.pk, kek_id=sealing.current_kek())
    change.fingerprint = sealing.fingerprint(
        place=selectors.credential_place(tenant=tenant, provider_id=provider.pk, kind=kind, version=0), secret=secret
    )
    change.sealed = sealing.seal(place=selectors.change_place(tenant=tenant, change=change), secret=secret)
    try:
        with transaction.atomic():
            CredentialChange.objects.filter(provider=provider, kind=kind, state=State.REQUESTED).update(
                state=State.WITHDRAWN, sealed=None
            )
            change.save(force_insert=True)
    except IntegrityError as error:
        raise UnableToRequestCredential("Somebody else asked for a change at this moment; look at theirs.") from error
    log.info("credential_requested", tenant=tenant, provider=provider.name, kind=kind, by=by.get_username())
    return change


def approve_credential(*, tenant: str, change_id: Any, by: Any, at: datetime) -> Credential:
    """Let a requested credential in as its second person; running sessions log on anew with it.

    Raises UnableToDecideCredential where it is decided, was altered, or `by` asked for it; sealing.UnableToReachKeys.
    """
    with transaction.atomic():
        change = _undecided(change_id=change_id, by=by)
        secret = _secret_of(tenant, change)
        held = Credential.objects.select_for_update().filter(provider=change.provider_id, kind=change.kind).first()
        credential = held or Credential(provider=change.provider, kind=change.kind)
        credential.version += 1
        credential.kek_id = sealing.current_kek()
        place = selectors.place_of(tenant=tenant, credential=credential)
        credential.sealed = sealing.seal(place=place, secret=secret)
        credential.fingerprint = change.fingerprint
        credential.changed_by_id, credential.approved_by_id = change.requested_by_id, by.pk
        credential.changed_at = at
        credential.save()
        _decide(change, State.APPROVED, by, at)
    log.info("credential_changed", tenant=tenant, provider=change.provider.name, version=credential.version)
    return credential


def reject_credential(*, change_id: Any, by: Any, at: datetime) -> CredentialChange:
    """Refuse a requested credential as its second person. Raises UnableToDecideCredential as approval does."""
    with transaction.atomic():
        change = _undecided(change_id=change_id, by=by)
        _decide(change, State.REJECTED, by, at)
    return change


def rotate_keys(*, tenant: str, rows_max: int = 500) -> Iterator[tuple[int, int]]:
    """Seal every record of the broker anew under the current key, a transaction each `rows_max` rows.

    Yields (sealed anew, could not be opened) after each commit. What a killed run left undone the next one does: a row
    names its key. Readers meet either the old record or the new one, and both open. Raises sealing.UnableToReachKeys.
    """
    for model in (Credential, CredentialChange):
        after: Any = None
        while True:
            with transaction.atomic():
                waiting = model._default_manager.exclude(kek_id=sealing.current_kek()).filter(sealed__isnull=False)
                if after is not None:
                    waiting = waiting.filter(pk__gt=after)
                rows: list[Any] = list(waiting.select_for_update(of=("self",)).order_by("pk")[:rows_max])
                sealed = [row for row in rows if _seal_anew(tenant, row)]
                failed = len(rows) - len(sealed)
                _write_anew(model, sealed)
            if not rows:
                break
            after = rows[-1].pk
            yield len(rows) - failed, failed


def _write_anew(model: type[Credential | CredentialChange], rows: list[Any]) -> None:
    pk = model._meta.pk
    assert pk is not None, "every table has a key"
    statement = SEALED_ANEW.format(
        table=connection.ops.quote_name(model._meta.db_table), pk=pk.column, key=pk.db_type(connection)
    )
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(statement, [rows[0].kek_id, [row.pk for row in rows], [bytes(row.sealed) for row in rows]])


def _seal_anew(tenant: str, row: Credential | CredentialChange) -> bool:
    place = (
        selectors.place_of(tenant=tenant, credential=row)
        if isinstance(row, Credential)
        else selectors.change_place(tenant=tenant, change=row)
    )
    try:
        secret = sealing.unseal(place=place, sealed=bytes(row.sealed or b""))
    except sealing.UnableToOpen:
        log.error("credential_does_not_open", tenant=tenant, record=str(row.pk), kek_id=row.kek_id)
        return False
    row.kek_id = sealing.current_kek()
    row.sealed = sealing.seal(place=place, secret=secret)
    return True


def _secret_of(tenant: str, change: CredentialChange) -> str:
    place = selectors.change_place(tenant=tenant, change=change)
    try:
        secret = sealing.unseal(place=place, sealed=bytes(change.sealed or b""))
    except sealing.UnableToOpen as error:
        raise UnableToDecideCredential("The request was altered since it was made; ask for it anew.") from error
    seen = selectors.credential_place(tenant=tenant, provider_id=change.provider_id, kind=change.kind, version=0)
    if sealing.fingerprint(place=seen, secret=secret) != change.fingerprint:
        raise UnableToDecideCredential("The request was altered since it was made; ask for it anew.")
    return secret


def _undecided(*, change_id: Any, by: Any) -> CredentialChange:
    return undecided(model=CredentialChange, pk=change_id, by=by, refusal=UnableToDecideCredential)


def _decide(change: CredentialChange, state: str, by: Any, at: datetime) -> None:
    change.decide(state=state, by=by, at=at)
    change.sealed = None
    change.save()
