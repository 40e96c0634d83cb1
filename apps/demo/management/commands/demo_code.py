"""The code that a demo login's authenticator shows now."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django_otp.oath import TOTP

from apps.demo.services import people


class Command(BaseCommand):
    help = "Print the current code of a demo login, as dealer@acorn; not in production."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One login."""
        parser.add_argument("login")

    def handle(self, *args: Any, **options: Any) -> None:
        """Compute the code from the authenticator address in the logins file."""
        if settings.PIGGY_ENV == "prod":
            raise CommandError("Codes are shown on people's own devices only.")
        found = [login for login in people.read_logins().values() if login.login == options["login"]]
        if not found or found[0].authenticator == people.NONE:
            raise CommandError(f"{options['login']} is no member of staff of the demo.")
        self.stdout.write(current_code(address=found[0].authenticator, now_s=time.time()))


def current_code(*, address: str, now_s: float) -> str:
    """Return the six digits of an otpauth:// address at a Unix time."""
    import base64

    query = parse_qs(urlsplit(address).query)
    secret = query["secret"][0]
    totp = TOTP(base64.b32decode(secret + "=" * (-len(secret) % 8)))
    totp.time = now_s
    return f"{totp.token():06d}"
