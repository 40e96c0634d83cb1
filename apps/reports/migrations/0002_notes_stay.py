"""What happened to a break is written once: no note is changed or deleted, not even by the app's own role."""

from __future__ import annotations

from django.db import migrations

GUARDED = """
CREATE FUNCTION reports_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was noted stays; add a note instead of %', TG_OP USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER reports_append_only BEFORE UPDATE OR DELETE ON reports_breaknote
    FOR EACH ROW EXECUTE FUNCTION reports_append_only();
CREATE TRIGGER reports_append_only BEFORE UPDATE OR DELETE ON reports_reconciliation
    FOR EACH ROW EXECUTE FUNCTION reports_append_only();
"""
UNGUARDED = """
DROP TRIGGER reports_append_only ON reports_reconciliation;
DROP TRIGGER reports_append_only ON reports_breaknote;
DROP FUNCTION reports_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("reports", "0001_initial")]

    operations = [migrations.RunSQL(GUARDED, UNGUARDED)]
