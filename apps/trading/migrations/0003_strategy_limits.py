"""Strategies get limits of their own, patience, and a shadow."""

from django.db import migrations, models

LIMIT = {"max_digits": 28, "decimal_places": 10, "null": True, "blank": True}


class Migration(migrations.Migration):
    dependencies = [("trading", "0002_with_dealer")]

    operations = [
        migrations.AddField(
            "strategy",
            "position_lots_max",
            models.DecimalField(help_text="Lots in one symbol, either way.", **LIMIT),
        ),
        migrations.AddField(
            "strategy",
            "loss_day_max",
            models.DecimalField(help_text="In the account's currency; past it only what reduces is taken.", **LIMIT),
        ),
        migrations.AddField(
            "strategy",
            "wait_ms_max",
            models.PositiveIntegerField(
                default=0, help_text="How long a signal waits for the position that it expects; 0 refuses it at once."
            ),
        ),
        migrations.AddField(
            "strategy",
            "shadow",
            models.BooleanField(default=False, help_text="Decide and record what it signals, and deal nothing."),
        ),
    ]
