"""Whose word counts of where a request comes from: a proxy of ours, and nobody else."""

from __future__ import annotations

import pytest

from piggy.engine.config import EngineConfig, UnableToReadConfig
from piggy.messaging.addresses import Proxies, crowd_of

NEEDED = {"DATABASE_URL": "d", "REDIS_URL": "r", "PIGGY_CONTEXT_KEY": "00" * 32, "PIGGY_SIGNAL_KEY": "00" * 32}


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.2", "", "10.0.0.2"),
        ("10.0.0.2", "6.6.6.6, 9.9.9.9", "9.9.9.9"),
        ("::ffff:10.0.0.2", "9.9.9.9", "9.9.9.9"),
        ("10.0.0.2", "6.6.6.6, 9.9.9.9, 10.0.0.3", "9.9.9.9"),
        ("10.0.0.2", "10.0.0.4,10.0.0.3", "10.0.0.4"),
        ("10.0.0.2", "6.6.6.6, somebody", "somebody"),
        ("10.0.1.2", "9.9.9.9", "10.0.1.2"),
        ("6.6.6.6", "10.0.0.2, 9.9.9.9", "6.6.6.6"),
        ("", "9.9.9.9", ""),
    ],
    ids=["plain", "one", "mapped", "two", "inside", "no-address", "neighbour", "spoofed", "nobody"],
)
def test_the_last_word_that_is_no_proxys_of_ours_counts(peer: str, forwarded: str, client: str) -> None:
    assert Proxies(trusted=("10.0.0.0/24",)).client_of(peer=peer, forwarded=forwarded) == client


def test_guesses_are_counted_by_what_one_guesser_has() -> None:
    """Of IPv6 that is a network; an IPv4 address is one person's, however it is written."""
    assert crowd_of(address="2001:db8:1:2::1") == crowd_of(address="2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert crowd_of(address="2001:db8:1:3::1") != crowd_of(address="2001:db8:1:2::1")
    assert crowd_of(address="::ffff:9.9.9.9") == crowd_of(address="9.9.9.9") == "9.9.9.9"
    assert crowd_of(address="somebody") == "somebody"


def test_the_proxies_are_the_operators_to_name() -> None:
    assert EngineConfig.from_env(NEEDED).edge_proxies == ("127.0.0.1", "::1")
    named = EngineConfig.from_env(NEEDED | {"PIGGY_EDGE_PROXIES": "10.0.0.0/24, 192.0.2.7"})
    assert named.edge_proxies == ("10.0.0.0/24", "192.0.2.7")
    with pytest.raises(UnableToReadConfig, match="PIGGY_EDGE_PROXIES"):
        EngineConfig.from_env(NEEDED | {"PIGGY_EDGE_PROXIES": "10.0.0.1/24"})
