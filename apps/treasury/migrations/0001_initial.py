
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
            name='GlAccount',
            fields=[
                ('code', models.CharField(max_length=40, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=12)),
            ],
        ),
        migrations.CreateModel(
            name='JournalEntry',
            fields=[
                ('seq', models.BigIntegerField(primary_key=True, serialize=False)),
                ('event_type', models.CharField(max_length=60)),
                ('reference', models.CharField(blank=True, max_length=200)),
                ('booked_at', models.DateTimeField()),
            ],
            options={
                'verbose_name_plural': 'journal entries',
            },
        ),
        migrations.CreateModel(
            name='Deposit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('account_id', models.CharField(db_index=True, max_length=40)),
                ('amount', models.DecimalField(decimal_places=10, max_digits=28, validators=[django.core.validators.MinValueValidator(Decimal('0.01'), 'At least 0.01.')])),
                ('currency', models.CharField(max_length=5)),
                ('reference', models.CharField(help_text="The bank's or payment provider's reference.", max_length=100, unique=True)),
                ('state', models.CharField(choices=[('requested', 'Requested'), ('approved', 'Approved'), ('rejected', 'Rejected')], default='requested', max_length=10)),
                ('requested_at', models.DateTimeField(auto_now_add=True)),
                ('decided_at', models.DateTimeField(null=True)),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('requested_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('decided_by__isnull', True), models.Q(('decided_by', models.F('requested_by')), _negated=True), _connector='OR'), name='deposit_four_eyes', violation_error_message='A deposit needs a second pair of eyes.'), models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='deposit_above_zero')],
            },
        ),
        migrations.CreateModel(
            name='Posting',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.PositiveSmallIntegerField()),
                ('owner', models.CharField(blank=True, max_length=60)),
                ('currency', models.CharField(max_length=10)),
                ('amount', models.DecimalField(decimal_places=10, max_digits=28)),
                ('entry', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='postings', to='treasury.journalentry')),
                ('gl_account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='treasury.glaccount')),
            ],
            options={
                'indexes': [models.Index(fields=['gl_account', 'owner', 'currency'], name='posting_balance')],
                'constraints': [models.UniqueConstraint(fields=('entry', 'line'), name='posting_once')],
            },
        ),
    ]
