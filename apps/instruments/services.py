from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from apps.instruments import selectors
from apps.instruments.models import Instrument
from apps.outbox.services import SET_UP, retell_settings, save_setting
from piggy.core import instruments as core
from piggy.core.crosses import cross_fault
from piggy.core.quotefilter import QuoteFilter, filter_fault

# How columns begin that are of a part of a symbol, and what its draft calls that part.
PARTS = (("option_", "option"), ("cross_", "cross"), ("filter_", "quote_filter"))


class UnableToSetUpInstrument(Exception):
    """Nothing was written; the message may be shown to staff."""


def set_up_instrument(*, tenant: str, instrument: Instrument, by: str, reason: str = SET_UP) -> Instrument:
    """Write a symbol that there was none of, as set-up does for a new broker, and tell the engine.

    The one way past a draft and its second person, so it never changes a symbol: raises UnableToSetUpInstrument where
    it is there already, django's ValidationError, whose messages name the field and its limit.
    """
    if instrument.version:
        raise UnableToSetUpInstrument(f"{instrument.symbol} is there already; it is changed by a draft.")
    if instrument.cross_kind:
        instrument.full_clean()
        _check_cross(instrument.to_core())
    _check_filter(instrument.quote_filter())
    save_setting(tenant=tenant, row=instrument, by=by, reason=reason)
    return instrument


def put_instrument(*, tenant: str, instrument: core.Instrument, by: str, reason: str) -> Instrument:
    """Write a new or changed symbol as two people decided and tell the engine; effective on its next order.

    Raises ValidationError naming a field.
    """
    with transaction.atomic():
        known = Instrument.objects.select_for_update().filter(symbol=instrument.symbol).first()
        row = known or Instrument(symbol=instrument.symbol)
        row.take(instrument=instrument)
        _check_cross(instrument)
        _check_filter(instrument.quote_filter)
        save_setting(tenant=tenant, row=row, by=by, reason=reason)
    return row


def check_instrument(*, instrument: core.Instrument) -> None:
    """Raise ValidationError, naming the field and its limit, where a symbol could not be written."""
    row = Instrument.objects.filter(symbol=instrument.symbol).first() or Instrument(symbol=instrument.symbol)
    _check_filter(instrument.quote_filter)
    row.take(instrument=instrument)
    try:
        row.full_clean()
    except ValidationError as error:
        raise ValidationError({_in_draft(field): texts for field, texts in error.message_dict.items()}) from error
    _check_cross(instrument)


def sync_engine(*, tenant: str, by: str, mark: str) -> int:
    """Tell the engine every symbol anew; `mark` makes this re-telling distinct from earlier ones."""
    # A cross is taken once its legs are there.
    rows = sorted(selectors.all_instruments(), key=lambda row: bool(row.cross_kind))
    return retell_settings(tenant=tenant, rows=rows, by=by, mark=mark)


def _in_draft(column: str) -> str:
    """Return how a draft names a column: what is of a part of the symbol stands under that part."""
    return next((f"{part}.{column[len(begins) :]}" for begins, part in PARTS if column.startswith(begins)), column)


def _check_filter(quote_filter: QuoteFilter | None) -> None:
    """Raise ValidationError where a filter of quotes would believe anything, or nothing."""
    if quote_filter is not None and (fault := filter_fault(quote_filter=quote_filter)):
        field, text = fault
        raise ValidationError({f"quote_filter.{field}": [text]})


def _check_cross(instrument: core.Instrument) -> None:
    """Raise ValidationError where a cross, or a cross that the symbol is a leg of, would not fit its legs."""
    known = {row.symbol: row.to_core() for row in selectors.all_instruments()}
    if fault := cross_fault(instrument=instrument, known=known):
        field, text = fault
        raise ValidationError({field: [text]})
