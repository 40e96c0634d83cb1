from __future__ import annotations

from django.db import migrations

# Nobody asks for ids that begin with something; each of these costs as much with every row as the index proper.
DROPPED = """
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT i.indexrelid::regclass::text FROM pg_index AS i JOIN pg_opclass AS o ON o.oid = i.indclass[0]
         WHERE i.indrelid IN ('trading_order'::regclass, 'trading_childorder'::regclass, 'trading_fill'::regclass,
                              'trading_position'::regclass)
           AND o.opcname IN ('varchar_pattern_ops', 'text_pattern_ops')
    LOOP
        EXECUTE 'DROP INDEX ' || name;
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("trading", "0003_strategy_limits")]

    operations = [migrations.RunSQL(DROPPED, migrations.RunSQL.noop)]
