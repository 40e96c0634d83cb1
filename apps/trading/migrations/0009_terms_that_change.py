"""Terms that an amendment may change have columns; of orders of before, none of which was so changed, the log has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
from django.db import migrations, models

EPOCH, TIME_MAX_US = datetime(1970, 1, 1, tzinfo=UTC), 253_402_300_799_999_999
# What a column holds; an order that was denied may have asked for more.
MOST = Decimal("999999999999999999.9999999999")
AT_ONCE = 10_000
FIRSTS = """
select seq, payload from event_log where type in ('OrderAccepted', 'OrderDenied') and seq > %s order by seq limit %s
"""
TERMS = """
update trading_order set expires_at = %s, trailing_distance = %s, take_profit = %s, stop_loss = %s where order_id = %s
"""


def find_terms(apps, schema_editor) -> None:
    seq = 0
    with schema_editor.connection.cursor() as cursor:
        while True:
            cursor.execute(FIRSTS, [seq, AT_ONCE])
            if not (rows := cursor.fetchall()):
                return
            seq = rows[-1][0]
            firsts = [msgspec.msgpack.decode(bytes(payload)) for _, payload in rows]
            told = [(*_of(first["terms"]), first["order_id"]) for first in firsts]
            cursor.executemany(TERMS, [row for row in told if any(each is not None for each in row[:-1])])


def _of(terms):
    until_us = terms.get("expires_at_us") if terms.get("time_in_force") == "gtd" else None
    until = None if until_us is None else EPOCH + timedelta(microseconds=min(max(until_us, 0), TIME_MAX_US))
    return until, *(_bounded(terms.get(name)) for name in ("trailing_distance", "take_profit", "stop_loss"))


def _bounded(text):
    if text is None:
        return None
    number = Decimal(text)
    return max(-MOST, min(MOST, number)) if number.is_finite() else MOST


def _number() -> models.DecimalField:  # type: ignore[type-arg]
    return models.DecimalField(decimal_places=10, max_digits=28, null=True)


class Migration(migrations.Migration):
    dependencies = [("trading", "0008_guaranteed_stops"), ("audit", "0004_command_once_by_its_first_event")]

    operations = [
        migrations.AddField("order", "expires_at", models.DateTimeField(null=True)),
        migrations.AddField("order", "trailing_distance", _number()),
        migrations.AddField("order", "take_profit", _number()),
        migrations.AddField("order", "stop_loss", _number()),
        migrations.RunPython(find_terms, migrations.RunPython.noop),
    ]
