"""A command is in the log once by its first event: half the entries, and no key of the log grows faster than that."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q

# By what it is and not by its name, for a tenant that was cloned has names of its own.
DROPPED = """
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT conname FROM pg_constraint WHERE conrelid = 'event_log'::regclass AND contype = 'u'
    LOOP
        EXECUTE format('ALTER TABLE event_log DROP CONSTRAINT %I', name);
    END LOOP;
END $$;
"""
BACK = "ALTER TABLE event_log ADD CONSTRAINT event_log_once UNIQUE (command_id, position)"


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_engine_tape")]
    operations = [
        migrations.AddConstraint(
            model_name="eventlogrow",
            constraint=models.UniqueConstraint(
                fields=["command_id"], condition=Q(position=0), name="event_log_command_once"
            ),
        ),
        migrations.RunSQL(
            DROPPED, BACK, state_operations=[migrations.RemoveConstraint("eventlogrow", "event_log_once")]
        ),
    ]
