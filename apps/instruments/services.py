from __future__ import annotations

from django.db import transaction

from apps.instruments import selectors
from apps.instruments.models import Instrument
from apps.outbox.services import tell_engine
from piggy.core.commands import ConfigureInstrument


def save_instrument(*, tenant: str, instrument: Instrument, by: str) -> Instrument:
    """Write a new or changed symbol and tell the engine; effective on its next order.

    Raises django's ValidationError, whose messages name the field and its limit.
    """
    with transaction.atomic():
        current = Instrument.objects.select_for_update().filter(pk=instrument.pk).first()
        instrument.version = (current.version if current else 0) + 1
        instrument.full_clean()
        instrument.save()
        _tell(tenant=tenant, instrument=instrument, by=by)
    return instrument


def sync_engine(*, tenant: str, by: str, mark: str) -> int:
    """Tell the engine every symbol anew; `mark` makes this re-telling distinct from earlier ones."""
    with transaction.atomic():
        rows = list(selectors.all_instruments())
        for instrument in rows:
            _tell(tenant=tenant, instrument=instrument, by=by, mark=mark)
    return len(rows)


def _tell(*, tenant: str, instrument: Instrument, by: str, mark: str = "") -> None:
    tell_engine(
        tenant=tenant,
        command=ConfigureInstrument(instrument=instrument.to_core()),
        reference=f"instrument:{instrument.symbol}",
        version=f"{instrument.version}{mark}",
        by=by,
    )
