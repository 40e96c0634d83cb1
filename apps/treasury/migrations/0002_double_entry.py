"""The ledger's own guard: accounts of the ledger, balance per currency in every statement, and no second thoughts."""

from __future__ import annotations

from django.db import migrations

from piggy.core.ledger import KINDS

# Every statement's own lines must balance, so every entry does, always: stricter than a check per row at commit, and one
# look per statement instead of one per line (92 us each under row-level security).
BALANCED = """
CREATE FUNCTION treasury_entry_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    unbalanced record;
BEGIN
    SELECT entry_id, currency INTO unbalanced FROM lines GROUP BY entry_id, currency HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'journal entry % does not balance in %', unbalanced.entry_id, unbalanced.currency
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER treasury_entry_balanced AFTER INSERT ON treasury_posting
    REFERENCING NEW TABLE AS lines FOR EACH STATEMENT EXECUTE FUNCTION treasury_entry_balanced();
CREATE FUNCTION treasury_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is corrected by new entries, not by %', TG_OP USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER treasury_append_only BEFORE UPDATE OR DELETE ON treasury_posting
    FOR EACH ROW EXECUTE FUNCTION treasury_append_only();
CREATE TRIGGER treasury_append_only BEFORE UPDATE OR DELETE ON treasury_journalentry
    FOR EACH ROW EXECUTE FUNCTION treasury_append_only();
"""

UNGUARDED = """
DROP TRIGGER treasury_append_only ON treasury_journalentry;
DROP TRIGGER treasury_append_only ON treasury_posting;
DROP TRIGGER treasury_entry_balanced ON treasury_posting;
DROP FUNCTION treasury_append_only();
DROP FUNCTION treasury_entry_balanced();
"""


def open_accounts(apps, schema_editor) -> None:
    account = apps.get_model("treasury", "GlAccount")
    account.objects.bulk_create([account(code=code, kind=kind) for code, kind in KINDS.items()])


class Migration(migrations.Migration):
    dependencies = [("treasury", "0001_initial")]

    operations = [
        migrations.RunPython(open_accounts, migrations.RunPython.noop),
        migrations.RunSQL(BALANCED, UNGUARDED),
    ]
