"""The tape of what a desk decided upon: compressed already, so PostgreSQL does not try again."""

from __future__ import annotations

from django.db import migrations, models

STORAGE = "ALTER TABLE engine_tape ALTER COLUMN body SET STORAGE EXTERNAL;"


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_durability")]
    operations = [
        migrations.CreateModel(
            name="EngineTape",
            fields=[
                ("begun_at_us", models.BigIntegerField(primary_key=True, serialize=False)),
                ("ended_at_us", models.BigIntegerField()),
                ("seq", models.BigIntegerField()),
                ("starts", models.BooleanField()),
                ("version", models.SmallIntegerField()),
                ("body", models.BinaryField()),
            ],
            options={"db_table": "engine_tape", "default_permissions": ()},
        ),
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
    ]
