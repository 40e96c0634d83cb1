"""Logins of the demo, kept in one private file so that seeding again changes nobody's password."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings

from apps.demo.services.catalogue import ROLES, Broker
from apps.users import services as users
from apps.users.selectors import user_named

FILE = "logins.txt"
COLUMNS = ("broker", "login", "password", "token", "authenticator")
NONE = "-"


class Login(NamedTuple):
    """A line of the file; `token` is a client's API token, `authenticator` a member of staff's otpauth address."""

    broker: str
    login: str
    password: str
    token: str
    authenticator: str


def read_logins() -> dict[tuple[str, str], Login]:
    """Return every login that the file holds by (broker, login)."""
    path = _path()
    if not path.exists():
        return {}
    rows = [line.split() for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {(row[0], row[1]): Login(*row) for row in rows if len(row) == len(COLUMNS) and row[0] != COLUMNS[0]}


def write_logins(*, logins: dict[tuple[str, str], Login], example: str) -> Path:
    """Write the file for our own account only (0600) and return where it is."""
    widths = [max(len(row[at]) for row in (COLUMNS, *logins.values())) for at in range(len(COLUMNS))]
    lines = [
        "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip()
        for row in (COLUMNS, *logins.values())
    ]
    lines += [
        "",
        "# The current code of a member of staff: python manage.py demo_code dealer@acorn",
        *example.splitlines(),
    ]
    text = "\n".join(lines) + "\n"
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    half.replace(path)
    return path


def staff(*, broker: Broker, known: dict[tuple[str, str], Login]) -> list[Login]:
    """Make one member of staff per role with an authenticator; those of the file stay as they are."""
    users.sync_roles()
    return [_staff_login(broker, f"{role}@{broker.schema}", role, known) for role in ROLES]


def client(*, broker: Broker, name: str, known: dict[tuple[str, str], Login]) -> Login:
    """Make a client's login with an API token; one of the file stays as it is."""
    login = f"{name}@{broker.schema}"
    user, kept = user_named(username=login), known.get((broker.schema, login))
    if user and kept:
        return kept
    password = secrets.token_urlsafe(12)
    if user is None:
        user = users.create_client_user(username=login, password=password, email=f"{name}@{broker.schema}.example")
    else:
        _renew(user, password)
    return Login(broker.schema, login, password, users.issue_token(user=user), NONE)


def _staff_login(broker: Broker, login: str, role: str, known: dict[tuple[str, str], Login]) -> Login:
    user, kept = user_named(username=login), known.get((broker.schema, login))
    if user and kept:
        return kept
    password = secrets.token_urlsafe(12)
    if user is None:
        user = users.create_staff(username=login, password=password, role=role, email=f"{login}.example")
    else:
        _renew(user, password)
    return Login(broker.schema, login, password, NONE, users.otpauth_url(user=user))


def _renew(user: Any, password: str) -> None:
    """The file was lost: the person gets a new password, because the old one is known to nobody."""
    user.set_password(password)
    user.save(update_fields=["password"])


def _path() -> Path:
    return Path(settings.PIGGY_HOME) / FILE
