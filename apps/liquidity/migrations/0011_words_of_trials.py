from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("liquidity", "0010_words")]

    operations = [
        migrations.AlterModelOptions(
            name="routequote", options={"verbose_name": "venue on trial", "verbose_name_plural": "venues on trial"}
        )
    ]
