"""Snapshots of desks, signed heads of the log's tree (append-only), and messages that nobody could carry out."""

from __future__ import annotations

from django.db import migrations, models

TRIGGERS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON log_checkpoint
    FOR EACH ROW EXECUTE FUNCTION guard.refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON log_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION guard.refuse_change();
ALTER TABLE log_checkpoint ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE log_checkpoint ENABLE ALWAYS TRIGGER never_truncated;
ALTER TABLE engine_snapshot ALTER COLUMN body SET STORAGE EXTERNAL;
"""

BACK = "DROP TRIGGER append_only ON log_checkpoint; DROP TRIGGER never_truncated ON log_checkpoint;"


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="EngineSnapshot",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "fold", "seq", "part", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("fold", models.TextField()),
                ("seq", models.BigIntegerField()),
                ("part", models.IntegerField()),
                ("body", models.BinaryField()),
                ("mac", models.BinaryField()),
                ("created_at", models.DateTimeField()),
            ],
            options={"db_table": "engine_snapshot", "default_permissions": ()},
        ),
        migrations.CreateModel(
            name="LogCheckpoint",
            fields=[
                ("seq", models.BigIntegerField(primary_key=True, serialize=False)),
                ("root", models.BinaryField()),
                ("frontier", models.BinaryField()),
                ("signed_at", models.DateTimeField()),
                ("key_id", models.TextField()),
                ("signature", models.BinaryField()),
            ],
            options={"db_table": "log_checkpoint", "ordering": ["seq"], "default_permissions": ("view",)},
        ),
        migrations.CreateModel(
            name="DeadLetter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("stream", models.TextField()),
                ("entry", models.TextField()),
                ("payload", models.BinaryField()),
                ("reason", models.TextField()),
                ("deliveries", models.IntegerField()),
                ("buried_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "dead letter",
                "db_table": "dead_letter",
                "default_permissions": ("view",),
                "constraints": [models.UniqueConstraint(fields=("stream", "entry"), name="dead_letter_once")],
            },
        ),
        migrations.RunSQL(TRIGGERS, BACK),
    ]
