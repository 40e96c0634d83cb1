"""The event log: append-only by trigger for every role, chained by hash."""

from __future__ import annotations

from django.db import migrations, models

TRIGGERS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON event_log
    FOR EACH ROW EXECUTE FUNCTION guard.refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON event_log
    FOR EACH STATEMENT EXECUTE FUNCTION guard.refuse_change();
ALTER TABLE event_log ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE event_log ENABLE ALWAYS TRIGGER never_truncated;
ALTER TABLE event_log ALTER COLUMN payload SET STORAGE EXTERNAL;
"""

BACK = "DROP TRIGGER append_only ON event_log; DROP TRIGGER never_truncated ON event_log;"


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []
    operations = [
        migrations.CreateModel(
            name="EventLogRow",
            fields=[
                ("seq", models.BigIntegerField(primary_key=True, serialize=False)),
                ("command_id", models.UUIDField()),
                ("position", models.SmallIntegerField()),
                ("type", models.TextField()),
                ("version", models.SmallIntegerField()),
                ("principal", models.TextField()),
                ("request_hash", models.TextField()),
                ("occurred_at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField()),
                ("recorded_mono_ns", models.BigIntegerField()),
                ("payload", models.BinaryField()),
                ("prev_hash", models.BinaryField()),
                ("hash", models.BinaryField()),
            ],
            options={
                "verbose_name": "event",
                "db_table": "event_log",
                "ordering": ["seq"],
                "default_permissions": ("view",),
                "constraints": [models.UniqueConstraint(fields=("command_id", "position"), name="event_log_once")],
            },
        ),
        migrations.CreateModel(
            name="ProjectionCursor",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField(default=0)),
            ],
            options={"db_table": "projection_cursor", "default_permissions": ("view",)},
        ),
        migrations.RunSQL(TRIGGERS, BACK),
    ]
