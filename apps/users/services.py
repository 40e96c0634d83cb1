"""Make people, give roles their rights, hand out tokens. All inside the current broker's schema."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import transaction
from django_otp.plugins.otp_totp.models import TOTPDevice
from knox.models import get_token_model

from apps.users.models import FactorRemoval, User
from apps.users.selectors import ROLES, may_remove_factor

REASON_CHARACTERS_MIN = 3

log = structlog.get_logger(__name__)

# Apps whose rows a role may change; every role may look at all of the apps in _VIEWED except as said.
_CHANGED: dict[str, tuple[str, ...]] = {
    "dealer": (
        "trading",
        "risk",
        "dealing",
        "liquidity",
        "gateway",
        "hedging",
        "pricing",
        "instruments",
        "accounts",
        "swaps",
        "policies",
    ),
    "risk": ("risk", "hedging", "policies"),
    "watcher": (),
    "compliance": ("kyc", "surveillance", "accounts"),
    "treasury": ("treasury", "reports"),
    "support": (),
    "auditor": (),
}
_VIEWED = (
    "trading",
    "risk",
    "dealing",
    "liquidity",
    "gateway",
    "hedging",
    "pricing",
    "instruments",
    "accounts",
    "swaps",
    "policies",
)
_VIEWED_ALSO: dict[str, tuple[str, ...]] = {
    "dealer": ("audit",),
    "risk": ("audit", "reports"),
    "watcher": (),
    "compliance": ("kyc", "surveillance", "treasury", "audit", "users", "reports", "crm"),
    "treasury": ("treasury", "reports"),
    "support": ("crm",),
    "auditor": ("kyc", "surveillance", "treasury", "audit", "users", "reports", "crm", "admin"),
}


# Single rights beyond those, of _GRANTED_IN: compliance tells clients of losses, risk managers stop, decide and never
# deal, watchers only look.
_GRANTED: dict[str, tuple[str, ...]] = {
    "compliance": ("change_depreciationnotice",),
    "risk": (
        "watch_desk",
        "stop_trading",
        "decide_hedge",
        "change_limits",
        "approve_change",
        "bust_fill",
        "flatten_clients",
        "grant_override",
        "settle_doubt",
    ),
    "watcher": ("watch_desk",),
}
_GRANTED_IN = ("dealing", "risk")


# Screens that only these roles change, whatever else of their app a role may.
_CHANGED_BY: dict[str, tuple[str, ...]] = {
    "clearancepolicy": ("compliance",),
    "restrictedpolicy": ("compliance", "risk"),
    "accountpolicy": ("dealer", "risk", "compliance"),
}


class UnableToCreateUser(Exception):
    """Nobody was made; the message may be shown to staff."""


class UnableToRemoveFactor(Exception):
    """The authenticator stays; the message may be shown to staff."""


class TenantTokens(PasswordResetTokenGenerator):
    """One-time tokens of one broker and one purpose; stock Django's were accepted for the same pk at another broker."""

    def __init__(self, *, tenant: str, purpose: str) -> None:
        if not tenant or not purpose:
            raise ValueError("A token needs its tenant and purpose.")
        super().__init__()
        self.key_salt = f"piggy.users.{purpose}|{tenant}"


def reset_tokens(*, tenant: str) -> TenantTokens:
    """Return the maker and checker of password-reset tokens: make_token(user), check_token(user, token)."""
    return TenantTokens(tenant=tenant, purpose="reset")


def verify_tokens(*, tenant: str) -> TenantTokens:
    """Return the maker and checker of e-mail verification tokens."""
    return TenantTokens(tenant=tenant, purpose="verify")


@transaction.atomic
def create_staff(*, username: str, password: str, role: str, email: str = "", otp_key_hex: str = "") -> User:
    """Make a member of staff with one role and a TOTP device (key of 20 bytes in hex, made when not given)."""
    if role not in ROLES:
        raise UnableToCreateUser(f"There is no role {role}; the roles are {', '.join(ROLES)}.")
    _require_free(username)
    user = User.objects.create_user(username, email, password, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    given = {"key": otp_key_hex} if otp_key_hex else {}
    TOTPDevice.objects.create(user=user, name="authenticator", confirmed=True, **given)
    return user


@transaction.atomic
def create_client_user(*, username: str, password: str, email: str = "") -> User:
    """Make a login for a client; no staff rights."""
    _require_free(username)
    return User.objects.create_user(username, email, password)


def _require_free(username: str) -> None:
    """Check that a name is nobody's and a login at all. Raises UnableToCreateUser."""
    try:
        User.username_validator(username)
    except ValidationError as error:
        # What the venue does by itself goes under names that no person can have.
        raise UnableToCreateUser(f"{username!r} is no login: letters, digits and @ . + - _ only.") from error
    if User.objects.filter(username=username).exists():
        raise UnableToCreateUser(f"{username} exists already.")


def issue_token(*, user: User) -> str:
    """Return a new API token, shown once; only its hash is kept."""
    _, token = get_token_model().objects.create(user=user)
    return str(token)


def otpauth_url(*, user: User) -> str:
    """Return the address for the authenticator app of the person's TOTP device."""
    return str(TOTPDevice.objects.get(user=user).config_url)


@transaction.atomic
def remove_factor(*, device_id: int, by: Any, reason: str, at: datetime) -> FactorRemoval:
    """Take one authenticator from its owner, who is another, and write down why. Raises UnableToRemoveFactor.

    Their open sessions are without a second factor from then on.
    """
    device = TOTPDevice.objects.select_for_update().filter(pk=device_id).first()
    if device is None or not may_remove_factor(by=by, owner=device.user):
        raise UnableToRemoveFactor("There is no such authenticator, or it is not yours to take away.")
    if len(reason.strip()) < REASON_CHARACTERS_MIN:
        raise UnableToRemoveFactor("Say why.")
    removal = FactorRemoval.objects.create(
        user=str(device.user), device=f"{device.name} ({device.pk})", by=by.get_username(), reason=reason.strip(), at=at
    )
    device.delete()
    log.warning("factor_removed", user=str(device.user), by=by.get_username(), reason=reason)
    return removal


@transaction.atomic
def sync_roles() -> None:
    """Make the role groups and give them the rights that the installed apps define; repeatable."""
    ids = {
        (app, codename): pk
        for app, codename, pk in Permission.objects.values_list("content_type__app_label", "codename", "pk")
    }
    for role in ROLES:
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set([pk for (app, code), pk in ids.items() if _may(role=role, app=app, code=code)])
    ContentType.objects.clear_cache()


def _may(*, role: str, app: str, code: str) -> bool:
    if role == "admin":
        return True
    if app in _GRANTED_IN and code in _GRANTED.get(role, ()):
        return True
    verb, _, model = code.partition("_")
    if app == "policies" and model in _CHANGED_BY and verb != "view":
        return verb != "delete" and role in _CHANGED_BY[model]
    if app in _CHANGED[role] and not code.startswith("delete_"):
        return True
    return code.startswith("view_") and app in (*_VIEWED, *_VIEWED_ALSO[role])
