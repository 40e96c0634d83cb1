"""Secrets of a broker in its own tables: sealed when written, opened only where they are used."""

from __future__ import annotations

import os
from functools import cache

from piggy.adapters.vault import envelope
from piggy.adapters.vault.config import keys_from_env
from piggy.adapters.vault.envelope import Keys as Keys
from piggy.adapters.vault.envelope import Place as Place
from piggy.adapters.vault.envelope import UnableToOpen as UnableToOpen
from piggy.adapters.vault.envelope import UnableToReachKeys as UnableToReachKeys


def seal(*, place: Place, secret: str) -> bytes:
    """Return `secret` sealed for `place`. Raises UnableToReachKeys; there is no way to keep it in clear."""
    return envelope.seal(keys=keys(), place=place, secret=secret.encode())


def unseal(*, place: Place, sealed: bytes) -> str:
    """Return what was sealed for `place`. Raises UnableToOpen, UnableToReachKeys."""
    return envelope.unseal(keys=keys(), place=place, sealed=sealed).decode()


def fingerprint(*, place: Place, secret: str) -> str:
    """Return the mark by which staff tell secrets apart; it does not help to guess one."""
    return envelope.fingerprint(place=place, secret=secret.encode())


def current_kek() -> str:
    """Return the id of the key that seals new records. Raises UnableToReachKeys."""
    return keys().current()


@cache
def keys() -> Keys:
    """Return this process's keys, read once. Raises UnableToReachKeys."""
    return keys_from_env(os.environ)
