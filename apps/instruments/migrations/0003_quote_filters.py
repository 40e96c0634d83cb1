from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('instruments', '0002_crosses'),
    ]

    operations = [
        migrations.AddField(
            model_name='instrument',
            name='filter_spike_bps_max',
            field=models.DecimalField(blank=True, decimal_places=10, max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name='instrument',
            name='filter_reference_age_ms_max',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='instrument',
            name='filter_good_ticks',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
    ]
