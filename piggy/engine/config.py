"""The engine's settings: one frozen value, read once at the door. A bad value stops the start and names itself."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from piggy.messaging.addresses import LOCAL, Proxies

CONTEXT_KEY_BYTES_MIN = 32


class UnableToReadConfig(Exception):
    """A setting is missing or not what it must be; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """What one engine process needs to know; keys are raw bytes and never printed.

    `tape_days` is how long the rule lab's tapes are kept, 0 records none; a tenant's has at most `tape_mib_max` a day.
    A rate of 0 is no limit. `reconcile_ms_max` is how long a start waits for venues before it goes on without some.
    An order leaves memory `ended_kept_s` after it ended, or sooner where a tenant has more than `ended_kept_max`.
    What one of `edge_proxies` (addresses or networks) says in X-Forwarded-For counts, nobody else's word.
    Past `signals_waiting_max`, which tenants share, the fast door answers 503 until fewer wait.
    """

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    context_key: bytes = field(repr=False)
    signal_key: bytes = field(repr=False)
    shard: str = "main"
    holder: str = ""
    edge_host: str = "127.0.0.1"
    edge_port: int = 8010
    edge_proxies: tuple[str, ...] = LOCAL
    batch_max: int = 500
    lease_life_s: int = 3
    reconcile_ms_max: int = 1_000
    strategy_signals_per_s_max: int = 100
    tenant_signals_per_s_max: int = 5_000
    address_failures_per_s_max: int = 20
    signals_waiting_max: int = 1_000
    snapshot_events: int = 50_000
    ended_kept_s: int = 3_600
    ended_kept_max: int = 20_000
    tape_days: int = 7
    tape_mib_max: int = 4_096
    home: Path = Path(".run")

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> EngineConfig:
        """Return the settings in `env`. Raises UnableToReadConfig."""
        return cls(
            database_url=_text(env, "DATABASE_URL"),
            redis_url=_text(env, "REDIS_URL"),
            context_key=_key(env, "PIGGY_CONTEXT_KEY"),
            signal_key=_key(env, "PIGGY_SIGNAL_KEY"),
            shard=env.get("PIGGY_SHARD", "main"),
            holder=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
            edge_host=env.get("PIGGY_EDGE_HOST", "127.0.0.1"),
            edge_port=_number(env, "PIGGY_EDGE_PORT", 8010),
            edge_proxies=_proxies(env, "PIGGY_EDGE_PROXIES"),
            strategy_signals_per_s_max=_number(env, "PIGGY_STRATEGY_SIGNALS_PER_S_MAX", 100),
            tenant_signals_per_s_max=_number(env, "PIGGY_TENANT_SIGNALS_PER_S_MAX", 5_000),
            address_failures_per_s_max=_number(env, "PIGGY_ADDRESS_FAILURES_PER_S_MAX", 20),
            signals_waiting_max=_number(env, "PIGGY_SIGNALS_WAITING_MAX", 1_000),
            reconcile_ms_max=_number(env, "PIGGY_RECONCILE_MS_MAX", 1_000),
            snapshot_events=_number(env, "PIGGY_SNAPSHOT_EVENTS", 50_000),
            ended_kept_s=_number(env, "PIGGY_ENDED_KEPT_S", 3_600),
            ended_kept_max=_number(env, "PIGGY_ENDED_KEPT_MAX", 20_000),
            tape_days=_number(env, "PIGGY_TAPE_DAYS", 7),
            tape_mib_max=_number(env, "PIGGY_TAPE_MIB_MAX", 4_096),
            home=Path(env.get("PIGGY_HOME", ".run")).absolute(),
        )


def _text(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise UnableToReadConfig(f"{name} is not set.")
    return value


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    value = env.get(name, "") or str(default)
    if not value.isdigit():
        raise UnableToReadConfig(f"{name} must be a whole number, not {value!r}.")
    return int(value)


def _proxies(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    found = tuple(each.strip() for each in (env.get(name, "") or ",".join(LOCAL)).split(","))
    try:
        Proxies(trusted=found)
    except ValueError as error:
        raise UnableToReadConfig(f"{name} must be addresses or networks with commas between: {error}.") from error
    return found


def _key(env: Mapping[str, str], name: str) -> bytes:
    try:
        key = bytes.fromhex(_text(env, name))
    except ValueError as error:
        raise UnableToReadConfig(f"{name} must be hexadecimal.") from error
    if len(key) < CONTEXT_KEY_BYTES_MIN:
        raise UnableToReadConfig(f"{name} must have at least {CONTEXT_KEY_BYTES_MIN} bytes.")
    return key
