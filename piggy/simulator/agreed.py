"""What a simulated LP and its broker agreed on: the password of each session, from the vault or from a file."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Protocol

log = logging.getLogger(__name__)


class UnableToAsk(Exception):
    """Nobody can say what was agreed: the vault or its keys are out of reach."""


class Agreed(Protocol):
    """The passwords that brokers agreed on with their LPs."""

    def password(self, *, tenant: str, lp: str) -> str | None:
        """Return what a broker's session must log on with, None where nothing was agreed. Raises UnableToAsk."""


class AgreedInFile:
    """A JSON file {"acorn/LP1": "password"}; None or a missing one is no agreement at all."""

    def __init__(self, *, path: Path | None) -> None:
        self._passwords: dict[str, str] = json.loads(path.read_text()) if path is not None and path.exists() else {}

    def password(self, *, tenant: str, lp: str) -> str | None:
        """Return what the file says."""
        return self._passwords.get(f"{tenant}/{lp}")


class AgreedInVault:
    """The brokers' own sealed credentials, opened at each logon: a rotated one counts at once, none is kept here."""

    def __init__(self) -> None:
        # The range runs without Django where it has no vault.
        import django

        django.setup()

    def password(self, *, tenant: str, lp: str) -> str | None:
        """Return the broker's password for this LP, opened from the vault. Raises UnableToAsk."""
        from django.db import connection
        from django.db.utils import Error

        from apps.common import sealing
        from apps.liquidity.selectors import password_of
        from apps.tenants.services import in_tenant

        try:
            with in_tenant(tenant):
                return password_of(tenant=tenant, venue=lp) or None
        except (Error, sealing.UnableToOpen, sealing.UnableToReachKeys) as error:
            log.warning("agreed password out of reach", extra={"tenant": tenant, "lp": lp})
            raise UnableToAsk(str(error)) from error
        finally:
            # Logons come on threads that end, and their connections would stay.
            connection.close()
