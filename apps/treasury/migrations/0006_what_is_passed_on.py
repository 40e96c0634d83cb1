from __future__ import annotations

from django.db import migrations

from piggy.core.ledger import KINDS


def open_missing_accounts(apps, schema_editor) -> None:
    account = apps.get_model("treasury", "GlAccount")
    known = set(account.objects.values_list("code", flat=True))
    account.objects.bulk_create([account(code=code, kind=kind) for code, kind in KINDS.items() if code not in known])


class Migration(migrations.Migration):
    dependencies = [("treasury", "0005_withdrawals")]

    operations = [migrations.RunPython(open_missing_accounts, migrations.RunPython.noop)]
