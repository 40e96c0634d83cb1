from __future__ import annotations

from apps.instruments import selectors
from apps.instruments.models import Instrument
from apps.outbox.services import retell_settings, save_setting


def save_instrument(*, tenant: str, instrument: Instrument, by: str, reason: str = "") -> Instrument:
    """Write a new or changed symbol and tell the engine; effective on its next order.

    Raises django's ValidationError, whose messages name the field and its limit.
    """
    save_setting(tenant=tenant, row=instrument, by=by, reason=reason)
    return instrument


def sync_engine(*, tenant: str, by: str, mark: str) -> int:
    """Tell the engine every symbol anew; `mark` makes this re-telling distinct from earlier ones."""
    return retell_settings(tenant=tenant, rows=list(selectors.all_instruments()), by=by, mark=mark)
