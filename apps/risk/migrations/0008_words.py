from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("risk", "0007_premiums")]

    operations = [
        migrations.AlterModelOptions(
            name="grouplimits",
            options={"verbose_name": "group limits as told", "verbose_name_plural": "group limits as told"},
        )
    ]
