from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

# Two looks per statement instead of two per line, which cost more than all else about a line; and at once instead of at
# commit. Always by the key: of a tenant that is new the planner believes that its tables are small.
CHECKED = """
CREATE FUNCTION treasury_lines_stand() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    named bigint[] := ARRAY(SELECT DISTINCT entry_id FROM lines);
    codes text[] := ARRAY(SELECT DISTINCT gl_account_id FROM lines);
    found bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM %I.treasury_journalentry WHERE seq = ANY ($1)', TG_TABLE_SCHEMA)
        INTO found USING named;
    IF found <> cardinality(named) THEN
        RAISE EXCEPTION 'a posting names no journal entry' USING ERRCODE = 'foreign_key_violation';
    END IF;
    EXECUTE format('SELECT count(*) FROM %I.treasury_glaccount WHERE code = ANY ($1)', TG_TABLE_SCHEMA)
        INTO found USING codes;
    IF found <> cardinality(codes) THEN
        RAISE EXCEPTION 'a posting names no account of the ledger' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER treasury_lines_stand AFTER INSERT ON treasury_posting
    REFERENCING NEW TABLE AS lines FOR EACH STATEMENT EXECUTE FUNCTION treasury_lines_stand();
CREATE FUNCTION treasury_account_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'account % stays, for the ledger may name it', OLD.code USING ERRCODE = 'foreign_key_violation';
END $$;
CREATE TRIGGER treasury_account_stays BEFORE DELETE OR UPDATE OF code ON treasury_glaccount
    FOR EACH ROW EXECUTE FUNCTION treasury_account_stays();
"""

UNCHECKED = """
DROP TRIGGER treasury_account_stays ON treasury_glaccount;
DROP TRIGGER treasury_lines_stand ON treasury_posting;
DROP FUNCTION treasury_account_stays();
DROP FUNCTION treasury_lines_stand();
"""


class Migration(migrations.Migration):
    dependencies = [("treasury", "0003_accounts_of_nights_and_hedges")]

    operations = [
        migrations.AlterField(
            model_name="posting",
            name="entry",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="postings",
                to="treasury.journalentry",
            ),
        ),
        migrations.AlterField(
            model_name="posting",
            name="gl_account",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="treasury.glaccount",
            ),
        ),
        migrations.RunSQL(CHECKED, UNCHECKED),
    ]
