
import django.core.validators
import django.db.models.deletion
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Client',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reference', models.CharField(max_length=40, unique=True)),
                ('name', models.CharField(max_length=200)),
                ('kyc_approved', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Group',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60, unique=True, validators=[django.core.validators.RegexValidator('^[a-z0-9][a-z0-9-]*$', 'Use a-z, 0-9 and dashes.')])),
                ('version', models.PositiveIntegerField(default=0, editable=False)),
                ('book_mode', models.CharField(choices=[('A', 'A'), ('B', 'B'), ('MIXED', 'MIXED')], default='B', max_length=5)),
                ('a_book_percent', models.DecimalField(decimal_places=4, default=Decimal('100'), help_text='MIXED: the part passed to the best LP; the rest is kept.', max_digits=7, validators=[django.core.validators.MinValueValidator(0, 'This must be at least 0.'), django.core.validators.MaxValueValidator(100, 'This must be at most 100.')])),
                ('bid_markup_points', models.IntegerField(default=0, validators=[django.core.validators.MinValueValidator(0, 'This must be at least 0.'), django.core.validators.MaxValueValidator(1000, 'This must be at most 1000.')])),
                ('ask_markup_points', models.IntegerField(default=0, validators=[django.core.validators.MinValueValidator(0, 'This must be at least 0.'), django.core.validators.MaxValueValidator(1000, 'This must be at most 1000.')])),
                ('commission_per_lot', models.DecimalField(decimal_places=10, default=Decimal('0'), max_digits=28, validators=[django.core.validators.MinValueValidator(0, 'This must be at least 0.'), django.core.validators.MaxValueValidator(1000, 'This must be at most 1000.')])),
                ('leverage_max', models.DecimalField(decimal_places=2, default=Decimal('30'), max_digits=8, validators=[django.core.validators.MinValueValidator(1, 'This must be at least 1.'), django.core.validators.MaxValueValidator(Decimal('500'), 'This must be at most 500.')])),
                ('margin_call_percent', models.DecimalField(decimal_places=2, default=Decimal('100'), max_digits=8, validators=[django.core.validators.MinValueValidator(1, 'This must be at least 1.'), django.core.validators.MaxValueValidator(Decimal('1000'), 'This must be at most 1000.')])),
                ('stop_out_percent', models.DecimalField(decimal_places=2, default=Decimal('50'), max_digits=8, validators=[django.core.validators.MinValueValidator(1, 'This must be at least 1.'), django.core.validators.MaxValueValidator(Decimal('1000'), 'This must be at most 1000.')])),
                ('negative_balance_protection', models.BooleanField(default=True)),
                ('internal_cross', models.BooleanField(default=True)),
                ('order_notional_max', models.DecimalField(decimal_places=2, default=Decimal('10000000'), max_digits=28, validators=[django.core.validators.MinValueValidator(1, 'This must be at least 1.'), django.core.validators.MaxValueValidator(1000000000000, 'This must be at most 1000000000000.')])),
                ('open_orders_max', models.PositiveIntegerField(default=200, validators=[django.core.validators.MinValueValidator(1, 'This must be at least 1.'), django.core.validators.MaxValueValidator(10000, 'This must be at most 10000.')])),
                ('slippage_bps_max', models.DecimalField(decimal_places=2, default=Decimal('50'), max_digits=8, validators=[django.core.validators.MinValueValidator(0, 'This must be at least 0.'), django.core.validators.MaxValueValidator(Decimal('1000'), 'This must be at most 1000.')])),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('stop_out_percent__lt', models.F('margin_call_percent'))), name='group_stop_out_below_call', violation_error_message='stop_out_percent must be below margin_call_percent.'), models.CheckConstraint(condition=models.Q(('a_book_percent__gte', 0), ('a_book_percent__lte', 100)), name='group_a_book_percent', violation_error_message='a_book_percent must be between 0 and 100.')],
            },
        ),
        migrations.CreateModel(
            name='Account',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('account_id', models.CharField(max_length=40, unique=True, validators=[django.core.validators.RegexValidator('^[A-Za-z0-9-]+$', 'Use letters, digits and dashes.')])),
                ('version', models.PositiveIntegerField(default=0, editable=False)),
                ('currency', models.CharField(max_length=5, validators=[django.core.validators.RegexValidator('^[A-Z]{3,5}$', 'Use an ISO 4217 code.')])),
                ('category', models.CharField(choices=[('retail', 'retail'), ('professional', 'professional'), ('eligible_counterparty', 'eligible_counterparty')], default='retail', max_length=30)),
                ('position_mode', models.CharField(choices=[('netting', 'netting'), ('hedging', 'hedging')], default='netting', max_length=10)),
                ('open', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.client')),
                ('group', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.group')),
            ],
        ),
    ]
