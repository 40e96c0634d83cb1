from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('risk', '0005_lossshare_accountmargin_swaps_depreciationnotice'),
    ]

    operations = [
        migrations.AddField(
            model_name='lossshare',
            name='day',
            field=models.DateField(editable=False, null=True, unique=True),
        ),
    ]
