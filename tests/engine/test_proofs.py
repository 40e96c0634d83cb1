"""Proofs of the fast door: whose they are, how long they hold, and from where."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from piggy.core.accounts import Strategy
from piggy.engine import proofs as proofs_module
from piggy.engine.proofs import Proofs, require_fresh
from piggy.engine.signals import Signal, UnableToAcceptSignal
from piggy.messaging import signing

KEY, NOW_S, BODY = b"k" * 32, 1_700_000_000, b'{"id":"1"}'
STRATEGY = Strategy(strategy_id="s1", account_id="b1")
SIGNAL = Signal(id="1", action="buy", time=str(NOW_S))


def signed(
    *, by: tuple[str, str] = ("acorn", "s1"), over: bytes = BODY, at: str = str(NOW_S), under: Strategy = STRATEGY,
    at_door: Proofs | None = None, **asked: Any,
) -> bool:  # fmt: skip
    """Sign as a strategy of a tenant, and return whether that proves what is asked of s1 of acorn."""
    secret = signing.strategy_secret(key=KEY, tenant=by[0], strategy=by[1], key_version=1)
    mine = signing.signature(secret=secret, timestamp=at, body=over)
    headers = {"x-piggy-timestamp": at, "x-piggy-signature": mine}
    wanted = {"headers": headers, "body": BODY, "strategy": under, "tenant": "acorn", "address": "", "now_s": NOW_S}
    try:
        (at_door or Proofs(key=KEY)).signed(**wanted | asked)
    except UnableToAcceptSignal as refused:
        return (refused.status, refused.code) != (401, "UNAUTHORISED")
    return True


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ({}, True),
        ({"now_s": NOW_S + 300}, True),
        ({"now_s": NOW_S + 301}, False),
        ({"now_s": NOW_S - 300}, True),
        ({"now_s": NOW_S - 301}, False),
        ({"at": "1e9"}, False),
        ({"at": f"{NOW_S}0"}, False),
        ({"at": "１７００００００００"}, False),
        ({"at": f"-{NOW_S}"}, False),
        ({"at": ""}, False),
        ({"at": f"{NOW_S}x"}, False),
        ({"over": b'{"id": "1"}'}, False),
        ({"by": ("birch", "s1")}, False),
        ({"by": ("acorn", "s2")}, False),
        ({"headers": {}}, False),
        ({"headers": {"x-piggy-timestamp": str(NOW_S), "x-piggy-signature": "\xff\x00"}}, False),
    ],
)
def test_a_signature_proves_its_own_body_strategy_and_tenant_for_five_minutes(
    asked: dict[str, Any], holds: bool
) -> None:
    """Over another body, by another strategy or another broker's strategy of the same name, it proves nothing."""
    assert signed(**asked) is holds


def test_a_secret_that_was_kept_ready_is_its_own_brokers_and_strategys(monkeypatch: pytest.MonkeyPatch) -> None:
    """One door serves many brokers, and two of them may have a strategy of one name."""
    monkeypatch.setattr(proofs_module, "SIGNERS_KEPT", 2)
    door, other = Proofs(key=KEY), msgspec.structs.replace(STRATEGY, strategy_id="s2")
    for tenant, strategy in (("acorn", STRATEGY), ("birch", STRATEGY), ("acorn", other), ("acorn", STRATEGY)):
        asked: dict[str, Any] = {"tenant": tenant, "under": strategy, "at_door": door}
        for by in (("acorn", "s1"), ("birch", "s1"), ("acorn", "s2")):
            assert signed(by=by, **asked) is (by == (tenant, strategy.strategy_id))
        assert 1 <= len(door._signers) <= 2, "as many as may be kept"


@pytest.mark.parametrize(
    ("address", "sources", "holds"),
    [
        ("52.89.214.238", ("52.89.214.238",), True),
        ("52.89.214.239", ("52.89.214.238",), False),
        ("10.1.2.3", ("10.0.0.0/8",), True),
        ("::ffff:10.1.2.3", ("10.0.0.0/8",), True),
        ("", ("10.0.0.0/8",), False),
        ("10.1.2.3, 6.6.6.6", ("10.0.0.0/8",), False),
        ("anything", (), True),
    ],
)
def test_an_address_list_lets_in_who_is_on_it(address: str, sources: tuple[str, ...], holds: bool) -> None:
    assert signed(under=msgspec.structs.replace(STRATEGY, sources=sources), address=address) is holds
    assert capability(sources=sources, address=address) is holds


@pytest.mark.parametrize(
    ("time", "holds"),
    [
        (str(NOW_S - 300), True),
        (str(NOW_S - 301), False),
        (datetime.fromtimestamp(NOW_S, UTC).isoformat(), True),
        ("0001-01-01T00:00:00+14:00", False),
        ("9999-12-31T23:59:59-14:00", False),
    ],
)
def test_an_alert_needs_a_fresh_time_with_a_zone(time: str, holds: bool) -> None:
    signal = msgspec.structs.replace(SIGNAL, time=time)
    if holds:
        require_fresh(signal=signal, now_s=NOW_S)
        return
    with pytest.raises(UnableToAcceptSignal) as refused:
        require_fresh(signal=signal, now_s=NOW_S)
    assert refused.value.status == 401


@pytest.mark.parametrize(
    ("time", "status"), [("", 400), ("now", 422), ("{{timenow}}", 422), ("2023-11-14T22:13:20", 422)]
)
def test_a_time_that_cannot_be_read_is_named(time: str, status: int) -> None:
    """Who holds the address is told what his template lacks."""
    with pytest.raises(UnableToAcceptSignal) as refused:
        require_fresh(signal=msgspec.structs.replace(SIGNAL, time=time), now_s=NOW_S)
    assert (refused.value.status, refused.value.field) == (status, "time")


def capability(
    *, mac: str = "", tenant: str = "acorn", account_id: str = "b1", sources: tuple[str, ...] = (), address: str = ""
) -> bool:
    given = mac or signing.capability_mac(
        key=KEY, tenant="acorn", strategy="s1", account_id="b1", scope="trade", key_version=1
    )
    strategy = msgspec.structs.replace(STRATEGY, account_id=account_id, sources=sources)
    try:
        Proofs(key=KEY).capability(mac=given, strategy=strategy, tenant=tenant, address=address, now_s=NOW_S)
    except UnableToAcceptSignal:
        return False
    return True


def test_a_capability_is_for_one_strategy_of_one_broker_on_one_account() -> None:
    assert capability()
    assert not capability(tenant="birch") and not capability(account_id="b2") and not capability(mac="\xff" * 64)
