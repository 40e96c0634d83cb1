"""A person, in the schema of the broker they belong to; the same person at two brokers is two rows."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import connection, models
from django.utils.crypto import salted_hmac


class User(AbstractUser):
    """Staff (is_staff, with role groups) or a client (neither); a client's profile lives in apps.accounts."""

    def __str__(self) -> str:
        return self.username

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Django's session hash with the broker in its salt: pk and password may repeat in another schema."""
        salt = f"piggy.users.session|{connection.schema_name}"  # type: ignore[attr-defined]
        return salted_hmac(salt, self.password, secret=secret, algorithm="sha256").hexdigest()

    def role_names(self) -> frozenset[str]:
        """Return the names of the person's roles."""
        return frozenset(self.groups.values_list("name", flat=True))


class FactorRemoval(models.Model):
    """One authenticator taken from `user` by somebody else, both by login, and why; never changed (append-only)."""

    user = models.CharField(max_length=150)
    device = models.CharField(max_length=150)
    by = models.CharField(max_length=150)
    reason = models.CharField(max_length=500)
    at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)
        verbose_name = "removed authenticator"
        constraints = [
            models.CheckConstraint(condition=~models.Q(by=models.F("user")), name="factor_removed_by_another")
        ]

    def __str__(self) -> str:
        return f"{self.device} of {self.user}"
