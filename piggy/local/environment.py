"""The environment of every process of one installation: addresses, ports and generated keys."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from piggy.local import keys

ROOT = Path(__file__).resolve().parents[2]
KEYS = ("PIGGY_CONTEXT_KEY", "PIGGY_SIGNAL_KEY")
KEY_BYTES = 32
# Where the keys may be that seal credentials; piggy.adapters.vault reads exactly one of them.
KEY_SOURCES = ("PIGGY_KEK_FILE", "PIGGY_KEKS", "PIGGY_KMS_URL")
NOWHERE = {"DATABASE_URL": "postgresql://piggy_app@localhost/piggy", "REDIS_URL": "redis://localhost/0"}
PORTS = {"PIGGY_WEB_PORT": 8000, "PIGGY_EDGE_PORT": 8010, "PIGGY_LP_PORT_BASE": 9101}
TENANTS = ("acorn", "birch")
LPS = ("LP1", "LP2", "LP3")


def home(*, env: Mapping[str, str]) -> Path:
    """Return the folder with everything that belongs to this installation and to no version of it."""
    return Path(env.get("PIGGY_HOME") or ROOT / ".run").resolve()


def generated(*, place: Path) -> dict[str, str]:
    """Return the keys of this installation, made on its first day and kept in secrets.env (0600)."""
    path = place / "secrets.env"
    values = _read(path)
    fresh = {"PIGGY_SECRET_KEY": secrets.token_urlsafe(48), **{name: secrets.token_hex(KEY_BYTES) for name in KEYS}}
    if missing := {name: value for name, value in fresh.items() if name not in values}:
        values |= missing
        _write(path, values)
    return values


def key_file(*, place: Path) -> Path:
    """Return the file with the root key that seals credentials, made on the first day (0600)."""
    path = place / "keks.json"
    if not path.exists():
        name = "first"
        keys.replace(path=path, text=json.dumps({"current": name, "keys": {name: secrets.token_hex(KEY_BYTES)}}))
    return path


def complete(*, env: Mapping[str, str], place: Path) -> dict[str, str]:
    """Return `env` with what it does not say: keys, ports, module search path. What it says stands."""
    own_keys = any(env.get(name) for name in KEY_SOURCES)
    defaults = {
        "PIGGY_HOME": str(place),
        "PIGGY_ENV": "dev",
        # The simulated LPs look up in the brokers' vault what a session must log on with.
        "PIGGY_LP_VAULT": "1",
        "DJANGO_SETTINGS_MODULE": f"piggy.settings.{env.get('PIGGY_ENV') or 'dev'}",
        "PYTHONUNBUFFERED": "1",
        **({} if own_keys else {"PIGGY_KEK_FILE": str(key_file(place=place))}),
        **{name: str(port) for name, port in PORTS.items()},
        **generated(place=place),
    }
    return {**defaults, **{name: value for name, value in env.items() if value}}


def remember(*, env: Mapping[str, str], place: Path) -> None:
    """Write down the addresses, so that `manage.py` in another terminal finds the running servers."""
    addresses = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "PIGGY_KEK_FILE")
    names = (*addresses, "PIGGY_ENV", *PORTS)
    _write(place / "local.env", {name: env[name] for name in names if env.get(name)})


def recall(*, env: MutableMapping[str, str] = os.environ) -> None:
    """Fill `env` with what `up` wrote down; what it says already stands. Does nothing before the first `up`."""
    place = home(env=env)
    own_database = bool(env.get("DATABASE_URL"))
    for name, value in {**_read(place / "secrets.env"), **_read(place / "local.env")}.items():
        if not (own_database and name.startswith("DATABASE_")):  # Never the owner of one beside the app of another.
            env.setdefault(name, value)


def imagine(*, env: MutableMapping[str, str] = os.environ) -> None:
    """Name servers that nobody started, for commands that need none; one that needs them fails at its first word."""
    for name, value in {**generated(place=home(env=env)), **NOWHERE}.items():
        env.setdefault(name, value)


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _write(path: Path, values: Mapping[str, str]) -> None:
    keys.replace(path=path, text="".join(f"{name}={value}\n" for name, value in values.items()))
