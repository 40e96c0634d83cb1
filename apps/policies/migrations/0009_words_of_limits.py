from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("policies", "0008_words")]

    operations = [
        migrations.AlterModelOptions(
            name="limitspolicy", options={"verbose_name": "group limits", "verbose_name_plural": "group limits"}
        )
    ]
