"""Terms that an amendment may change have columns; what was in them before is for the next migration."""

from __future__ import annotations

from django.db import migrations, models


def _number() -> models.DecimalField:  # type: ignore[type-arg]
    return models.DecimalField(decimal_places=10, max_digits=28, null=True)


class Migration(migrations.Migration):
    dependencies = [("trading", "0008_guaranteed_stops")]

    operations = [
        migrations.AddField("order", "expires_at", models.DateTimeField(null=True)),
        migrations.AddField("order", "trailing_distance", _number()),
        migrations.AddField("order", "take_profit", _number()),
        migrations.AddField("order", "stop_loss", _number()),
    ]
