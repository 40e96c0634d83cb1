"""What was acknowledged, told outside of the database: a log that ends before it is an older copy of that log.

One file a broker in the installation's folder, which a backup of the database does not bring back with it. Beside it
lies, where a log was lost for good, the acceptance of whoever decided to go on without it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import msgspec

FOLDER = "witness"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The last event of a tenant's log known to be committed, and how many orders and hedges had been numbered then."""

    tenant: str
    seq: int
    hash: bytes
    orders: int
    hedges: int
    seen_at_us: int


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody decided that the log goes on after `log_seq`, though another event, `lost_seq`, was acknowledged."""

    tenant: str
    log_seq: int
    log_hash: bytes
    lost_seq: int
    lost_hash: bytes
    by: str
    reason: str


class UnableToReadWitness(Exception):
    """It cannot be opened or is not what was written; whoever removes it gives up knowing what was acknowledged."""


_Kind = TypeVar("_Kind", Seen, Acceptance)


def seen(*, home: Path, tenant: str) -> Seen | None:
    """Return what was last written of a tenant, None where nothing ever was. Raises UnableToReadWitness."""
    return _read(path_of(home=home, tenant=tenant), Seen)


def acceptance(*, home: Path, tenant: str) -> Acceptance | None:
    """Return the last acceptance, None where there is none. Raises UnableToReadWitness."""
    return _read(_accepted(home, tenant), Acceptance)


def tell(*, home: Path, said: Seen | Acceptance) -> None:
    """Write it, so that it outlives a power cut. Raises OSError."""
    put(home=home, said=said)
    settle(home=home)


def put(*, home: Path, said: Seen | Acceptance) -> None:
    """Write it; until `settle` a power cut may leave what was there before. Raises OSError."""
    is_seen = isinstance(said, Seen)
    path = path_of(home=home, tenant=said.tenant) if is_seen else _accepted(home, said.tenant)
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_suffix(f".{os.getpid()}")
    with made.open("wb") as file:
        file.write(msgspec.json.encode(said))
        file.flush()
        os.fsync(file.fileno())
    made.replace(path)


def settle(*, home: Path) -> None:
    """Let all that was put outlive a power cut. Raises OSError."""
    folder = os.open(home / FOLDER, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def forget(*, home: Path, tenant: str) -> None:
    """Take away what is said of a tenant that is no more."""
    for path in (path_of(home=home, tenant=tenant), _accepted(home, tenant)):
        path.unlink(missing_ok=True)


def path_of(*, home: Path, tenant: str) -> Path:
    """Return where a tenant's witness lies."""
    return home / FOLDER / f"{tenant}.json"


def _accepted(home: Path, tenant: str) -> Path:
    return home / FOLDER / f"{tenant}.accepted.json"


def _read(path: Path, kind: type[_Kind]) -> _Kind | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise UnableToReadWitness(f"{path} cannot be read: {error}") from error
