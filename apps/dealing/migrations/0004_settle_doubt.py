from django.db import migrations

PERMISSIONS = [
    ("watch_desk", "Can watch the dealing desk"),
    ("stop_trading", "Can halt, reduce, kill and reopen"),
    ("deal_for_client", "Can place orders for clients"),
    ("cancel_for_client", "Can cancel clients' orders"),
    ("answer_request", "Can answer orders that wait for a dealer"),
    ("deal_for_house", "Can hedge and flatten by hand"),
    ("decide_hedge", "Can approve and reject queued hedges"),
    ("change_terms", "Can change routing and spread for a while"),
    ("change_limits", "Can ask for other limits for a while"),
    ("approve_change", "Can approve another's change of limits"),
    ("bust_fill", "Can take fills back and correct them"),
    ("flatten_clients", "Can close what a stopped scope still holds"),
    ("run_market", "Can begin and end calls"),
    ("keep_records", "Can record locates and daily volumes"),
    ("ask_override", "Can ask to let a denied order through"),
    ("grant_override", "Can let a denied order through and release a throttle"),
    ("settle_doubt", "Can say, and settle after another, how a leg in doubt ended"),
]


class Migration(migrations.Migration):
    dependencies = [("dealing", "0003_busts_and_controls")]

    operations = [
        migrations.AlterModelOptions("deskaction", {"default_permissions": ("view",), "permissions": PERMISSIONS})
    ]
