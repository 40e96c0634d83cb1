"""Envelope encryption: the only module that encrypts. Every record has a data key of its own, wrapped by its tenant's.

A sealed record is `v(1) | length kek_id | length(2) wrapped data key | iv(12) | ciphertext | tag(16)`. Its associated
data are tenant, table, column, row, version and key: moved to any other place, it does not open.
"""

from __future__ import annotations

import hashlib
import os
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT = 1
KEY_BYTES, IV_BYTES, TAG_BYTES = 32, 12, 16
FINGERPRINT_ROUNDS, FINGERPRINT_BYTES = 600_000, 8
_SHORTEST = 1 + 1 + 1 + 2 + 1 + IV_BYTES + TAG_BYTES
_CLOSED = "The record does not open."


class UnableToOpen(Exception):
    """The record was altered, belongs elsewhere, or its key is not ours (any more); never says which."""


class UnableToReachKeys(Exception):
    """The key service is away, or this installation has no key; nothing was encrypted and nothing opened."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a record lives; `version` is the record's own and grows with every change."""

    tenant: str
    table: str
    column: str
    row: str
    version: int


class Keys(Protocol):
    """Who holds the key-encryption keys. All raise UnableToReachKeys; `unwrap` also UnableToOpen."""

    def current(self) -> str: ...

    def wrap(self, *, tenant: str, kek_id: str, data_key: bytes, bound_to: bytes) -> bytes: ...

    def unwrap(self, *, tenant: str, kek_id: str, wrapped: bytes, bound_to: bytes) -> bytes: ...


def seal(*, keys: Keys, place: Place, secret: bytes) -> bytes:
    """Return `secret` sealed for `place` under a fresh data key and the current key. Raises UnableToReachKeys."""
    kek_id = keys.current()
    bound_to = _bound_to(place, kek_id)
    data_key, iv = AESGCM.generate_key(8 * KEY_BYTES), os.urandom(IV_BYTES)
    wrapped = keys.wrap(tenant=place.tenant, kek_id=kek_id, data_key=data_key, bound_to=bound_to)
    name = kek_id.encode()
    head = bytes((FORMAT, len(name))) + name + len(wrapped).to_bytes(2, "big") + wrapped
    return head + iv + AESGCM(data_key).encrypt(iv, secret, bound_to + head)


def unseal(*, keys: Keys, place: Place, sealed: bytes) -> bytes:
    """Return the secret that was sealed for exactly this place. Raises UnableToOpen, UnableToReachKeys."""
    kek_id, wrapped, at = _head(sealed)
    bound_to = _bound_to(place, kek_id)
    data_key = keys.unwrap(tenant=place.tenant, kek_id=kek_id, wrapped=wrapped, bound_to=bound_to)
    return _decrypt(data_key, sealed[at : at + IV_BYTES], sealed[at + IV_BYTES :], bound_to + sealed[:at])


def kek_of(*, sealed: bytes) -> str:
    """Return the id of the key that a record's data key is wrapped by. Raises UnableToOpen."""
    return _head(sealed)[0]


def wrap_key(*, kek: bytes, data_key: bytes, bound_to: bytes) -> bytes:
    """Return a data key encrypted by a key-encryption key: iv, ciphertext, tag."""
    iv = os.urandom(IV_BYTES)
    return iv + AESGCM(kek).encrypt(iv, data_key, bound_to)


def unwrap_key(*, kek: bytes, wrapped: bytes, bound_to: bytes) -> bytes:
    """Return the data key in `wrapped`. Raises UnableToOpen."""
    return _decrypt(kek, wrapped[:IV_BYTES], wrapped[IV_BYTES:], bound_to)


def tenant_key(*, root: bytes, kek_id: str, tenant: str) -> bytes:
    """Return one tenant's key-encryption key, derived from a root key, so that no tenant's opens another's."""
    info = b"\x1f".join((b"piggy key-encryption key", kek_id.encode(), tenant.encode()))
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(root)


def fingerprint(*, place: Place, secret: bytes) -> str:
    """Return a short mark by which people tell two secrets apart; slow to make, so that guesses are dear."""
    salt = f"{place.tenant}\x1f{place.table}\x1f{place.row}".encode()
    return hashlib.pbkdf2_hmac("sha256", secret, salt, FINGERPRINT_ROUNDS, FINGERPRINT_BYTES).hex()


def _head(sealed: bytes) -> tuple[str, bytes, int]:
    if len(sealed) < _SHORTEST or sealed[0] != FORMAT:
        raise UnableToOpen(_CLOSED)
    wrapped_at = 2 + sealed[1] + 2
    iv_at = wrapped_at + int.from_bytes(sealed[wrapped_at - 2 : wrapped_at], "big")
    if iv_at + IV_BYTES + TAG_BYTES > len(sealed):
        raise UnableToOpen(_CLOSED)
    try:
        kek_id = sealed[2 : wrapped_at - 2].decode("ascii")
    except UnicodeDecodeError as error:
        raise UnableToOpen(_CLOSED) from error
    return kek_id, sealed[wrapped_at:iv_at], iv_at


def _bound_to(place: Place, kek_id: str) -> bytes:
    parts = (place.tenant, place.table, place.column, place.row, str(place.version), kek_id)
    # Lengths first: no two places share a text, whatever their names hold.
    return b"".join(len(part.encode()).to_bytes(2, "big") + part.encode() for part in parts)


def _decrypt(key: bytes, iv: bytes, text: bytes, bound_to: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(iv, text, bound_to)
    except (InvalidTag, ValueError) as error:
        raise UnableToOpen(_CLOSED) from error
