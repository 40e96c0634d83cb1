
import django.core.validators
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='ChildOrder',
            fields=[
                ('cl_ord_id', models.CharField(max_length=100, primary_key=True, serialize=False)),
                ('last_seq', models.BigIntegerField()),
                ('order_id', models.CharField(db_index=True, max_length=60)),
                ('venue', models.CharField(max_length=40)),
                ('symbol', models.CharField(max_length=40)),
                ('side', models.CharField(choices=[('buy', 'buy'), ('sell', 'sell')], max_length=4)),
                ('quantity', models.DecimalField(decimal_places=10, max_digits=28)),
                ('limit_price', models.DecimalField(decimal_places=10, max_digits=28)),
                ('time_in_force', models.CharField(max_length=4)),
                ('attempt', models.PositiveIntegerField()),
                ('state', models.CharField(max_length=20)),
                ('filled', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('notional', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('venue_order_id', models.CharField(blank=True, max_length=100)),
                ('code', models.CharField(blank=True, max_length=60)),
                ('text', models.TextField(blank=True)),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Strategy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('strategy_id', models.CharField(max_length=60, unique=True, validators=[django.core.validators.RegexValidator('^[a-z0-9][a-z0-9-]*$')])),
                ('version', models.PositiveIntegerField(default=0, editable=False)),
                ('account_id', models.CharField(max_length=40)),
                ('enabled', models.BooleanField(default=True)),
                ('key_version', models.PositiveIntegerField(default=1, validators=[django.core.validators.MinValueValidator(1)])),
                ('previous_key_valid', models.BooleanField(default=False)),
                ('quantity_max', models.DecimalField(decimal_places=10, default=Decimal('10'), max_digits=28, validators=[django.core.validators.MinValueValidator(Decimal('1E-10'))])),
                ('sources', models.JSONField(blank=True, default=list, help_text='Addresses that signals may come from; none means any.')),
            ],
            options={
                'verbose_name_plural': 'strategies',
            },
        ),
        migrations.CreateModel(
            name='Fill',
            fields=[
                ('seq', models.BigIntegerField(primary_key=True, serialize=False)),
                ('fill_id', models.CharField(max_length=120)),
                ('order_id', models.CharField(db_index=True, max_length=60)),
                ('account_id', models.CharField(max_length=40)),
                ('symbol', models.CharField(max_length=40)),
                ('side', models.CharField(choices=[('buy', 'buy'), ('sell', 'sell')], max_length=4)),
                ('quantity', models.DecimalField(decimal_places=10, max_digits=28)),
                ('price', models.DecimalField(decimal_places=10, max_digits=28)),
                ('raw_price', models.DecimalField(decimal_places=10, max_digits=28)),
                ('book', models.CharField(max_length=5)),
                ('counterparty', models.CharField(blank=True, max_length=60)),
                ('realised', models.DecimalField(decimal_places=10, max_digits=28)),
                ('commission', models.DecimalField(decimal_places=10, max_digits=28)),
                ('markup_revenue', models.DecimalField(decimal_places=10, max_digits=28)),
                ('conversion_rate', models.DecimalField(decimal_places=18, max_digits=38)),
                ('position_id', models.CharField(max_length=100)),
                ('reason', models.TextField(blank=True)),
                ('filled_at', models.DateTimeField()),
            ],
            options={
                'indexes': [models.Index(fields=['account_id', '-seq'], name='fill_of_account')],
            },
        ),
        migrations.CreateModel(
            name='Order',
            fields=[
                ('order_id', models.CharField(max_length=60, primary_key=True, serialize=False)),
                ('seq', models.BigIntegerField(unique=True)),
                ('last_seq', models.BigIntegerField()),
                ('account_id', models.CharField(max_length=40)),
                ('symbol', models.CharField(max_length=40)),
                ('side', models.CharField(choices=[('buy', 'buy'), ('sell', 'sell')], max_length=4)),
                ('type', models.CharField(choices=[('market', 'market'), ('limit', 'limit'), ('stop', 'stop'), ('stop_limit', 'stop limit'), ('trailing_stop', 'trailing stop'), ('market_if_touched', 'market if touched')], max_length=20)),
                ('quantity', models.DecimalField(decimal_places=10, max_digits=28)),
                ('limit_price', models.DecimalField(decimal_places=10, max_digits=28, null=True)),
                ('stop_price', models.DecimalField(decimal_places=10, max_digits=28, null=True)),
                ('time_in_force', models.CharField(choices=[('gtc', 'GTC'), ('gtd', 'GTD'), ('day', 'DAY'), ('ioc', 'IOC'), ('fok', 'FOK')], max_length=4)),
                ('state', models.CharField(choices=[('denied', 'denied'), ('working', 'working'), ('routed', 'routed'), ('partially_filled', 'partially filled'), ('filled', 'filled'), ('cancelled', 'cancelled'), ('expired', 'expired'), ('rejected', 'rejected'), ('in_doubt', 'in doubt')], max_length=20)),
                ('filled', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('notional', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('average_price', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('group', models.CharField(blank=True, max_length=60)),
                ('mode', models.CharField(blank=True, max_length=10)),
                ('source', models.CharField(max_length=40)),
                ('principal', models.CharField(max_length=200)),
                ('client_order_id', models.CharField(blank=True, max_length=100)),
                ('terms', models.JSONField()),
                ('verdict', models.JSONField()),
                ('routing', models.JSONField(null=True)),
                ('text', models.TextField(blank=True)),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
            ],
            options={
                'indexes': [models.Index(fields=['account_id', '-seq'], name='order_of_account'), models.Index(fields=['symbol', '-seq'], name='order_of_symbol')],
            },
        ),
        migrations.CreateModel(
            name='Position',
            fields=[
                ('position_id', models.CharField(max_length=100, primary_key=True, serialize=False)),
                ('last_seq', models.BigIntegerField()),
                ('account_id', models.CharField(max_length=40)),
                ('symbol', models.CharField(max_length=40)),
                ('quantity', models.DecimalField(decimal_places=10, max_digits=28)),
                ('cost', models.DecimalField(decimal_places=10, max_digits=28)),
                ('a_lots', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('cross_lots', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('b_lots', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('realised', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('margin', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28)),
                ('opened_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
            ],
            options={
                'indexes': [models.Index(fields=['account_id', 'symbol'], name='position_of_account')],
            },
        ),
    ]
