from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trading", "0005_requotes_and_windows")]

    operations = [migrations.AlterField("order", "source", models.CharField(max_length=80))]
