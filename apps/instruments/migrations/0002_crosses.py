from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('instruments', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='instrument',
            name='cross_first',
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.AddField(
            model_name='instrument',
            name='cross_second',
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.AddField(
            model_name='instrument',
            name='cross_kind',
            field=models.CharField(blank=True, choices=[('multiply', 'multiply'), ('divide', 'divide')], max_length=8),
        ),
    ]
