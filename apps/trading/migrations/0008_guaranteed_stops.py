from __future__ import annotations

from decimal import Decimal

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trading", "0007_decisions_stay_in_the_log")]

    operations = [
        migrations.AddField("order", "guaranteed_stop", models.BooleanField(default=False)),
        migrations.AddField(
            "fill", "premium", models.DecimalField(decimal_places=10, default=Decimal("0"), max_digits=28)
        ),
        migrations.AddField(
            "fill", "guarantee_cost", models.DecimalField(decimal_places=10, default=Decimal("0"), max_digits=28)
        ),
    ]
