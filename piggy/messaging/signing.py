"""Secrets and signatures of the fast door. Every secret is derived, so none is stored and all can be rotated.

The derivation names its purpose and joins its parts with a byte that cannot be in them, so no two uses share a secret.
"""

from __future__ import annotations

import hashlib
import hmac

_SEPARATOR = "\x1f"
_BLOCK_BYTES = 64  # Of SHA-256.


def strategy_secret(*, key: bytes, tenant: str, strategy: str, key_version: int) -> str:
    """Return the secret (hex) with which a strategy signs its signals; a new `key_version` is a new secret."""
    return _mac(key, "strategy", tenant, strategy, str(key_version))


def signature(*, secret: str, timestamp: str, body: bytes) -> str:
    """Return the hex HMAC-SHA256 of the Unix time in seconds, a dot and the raw body, for X-Piggy-Signature."""
    return Signer(secret=secret).signature(timestamp=timestamp, body=body)


class Signer:
    """HMAC-SHA256 (RFC 2104) under one secret for who signs often: its two keys are hashed once, not for each proof."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, *, secret: str) -> None:
        key = secret.encode().ljust(_BLOCK_BYTES, b"\0")
        assert len(key) == _BLOCK_BYTES, "a longer key would have to be hashed first"
        self._inner, self._outer = (hashlib.sha256(bytes(byte ^ pad for byte in key)) for pad in (0x36, 0x5C))

    def signature(self, *, timestamp: str, body: bytes) -> str:
        """Return what `signing.signature` returns under the secret."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(timestamp.encode() + b"." + body)
        outer.update(inner.digest())
        return outer.hexdigest()


def capability_mac(*, key: bytes, tenant: str, strategy: str, account_id: str, scope: str, key_version: int) -> str:
    """Return the MAC (hex) in a capability URL: who holds the URL may do `scope` with that account, nothing else."""
    return _mac(key, "capability", tenant, strategy, account_id, scope, str(key_version))


def capability_path(*, key: bytes, tenant: str, strategy: str, account_id: str, key_version: int) -> str:
    """Return the path to give to TradingView, which signs nothing."""
    mac = capability_mac(
        key=key, tenant=tenant, strategy=strategy, account_id=account_id, scope="trade", key_version=key_version
    )
    return f"/hooks/tradingview/{strategy}/{mac}"


def snapshot_mac(*, key: bytes, tenant: str, fold: str, seq: int, log_hash: bytes, body: bytes) -> bytes:
    """Return the MAC that ties a snapshot's live part to its tenant, its fold and the log as it was at `seq`."""
    digest = hashlib.sha256(body).hexdigest()
    return bytes.fromhex(_mac(key, "snapshot", tenant, fold, str(seq), log_hash.hex(), digest))


def same(given: str, expected: str) -> bool:
    """Return whether two signatures are equal, in a time that tells nothing."""
    return hmac.compare_digest(given.encode(), expected.encode())


def _mac(key: bytes, *parts: str) -> str:
    assert not any(_SEPARATOR in part for part in parts)
    return hmac.digest(key, _SEPARATOR.join(parts).encode(), "sha256").hex()
