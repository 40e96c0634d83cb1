"""What was decided of an order is in the log already; the row names the events instead of holding them again."""

from __future__ import annotations

import msgspec
from django.db import migrations, models

# Only the checks that an order did not pass are kept, as the projection keeps them.
KEPT = """
UPDATE trading_order SET routed_seq = CASE WHEN routing IS NULL THEN 0 ELSE seq END, reasons = (
    SELECT jsonb_agg(asked ORDER BY place) FROM jsonb_array_elements(verdict -> 'checks') WITH ORDINALITY c (asked, place)
     WHERE NOT (asked ->> 'passed')::boolean);
UPDATE trading_order SET best_venue = routing -> 'considered' -> 0 ->> 'venue',
    best_price = (routing -> 'considered' -> 0 ->> 'price')::numeric WHERE routing -> 'considered' -> 0 ->> 'rank' = '1';
"""


def find_reroutings(apps, schema_editor) -> None:
    """A decision that was made anew is in an event of its own, and what order that is about only its payload says."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("select seq, payload from event_log where type = 'OrderRerouted' order by seq")
        anew = {msgspec.msgpack.decode(bytes(payload))["order_id"]: seq for seq, payload in cursor.fetchall()}
        cursor.executemany("update trading_order set routed_seq = %s where order_id = %s and last_seq >= %s",
                           [(seq, order_id, seq) for order_id, seq in anew.items()])


class Migration(migrations.Migration):
    dependencies = [("trading", "0006_source_of_any_strategy"), ("audit", "0004_command_once_by_its_first_event")]

    operations = [
        migrations.AddField("order", "routed_seq", models.BigIntegerField(default=0)),
        migrations.AddField("order", "reasons", models.JSONField(null=True)),
        migrations.AddField("order", "best_venue", models.CharField(blank=True, default="", max_length=40), False),
        migrations.AddField("order", "best_price", models.DecimalField(decimal_places=10, max_digits=28, null=True)),
        migrations.RunSQL(KEPT, migrations.RunSQL.noop),
        migrations.RunPython(find_reroutings, migrations.RunPython.noop),
        migrations.RemoveField("order", "terms"),
        migrations.RemoveField("order", "verdict"),
        migrations.RemoveField("order", "routing"),
    ]
