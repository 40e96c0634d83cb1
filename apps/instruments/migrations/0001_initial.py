
import django.core.validators
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Instrument',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('symbol', models.CharField(max_length=40, unique=True, validators=[django.core.validators.RegexValidator('^[A-Z0-9.\\-]+$', 'Use A-Z, 0-9, dot and dash.')])),
                ('version', models.PositiveIntegerField(default=0, editable=False)),
                ('asset_class', models.CharField(choices=[('fx_major', 'fx_major'), ('fx_minor', 'fx_minor'), ('gold', 'gold'), ('commodity', 'commodity'), ('index_major', 'index_major'), ('index_minor', 'index_minor'), ('share', 'share'), ('crypto', 'crypto'), ('option', 'option')], max_length=20)),
                ('base', models.CharField(max_length=10)),
                ('quote', models.CharField(max_length=10)),
                ('contract_size', models.DecimalField(decimal_places=10, max_digits=28, validators=[django.core.validators.MinValueValidator(Decimal('1E-10'), 'This must be above 0.')])),
                ('price_digits', models.PositiveSmallIntegerField(validators=[django.core.validators.MaxValueValidator(10)])),
                ('tick_size', models.DecimalField(decimal_places=10, max_digits=28, validators=[django.core.validators.MinValueValidator(Decimal('1E-10'), 'This must be above 0.')])),
                ('lot_digits', models.PositiveSmallIntegerField(default=2, validators=[django.core.validators.MaxValueValidator(8)])),
                ('lot_min', models.DecimalField(decimal_places=10, default=Decimal('0.01'), max_digits=28, validators=[django.core.validators.MinValueValidator(Decimal('1E-10'), 'This must be above 0.')])),
                ('lot_max', models.DecimalField(decimal_places=10, default=Decimal('100'), max_digits=28, validators=[django.core.validators.MinValueValidator(Decimal('1E-10'), 'This must be above 0.')])),
                ('lot_step', models.DecimalField(decimal_places=10, default=Decimal('0.01'), max_digits=28, validators=[django.core.validators.MinValueValidator(Decimal('1E-10'), 'This must be above 0.')])),
                ('margin_percent', models.DecimalField(decimal_places=4, default=Decimal('5'), max_digits=10, validators=[django.core.validators.MinValueValidator(Decimal('1E-10'), 'This must be above 0.'), django.core.validators.MaxValueValidator(Decimal('100'))])),
                ('tradable', models.BooleanField(default=True)),
                ('option_underlying', models.CharField(blank=True, max_length=40)),
                ('option_kind', models.CharField(blank=True, choices=[('call', 'call'), ('put', 'put')], max_length=4)),
                ('option_strike', models.DecimalField(blank=True, decimal_places=10, max_digits=28, null=True)),
                ('option_expires_at', models.DateTimeField(blank=True, null=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('lot_min__lte', models.F('lot_max'))), name='instrument_lot_bounds', violation_error_message='lot_min must not be above lot_max.')],
            },
        ),
    ]
