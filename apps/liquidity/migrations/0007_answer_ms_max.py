import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('liquidity', '0006_gateways'),
    ]

    operations = [
        migrations.AddField(
            model_name='liquidityprovider',
            name='answer_ms_max',
            field=models.PositiveIntegerField(default=5000, help_text='An order that it holds longer, as in a last look, is asked back; nothing else is sent meanwhile.', validators=[django.core.validators.MinValueValidator(100)]),
        ),
    ]
