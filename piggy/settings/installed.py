"""Which applications live where: SHARED in the public schema, TENANT in every tenant's own.

A new app of ours adds its folder name to OUR_APPS; a name whose folder is not there yet is left out.
"""

from __future__ import annotations

from pathlib import Path

APPS_DIR = Path(__file__).resolve().parents[2] / "apps"

# unfold must come before django_tenants: the latter's admin/app_list.html would break its sidebar.
FIRST = ["unfold", "unfold.contrib.filters"]

SHARED = [
    "django_tenants",
    "apps.tenants",
    "apps.common",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "csp",
    "rules",
]

# Apps with tables in every tenant's schema, in the order in which they stack.
OUR_APPS = (
    "users",
    "audit",
    "outbox",
    "instruments",
    "accounts",
    "pricing",
    "trading",
    "risk",
    "liquidity",
    "gateway",
    "hedging",
    "treasury",
    "policies",
    "swaps",
    "dealing",
    "terminal",
    "kyc",
    "surveillance",
    "reports",
    "crm",
    "demo",
)

TENANT = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.admin",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "axes",
    "knox",
    *(f"apps.{name}" for name in OUR_APPS if (APPS_DIR / name / "apps.py").exists()),
]


def ordered() -> list[str]:
    """Return every app once, in the order that templates and commands need."""
    return list(dict.fromkeys([*FIRST, *SHARED, *TENANT]))
