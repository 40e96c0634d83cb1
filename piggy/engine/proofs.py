"""Proof that a signal comes from its strategy: a signature over the raw body, or a capability URL's MAC.

Secrets are derived, and kept ready to sign once derived. Whatever fails is answered with one text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from piggy.core.accounts import Strategy
from piggy.core.strategies import key_versions
from piggy.engine.signals import Signal, UnableToAcceptSignal
from piggy.messaging import addresses, signing
from piggy.messaging.signing import Signer

WINDOW_S = 300
SCOPE = "trade"
SIGNERS_KEPT = 20_000
SOURCES_KEPT = 20_000

NO_TIME = "time must be when the alert was made: ISO 8601 with a zone, as {{timenow}} gives it, or Unix seconds."

# What the strategy's own desk is told, and nobody else.
STALE = "X-Piggy-Timestamp is missing, or more than five minutes away from now"
ELSEWHERE = "it came from an address that the strategy does not list"
BAD_SIGNATURE = "the signature is none of the strategy's secret over this timestamp and body"
BAD_ADDRESS = "the address is none of the strategy's, or its secret was turned over"
OLD_ALERT = "the alert's time is more than five minutes away from now"

_TIME = re.compile(r"[0-9]{10}")


class Proofs:
    """Checks proofs with the installation's signal key."""

    def __init__(self, *, key: bytes) -> None:
        self._key = key
        self._signers: dict[tuple[str, str, int], Signer] = {}

    def signed(
        self, *, headers: Mapping[str, str], body: bytes, strategy: Strategy, tenant: str, address: str, now_s: int
    ) -> int:
        """Check the signature over timestamp and raw body, and where it comes from; return the secret's version.

        Raises UnableToAcceptSignal 401.
        """
        timestamp, given = headers.get("x-piggy-timestamp", ""), headers.get("x-piggy-signature", "")
        if not _TIME.fullmatch(timestamp) or abs(now_s - int(timestamp)) > WINDOW_S:
            raise unauthorised(why=STALE)
        if not is_allowed(address=address, sources=strategy.sources):
            raise unauthorised(why=ELSEWHERE)
        for version in key_versions(strategy=strategy, now_us=now_s * 1_000_000):
            signer = self._signer(tenant, strategy.strategy_id, version)
            if signing.same(given, signer.signature(timestamp=timestamp, body=body)):
                return version
        raise unauthorised(why=BAD_SIGNATURE)

    def capability(self, *, mac: str, strategy: Strategy, tenant: str, address: str, now_s: int) -> None:
        """Check a capability URL's MAC and where the request comes from, before anything of it is read.

        Raises as above.
        """
        known = False
        for version in key_versions(strategy=strategy, now_us=now_s * 1_000_000):
            expected = signing.capability_mac(
                key=self._key,
                tenant=tenant,
                strategy=strategy.strategy_id,
                account_id=strategy.account_id,
                scope=SCOPE,
                key_version=version,
            )
            known = signing.same(mac, expected) or known
        if not known:
            raise unauthorised(why=BAD_ADDRESS)
        if not is_allowed(address=address, sources=strategy.sources):
            raise unauthorised(why=ELSEWHERE)

    def _signer(self, tenant: str, strategy_id: str, version: int) -> Signer:
        name = (tenant, strategy_id, version)
        signer = self._signers.get(name)
        if signer is None:
            if len(self._signers) >= SIGNERS_KEPT:
                self._signers.clear()
            secret = signing.strategy_secret(key=self._key, tenant=tenant, strategy=strategy_id, key_version=version)
            signer = self._signers[name] = Signer(secret=secret)
        return signer


def require_fresh(*, signal: Signal, now_s: int) -> None:
    """Check that an alert which nobody signed was made just now.

    Raises UnableToAcceptSignal 401, 400 where it has no time and 422 for one that cannot be read.
    """
    at_s = _seconds(signal.time)
    if at_s is None:
        raise UnableToAcceptSignal(422 if signal.time else 400, "INVALID_FIELD", NO_TIME, field="time")
    if abs(now_s - at_s) > WINDOW_S:
        raise unauthorised(why=OLD_ALERT)


@lru_cache(SOURCES_KEPT)
def is_allowed(*, address: str, sources: tuple[str, ...]) -> bool:
    """Return whether an address is in one of a strategy's networks; without any, each is.

    Kept, as an open socket asks it of every signal and every second.
    """
    if not sources:
        return True
    found = addresses.plain(text=address)
    try:
        return found is not None and any(found in ipaddress.ip_network(source) for source in sources)
    except ValueError:
        return False


def unauthorised(*, why: str = "") -> UnableToAcceptSignal:
    """Return the one answer to every failed proof, so that it does not tell what failed; `why` only its desk hears."""
    return UnableToAcceptSignal(401, "UNAUTHORISED", "Strategy, signature or time window is not valid.", why=why)


def _seconds(text: str) -> int | None:
    """Return the Unix time that a text says, None where it says none."""
    if _TIME.fullmatch(text):
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(at.timestamp()) if at.tzinfo else None
