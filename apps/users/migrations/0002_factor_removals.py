"""Who took a second factor from whom, and why: written once, never changed."""

from __future__ import annotations

from django.db import migrations, models

TRIGGERS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON users_factorremoval
    FOR EACH ROW EXECUTE FUNCTION guard.refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON users_factorremoval
    FOR EACH STATEMENT EXECUTE FUNCTION guard.refuse_change();
ALTER TABLE users_factorremoval ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE users_factorremoval ENABLE ALWAYS TRIGGER never_truncated;
"""
BACK = "DROP TRIGGER append_only ON users_factorremoval; DROP TRIGGER never_truncated ON users_factorremoval;"


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="FactorRemoval",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("user", models.CharField(max_length=150)),
                ("device", models.CharField(max_length=150)),
                ("by", models.CharField(max_length=150)),
                ("reason", models.CharField(max_length=500)),
                ("at", models.DateTimeField()),
            ],
            options={"default_permissions": ("view",), "verbose_name": "removed authenticator"},
        ),
        migrations.AddConstraint(
            model_name="factorremoval",
            constraint=models.CheckConstraint(
                condition=models.Q(("by", models.F("user")), _negated=True), name="factor_removed_by_another"
            ),
        ),
        migrations.RunSQL(TRIGGERS, BACK),
    ]
