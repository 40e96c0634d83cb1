"""Who somebody is and which roles they have."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from apps.users.models import User

ROLES = ("admin", "dealer", "risk", "watcher", "compliance", "treasury", "support", "auditor")


def has_role(user: Any, *roles: str) -> bool:
    """Is `user` active staff with one of `roles`? A superuser has them all."""
    if not user.is_authenticated or not user.is_active or not user.is_staff:
        return False
    return bool(user.is_superuser or user.role_names() & set(roles))


def is_verified_staff(user: Any, *roles: str) -> bool:
    """Is `user` staff who gave the second factor in this session (request.user), with one of `roles` if any given?"""
    if not user.is_authenticated or not user.is_active or not user.is_staff:
        return False
    is_verified = getattr(user, "is_verified", None)
    return bool(is_verified and is_verified()) and (not roles or has_role(user, *roles))


def staff_with(*, permission: str) -> set[int]:
    """Return the keys of the active staff who have `permission`, by a role of theirs or by themselves."""
    found = User.objects.with_perm(permission, backend="django.contrib.auth.backends.ModelBackend")
    return set(found.filter(is_staff=True).values_list("pk", flat=True))


def staff() -> QuerySet[User]:
    """Return the broker's active staff by name."""
    return User.objects.filter(is_staff=True, is_active=True).order_by("username")


def user_named(*, username: str) -> User | None:
    """Return the person of the current broker with that login."""
    return User.objects.filter(username=username).first()


def may_remove_factor(*, by: Any, owner: Any) -> bool:
    """May `by` (request.user) take an authenticator from `owner`? Nobody takes their own, nor staff a superuser's."""
    if not is_verified_staff(by) or by.pk == owner.pk:
        return False
    return bool(by.has_perm("otp_totp.delete_totpdevice") and (by.is_superuser or not owner.is_superuser))
