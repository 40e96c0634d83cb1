"""Who speaks over a connection: its peer, or whom a proxy of ours names that stands between (X-Forwarded-For)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LOCAL = ("127.0.0.1", "::1")
# Whoever has one IPv6 address has all of its network, so guesses are counted by that.
PREFIX_BITS = 64
ADDRESSES_KEPT = 10_000


class Proxies:
    """The proxies whose word counts, by address or network; everybody else speaks for themselves only."""

    def __init__(self, *, trusted: Iterable[str] = LOCAL) -> None:
        """Raises ValueError for what is neither an address nor a network."""
        self._networks = [ipaddress.ip_network(each) for each in trusted]
        self._known = lru_cache(ADDRESSES_KEPT)(self._is_trusted)

    def client_of(self, *, peer: str, forwarded: str) -> str:
        """Return the last address in `peer` and what it was `forwarded` for that is no proxy of ours."""
        if not forwarded or not self._known(peer):
            return peer
        named = peer
        for each in reversed(forwarded.split(",")):
            named = each.strip()
            if not self._known(named):
                break
        return named

    def _is_trusted(self, text: str) -> bool:
        found = plain(text=text)
        return found is not None and any(found in network for network in self._networks)


def plain(*, text: str) -> Address | None:
    """Return the address that `text` says, None where it is none; an IPv4 one inside of an IPv6 one as IPv4."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A door that listens on both kinds of address hears of an IPv4 one inside of an IPv6 one.
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


@lru_cache(ADDRESSES_KEPT)
def crowd_of(*, address: str) -> str:
    """Return under which name the guesses from an address are counted."""
    found = plain(text=address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, PREFIX_BITS), strict=False))
    return str(found or address)
