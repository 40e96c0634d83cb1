from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Policy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('pricing', 'Pricing'), ('margin', 'Margin'), ('swaps', 'Swaps'), ('swap-free', 'Swap Free'), ('hedging', 'Hedging'), ('routing', 'Routing')], editable=False, max_length=10)),
                ('group', models.CharField(blank=True, max_length=60)),
                ('symbol', models.CharField(blank=True, help_text='*: every symbol without its own.', max_length=40)),
                ('version', models.PositiveIntegerField(editable=False)),
                ('state', models.CharField(choices=[('draft', 'Draft'), ('live', 'Live'), ('replaced', 'Replaced'), ('withdrawn', 'Withdrawn')], default='draft', editable=False, max_length=10)),
                ('body', models.JSONField(blank=True, default=dict)),
                ('reason', models.CharField(max_length=500)),
                ('written_by', models.CharField(editable=False, max_length=150)),
                ('written_at', models.DateTimeField(auto_now_add=True)),
                ('decided_by', models.CharField(blank=True, editable=False, max_length=150)),
                ('decided_at', models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                'verbose_name_plural': 'policies',
                'constraints': [models.UniqueConstraint(fields=('kind', 'group', 'symbol', 'version'), name='policy_version_once'), models.UniqueConstraint(condition=models.Q(('state', 'live')), fields=('kind', 'group', 'symbol'), name='policy_one_live'), models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['live', 'replaced']), _negated=True), models.Q(('decided_by', models.F('written_by')), _negated=True), _connector='OR'), name='policy_by_two_people')],
            },
        ),
        migrations.CreateModel(
            name='HedgingPolicy',
            fields=[
            ],
            options={
                'verbose_name': 'hedging policy',
                'verbose_name_plural': 'hedging policys',
                'proxy': True,
                'indexes': [],
                'constraints': [],
            },
            bases=('policies.policy',),
        ),
        migrations.CreateModel(
            name='MarginPolicy',
            fields=[
            ],
            options={
                'verbose_name': 'margin setting',
                'verbose_name_plural': 'margin settings',
                'proxy': True,
                'indexes': [],
                'constraints': [],
            },
            bases=('policies.policy',),
        ),
        migrations.CreateModel(
            name='PriceProfilePolicy',
            fields=[
            ],
            options={
                'verbose_name': 'price profile',
                'verbose_name_plural': 'price profiles',
                'proxy': True,
                'indexes': [],
                'constraints': [],
            },
            bases=('policies.policy',),
        ),
        migrations.CreateModel(
            name='RoutingRules',
            fields=[
            ],
            options={
                'verbose_name': 'routing rule set',
                'verbose_name_plural': 'routing rule sets',
                'proxy': True,
                'indexes': [],
                'constraints': [],
            },
            bases=('policies.policy',),
        ),
        migrations.CreateModel(
            name='SwapFreePolicy',
            fields=[
            ],
            options={
                'verbose_name': 'swap-free group',
                'verbose_name_plural': 'swap-free groups',
                'proxy': True,
                'indexes': [],
                'constraints': [],
            },
            bases=('policies.policy',),
        ),
        migrations.CreateModel(
            name='SwapPolicy',
            fields=[
            ],
            options={
                'verbose_name': 'swap rate',
                'verbose_name_plural': 'swap rates',
                'proxy': True,
                'indexes': [],
                'constraints': [],
            },
            bases=('policies.policy',),
        ),
    ]
