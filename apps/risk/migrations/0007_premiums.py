from __future__ import annotations

from decimal import Decimal

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("risk", "0006_one_loss_share_a_day")]

    operations = [
        migrations.AddField(
            "accountmargin", "premiums", models.DecimalField(decimal_places=10, default=Decimal("0"), max_digits=28)
        )
    ]
