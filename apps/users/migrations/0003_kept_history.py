"""What staff did in the back office, as who gave a token out or took it back: written once, never changed."""

from __future__ import annotations

from django.db import migrations

# The role of the application may truncate nothing.
TRIGGERS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON django_admin_log
    FOR EACH ROW EXECUTE FUNCTION guard.refuse_change();
ALTER TABLE django_admin_log ENABLE ALWAYS TRIGGER append_only;
"""
BACK = "DROP TRIGGER append_only ON django_admin_log;"


class Migration(migrations.Migration):
    dependencies = [("users", "0002_factor_removals"), ("admin", "0003_logentry_add_action_flag_choices")]
    operations = [migrations.RunSQL(TRIGGERS, BACK)]
