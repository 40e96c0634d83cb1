"""Signed heads of a log's tree: who keeps one can tell later that nothing before it was changed, without trusting us.

The key is made on the first use and stays in the installation's folder, readable by its owner alone.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEY_FILE = "log-signing.key"
KEY_BYTES = 32


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The tree over a tenant's first `seq` events; `signed_at_us` is UTC, `key_id` the public key in hex."""

    tenant: str
    seq: int
    root: bytes
    signed_at_us: int
    key_id: str
    signature: bytes = b""

    def told(self) -> bytes:
        """Return the bytes that the signature covers."""
        numbers = f"{self.seq}\x1f{self.signed_at_us}"
        return f"piggy log head\x1f{self.tenant}\x1f{numbers}\x1f{self.key_id}\x1f".encode() + self.root


class UnableToReadKey(Exception):
    """The key file is not 32 bytes in hex."""


def signing_key(*, home: Path) -> Ed25519PrivateKey:
    """Return the installation's key, made now if there is none. Raises UnableToReadKey."""
    path = home / KEY_FILE
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        made = path.with_suffix(f".{os.getpid()}")
        # Written aside and linked: of two that begin at once one wins, and nobody reads half a key.
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(os.urandom(KEY_BYTES).hex())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(made, path)
        made.unlink()
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text().strip()))
    except ValueError as error:
        raise UnableToReadKey(f"{path} is not a key of {KEY_BYTES} bytes in hex.") from error


def public_key(*, key: Ed25519PrivateKey) -> str:
    """Return the public half in hex: what an auditor is given, once, by another way than the log."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def sign(*, head: Head, key: Ed25519PrivateKey) -> Head:
    """Return the head with its signature."""
    return msgspec.structs.replace(head, signature=key.sign(head.told()))


def is_signed(*, head: Head, trusted: str) -> bool:
    """Return whether the head carries a good signature by the public key `trusted` (hex)."""
    if head.key_id != trusted:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(trusted)).verify(head.signature, head.told())
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(*, key_id: str) -> str:
    """Return a short name of a public key for people."""
    return hashlib.sha256(bytes.fromhex(key_id)).hexdigest()[:16]
