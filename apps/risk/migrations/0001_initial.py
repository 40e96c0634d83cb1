
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='AccountMargin',
            fields=[
                ('account_id', models.CharField(max_length=40, primary_key=True, serialize=False)),
                ('last_seq', models.BigIntegerField()),
                ('currency', models.CharField(max_length=5)),
                ('balance', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('deposited', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('withdrawn', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('realised', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('commission', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('margin_called', models.BooleanField(default=False)),
                ('updated_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='MarginCall',
            fields=[
                ('seq', models.BigIntegerField(primary_key=True, serialize=False)),
                ('account_id', models.CharField(db_index=True, max_length=40)),
                ('kind', models.CharField(max_length=20)),
                ('equity', models.DecimalField(decimal_places=10, max_digits=28, null=True)),
                ('used_margin', models.DecimalField(decimal_places=10, max_digits=28, null=True)),
                ('level_percent', models.DecimalField(decimal_places=10, max_digits=28, null=True)),
                ('detail', models.JSONField(default=list)),
                ('at', models.DateTimeField()),
            ],
        ),
    ]
