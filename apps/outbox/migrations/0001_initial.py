
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='OutboxCommand',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('command_id', models.UUIDField(unique=True)),
                ('reference', models.CharField(max_length=200)),
                ('kind', models.CharField(max_length=60)),
                ('principal', models.CharField(max_length=200)),
                ('payload', models.BinaryField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('told_count', models.PositiveIntegerField(default=0)),
                ('heard_at', models.DateTimeField(blank=True, null=True)),
                ('superseded', models.BooleanField(default=False)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('heard_at__isnull', True), ('superseded', False)), fields=['id'], name='outbox_waiting'), models.Index(fields=['reference', 'id'], name='outbox_reference')],
            },
        ),
    ]
