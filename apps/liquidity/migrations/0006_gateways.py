import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('liquidity', '0005_fix_numbers'),
    ]

    operations = [
        migrations.AlterField(
            model_name='liquidityprovider',
            name='stream_url',
            field=models.CharField(blank=True, help_text='As above.', max_length=200, validators=[django.core.validators.RegexValidator('^((wss?|https?)://[^\\s/?#]+(/[^\\s?#]*)?|tcp://[^\\s/?#]+:\\d+)\\Z', 'An address that begins with wss:// (or tcp://).')]),
        ),
    ]
