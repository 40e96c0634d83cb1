from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('dealing', '0001_initial'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='deskaction',
            options={'default_permissions': ('view',), 'permissions': [('watch_desk', 'Can watch the dealing desk'), ('stop_trading', 'Can halt, reduce, kill and reopen'), ('deal_for_client', 'Can place orders for clients'), ('cancel_for_client', "Can cancel clients' orders"), ('answer_request', 'Can answer orders that wait for a dealer'), ('deal_for_house', 'Can hedge and flatten by hand'), ('decide_hedge', 'Can approve and reject queued hedges'), ('change_terms', 'Can change routing and spread for a while'), ('change_limits', 'Can ask for other limits for a while'), ('approve_change', "Can approve another's change of limits")]},
        ),
    ]
