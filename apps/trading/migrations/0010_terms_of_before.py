"""Give orders of before the terms that the log has of them, a page of it at a time.

Apart from the columns: who adds one keeps everybody off the table until its transaction ends, and a long log takes
minutes. Each page is a transaction of its own, so none of them waits long, and what is done again is done the same.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
from django.db import migrations, transaction

EPOCH, TIME_MAX_US = datetime(1970, 1, 1, tzinfo=UTC), 253_402_300_799_999_999
# What a column holds; an order that was denied may have asked for more.
MOST = Decimal("999999999999999999.9999999999")
AT_ONCE = 10_000
CHANGES = """
select seq, payload from event_log where type in ('OrderAccepted', 'OrderDenied', 'OrderAmended') and seq > %s
 order by seq limit %s
"""
TERMS = """
update trading_order set expires_at = t.until, trailing_distance = t.distance, take_profit = t.profit, stop_loss = t.loss
  from unnest(%s::text[], %s::timestamptz[], %s::numeric[], %s::numeric[], %s::numeric[])
       t (id, until, distance, profit, loss) where order_id = t.id
"""


def find_terms(apps, schema_editor) -> None:
    connection, seq = schema_editor.connection, 0
    while True:
        # A cursor for each: one that is kept outlives its connection's context, and to that a log has no rows (INV-20).
        with connection.cursor() as cursor:
            cursor.execute(CHANGES, [seq, AT_ONCE])
            rows = cursor.fetchall()
        if not rows:
            return
        seq = rows[-1][0]
        if told := _told([msgspec.msgpack.decode(bytes(payload)) for _, payload in rows]):
            with connection.cursor() as cursor, transaction.atomic():
                cursor.execute(TERMS, [list(told), *map(list, zip(*told.values(), strict=True))])


def _told(changes):
    """Return what the last of these events tells of each order; an order that begins with none of it has none."""
    told = {}
    for change in changes:
        # An amendment of quantity, limit or stop alone names no terms; one that does has a verdict where it was asked.
        if terms := change.get("terms"):
            columns = _of(terms)
            if any(each is not None for each in columns) or "keeps_priority" in change:
                told[change["order_id"]] = columns
    return told


def _of(terms):
    until_us = terms.get("expires_at_us") if terms.get("time_in_force") == "gtd" else None
    until = None if until_us is None else EPOCH + timedelta(microseconds=min(max(until_us, 0), TIME_MAX_US))
    return until, *(_bounded(terms.get(name)) for name in ("trailing_distance", "take_profit", "stop_loss"))


def _bounded(text):
    if text is None:
        return None
    number = Decimal(text)
    return max(-MOST, min(MOST, number)) if number.is_finite() else MOST


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("trading", "0009_terms_that_change"), ("audit", "0004_command_once_by_its_first_event")]

    operations = [migrations.RunPython(find_terms, migrations.RunPython.noop)]
