"""Typed readers of the environment: a bad value stops the start and names the variable and its limit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

CONTEXT_KEY_BYTES = 32


class Environment:
    """The environment as typed values; every reader raises ImproperlyConfigured with the variable's name."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return a non-empty text."""
        value = self._values.get(name, "") or default
        if not value:
            raise ImproperlyConfigured(f"{name} must be set.")
        return value

    def choice(self, name: str, *, among: tuple[str, ...], default: str) -> str:
        """Return one of the texts `among`."""
        value = self.text(name, default=default)
        if value not in among:
            raise ImproperlyConfigured(f"{name} must be one of {', '.join(among)}; it is {value!r}.")
        return value

    def integer(self, name: str, *, default: int, low: int, high: int) -> int:
        """Return a whole number between `low` and `high`, both included."""
        raw = self.text(name, default=str(default))
        try:
            value = int(raw)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name} must be a whole number; it is {raw!r}.") from error
        if not low <= value <= high:
            raise ImproperlyConfigured(f"{name} must be between {low} and {high}; it is {value}.")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a switch written as 0 or 1."""
        return self.choice(name, among=("0", "1"), default="1" if default else "0") == "1"

    def key(self, name: str, *, default: bytes | None = None) -> bytes:
        """Return a secret of CONTEXT_KEY_BYTES bytes written in hex; the value itself is never shown."""
        raw = self.text(name, default=default.hex() if default else None)
        try:
            value = bytes.fromhex(raw)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name} must be hexadecimal.") from error
        if len(value) != CONTEXT_KEY_BYTES:
            raise ImproperlyConfigured(f"{name} must be {CONTEXT_KEY_BYTES} bytes in hex; it is {len(value)}.")
        return value

    def secret(self, name: str, *, characters_min: int, default: str | None = None) -> str:
        """Return a secret text of at least `characters_min` characters; the value itself is never shown."""
        value = self.text(name, default=default)
        if len(value) < characters_min:
            raise ImproperlyConfigured(f"{name} must be at least {characters_min} characters; it is {len(value)}.")
        return value

    def secrets(self, name: str, *, characters_min: int) -> list[str]:
        """Return secret texts that commas divide, none where it is not set; no value is ever shown."""
        # A blank after a comma would make it another secret, and nobody would hear of it.
        values = [value for part in self._values.get(name, "").split(",") if (value := part.strip())]
        if short := [len(value) for value in values if len(value) < characters_min]:
            raise ImproperlyConfigured(
                f"Each of {name} must be at least {characters_min} characters; one is {short[0]}."
            )
        return values

    def certificate(self, chain: str, key: str) -> tuple[str, str] | None:
        """Return the files of a certificate chain and its key, None where neither is named."""
        found = [(name, self._values.get(name, "")) for name in (chain, key)]
        if not any(path for _, path in found):
            return None
        for name, path in found:
            if not Path(path).is_file():
                raise ImproperlyConfigured(f"{name} must name a PEM file; {path!r} is none.")
        return found[0][1], found[1][1]

    def require_flag(self, name: str, *, why: str) -> None:
        """Stop unless a switch is on, which says that what `why` tells is meant."""
        if not self.flag(name, default=False):
            raise ImproperlyConfigured(f"{why}: set {name}=1 where that is meant.")

    def folder(self, name: str, *, default: Path) -> Path:
        """Return an absolute folder; it need not exist yet."""
        return Path(self.text(name, default=str(default))).absolute()


def database_of(*, name: str, url: str) -> dict[str, str]:
    """Return Django's NAME, USER, PASSWORD, HOST and PORT of a postgresql:// address held by variable `name`."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise ImproperlyConfigured(f"{name} must start with postgresql://; it starts with {parts.scheme!r}.")
    database = parts.path.lstrip("/")
    if not database or not parts.username:
        raise ImproperlyConfigured(f"{name} must name a role and a database: postgresql://role:password@host/database.")
    query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    return {
        "NAME": unquote(database),
        "USER": unquote(parts.username),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or unquote(query.get("host", "")),
        "PORT": str(parts.port or query.get("port", "")),
    }
