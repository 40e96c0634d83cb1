from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trading", "0004_no_pattern_indexes")]

    operations = [
        migrations.AddField(
            "order", "requote_price", models.DecimalField(max_digits=28, decimal_places=10, null=True)
        ),
        migrations.AddField("order", "requote_until", models.DateTimeField(null=True)),
        migrations.AddIndex("fill", BrinIndex(fields=["filled_at"], name="fill_in_time")),
    ]
