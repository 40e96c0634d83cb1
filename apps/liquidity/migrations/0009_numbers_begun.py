from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('liquidity', '0008_messages_per_s_max'),
    ]

    operations = [
        migrations.AddField(
            model_name='fixnumbers',
            name='begun_at',
            field=models.DateTimeField(help_text='When both began at 1; empty: before that was kept.', null=True),
        ),
    ]
