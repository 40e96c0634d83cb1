import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


TRIGGERS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON dealing_deskaction
    FOR EACH ROW EXECUTE FUNCTION guard.refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON dealing_deskaction
    FOR EACH STATEMENT EXECUTE FUNCTION guard.refuse_change();
ALTER TABLE dealing_deskaction ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE dealing_deskaction ENABLE ALWAYS TRIGGER never_truncated;
"""

BACK = "DROP TRIGGER append_only ON dealing_deskaction; DROP TRIGGER never_truncated ON dealing_deskaction;"


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='DeskAction',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=100)),
                ('kind', models.CharField(max_length=40)),
                ('subject', models.CharField(max_length=200)),
                ('by', models.CharField(max_length=150)),
                ('reason', models.CharField(max_length=500)),
                ('body', models.JSONField()),
                ('request_hash', models.CharField(max_length=64)),
                ('command_id', models.UUIDField(null=True)),
                ('payload', models.BinaryField(default=b'')),
                ('at', models.DateTimeField()),
            ],
            options={
                'permissions': [('watch_desk', 'Can watch the dealing desk'), ('stop_trading', 'Can halt, reduce, kill and reopen'), ('deal_for_client', 'Can place orders for clients'), ('cancel_for_client', "Can cancel clients' orders"), ('deal_for_house', 'Can hedge and flatten by hand'), ('decide_hedge', 'Can approve and reject queued hedges'), ('change_terms', 'Can change routing and spread for a while'), ('change_limits', 'Can ask for other limits for a while'), ('approve_change', "Can approve another's change of limits")],
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['subject', '-id'], name='desk_action_of_subject')],
                'constraints': [models.UniqueConstraint(fields=('by', 'key'), name='desk_action_once')],
            },
        ),
        migrations.CreateModel(
            name='DeskLayout',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('layout', models.JSONField(default=dict)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='TimedChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=40)),
                ('group', models.CharField(max_length=60)),
                ('before', models.JSONField(default=dict)),
                ('after', models.JSONField()),
                ('minutes', models.PositiveIntegerField()),
                ('state', models.CharField(choices=[('asked', 'Asked'), ('live', 'Live'), ('ended', 'Ended'), ('rejected', 'Rejected')], max_length=10)),
                ('asked_by', models.CharField(max_length=150)),
                ('approved_by', models.CharField(blank=True, max_length=150)),
                ('ended_by', models.CharField(blank=True, max_length=150)),
                ('live_at', models.DateTimeField(null=True)),
                ('reverts_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('note', models.CharField(blank=True, max_length=500)),
                ('action', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='dealing.deskaction')),
            ],
            options={
                'default_permissions': ('view',),
                'constraints': [models.UniqueConstraint(condition=models.Q(('state__in', ['asked', 'live'])), fields=('kind', 'group'), name='timed_change_one_at_a_time'), models.CheckConstraint(condition=models.Q(('minutes__gte', 1), ('minutes__lte', 1440)), name='timed_change_minutes'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'change-limits'), _negated=True), models.Q(('approved_by', models.F('asked_by')), _negated=True), _connector='OR'), name='timed_change_of_limits_by_two')],
            },
        ),
        migrations.RunSQL(TRIGGERS, BACK),
    ]
