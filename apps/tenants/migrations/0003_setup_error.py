from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0002_suspended'),
    ]

    operations = [
        migrations.AddField(
            model_name='tenant',
            name='setup_error',
            field=models.TextField(blank=True, default='', help_text='Why it is off until set-up succeeds (F-27).'),
        ),
    ]
