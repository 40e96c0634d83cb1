"""Which database role this process is, and that the web never runs as one that the wall does not bind."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from piggy.settings.readers import database_of

FACTS = """
SELECT r.rolsuper, r.rolbypassrls,
       EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'public' AND c.relkind = 'r' AND pg_has_role(r.oid, c.relowner, 'MEMBER'))
FROM pg_roles r WHERE r.rolname = current_user
"""


class UnableToUseRole(Exception):
    """The database role would see every broker's rows; the message says what to change."""


def become_owner() -> None:
    """Make this whole process the owner of the schemas; only for the commands that migrate."""
    if not settings.DATABASE_OWNER_URL:
        raise ImproperlyConfigured("DATABASE_OWNER_URL must be set: this command migrates as the owner of the schemas.")
    connection.close()
    connection.close_pool()
    values = database_of(name="DATABASE_OWNER_URL", url=settings.DATABASE_OWNER_URL)
    options = {name: value for name, value in connection.settings_dict["OPTIONS"].items() if name != "pool"}
    options["options"] = "-c timezone=UTC -c search_path=public"
    connection.settings_dict.update({**values, "OPTIONS": options})


def app_role() -> str:
    """Return the name of the role the web and the workers use."""
    return str(settings.PIGGY_APP_ROLE)


def require_bound_role() -> None:
    """Raise UnableToUseRole when row-level security does not bind the current role."""
    with connection.cursor() as cursor:
        cursor.execute(FACTS)
        is_superuser, bypasses, is_owner = cursor.fetchone()
        role = connection.settings_dict["USER"]
    if is_superuser:
        raise UnableToUseRole(f"DATABASE_URL: role {role} is a superuser. Use a role made with NOSUPERUSER.")
    if bypasses:
        raise UnableToUseRole(f"DATABASE_URL: role {role} has BYPASSRLS. ALTER ROLE {role} NOBYPASSRLS.")
    if is_owner:
        raise UnableToUseRole(f"DATABASE_URL: role {role} owns the tables. Use DATABASE_OWNER_URL for the owner only.")


def check_app_role(databases: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Django's check: `manage.py check --database default` fails on an unbound role."""
    if not databases:
        return []
    try:
        require_bound_role()
    except UnableToUseRole as error:
        return [checks.Critical(str(error), id="piggy.E001")]
    return []
