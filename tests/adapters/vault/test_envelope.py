"""Sealed records: where they open, where they never do, and what a flipped bit does."""

from __future__ import annotations

import multiprocessing
import os
from typing import Any

import pytest
from msgspec.structs import replace

from piggy.adapters.vault import envelope
from piggy.adapters.vault.envelope import IV_BYTES, Place, UnableToOpen, UnableToReachKeys
from piggy.adapters.vault.keyring import LocalKeys, local_keys

ROOTS = {"k1": bytes(range(32)), "k2": bytes(range(32, 64))}
PLACE = Place(tenant="acorn", table="credential", column="sealed", row="LP1/password", version=3)
SEALINGS = int(os.environ.get("PIGGY_TEST_SEALINGS", "4000"))


def keys(current: str = "k1", *names: str) -> LocalKeys:
    return LocalKeys(roots={name: ROOTS[name] for name in names or ROOTS}, current=current)


def test_what_is_sealed_opens_at_its_place() -> None:
    for secret in (b"", b"p", b"x" * 10_000):
        sealed = envelope.seal(keys=keys(), place=PLACE, secret=secret)
        assert envelope.unseal(keys=keys(), place=PLACE, sealed=sealed) == secret
        assert not secret or len(secret) < 4 or secret not in sealed


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"tenant": "birch"},
        {"table": "client"},
        {"column": "other"},
        {"row": "LP2/password"},
        {"version": 4},
        {"tenant": "acor", "table": "ncredential"},
        {"table": "credentials", "column": "ealed"},
    ],
)
def test_a_record_opens_nowhere_else(elsewhere: dict[str, Any]) -> None:
    """E-01: moved between rows, columns, tables, tenants or versions it stays shut."""
    sealed = envelope.seal(keys=keys(), place=PLACE, secret=b"secret")
    with pytest.raises(UnableToOpen):
        envelope.unseal(keys=keys(), place=replace(PLACE, **elsewhere), sealed=sealed)


def test_one_tenants_key_never_unwraps_anothers_data_key() -> None:
    wrapped = keys().wrap(tenant="acorn", kek_id="k1", data_key=b"d" * 32, bound_to=b"here")
    assert keys().unwrap(tenant="acorn", kek_id="k1", wrapped=wrapped, bound_to=b"here") == b"d" * 32
    with pytest.raises(UnableToOpen):
        keys().unwrap(tenant="birch", kek_id="k1", wrapped=wrapped, bound_to=b"here")
    derived = [envelope.tenant_key(root=ROOTS["k1"], kek_id="k1", tenant=name) for name in ("acorn", "birch")]
    assert derived[0] != derived[1]


def test_one_root_key_under_two_names_makes_two_keys() -> None:
    made = {envelope.tenant_key(root=ROOTS["k1"], kek_id=name, tenant="acorn") for name in ("k1", "k2")}
    assert len(made) == 2


def test_a_record_of_another_form_or_cut_short_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = envelope.seal(keys=keys(), place=PLACE, secret=b"secret")
    assert envelope.kek_of(sealed=sealed) == "k1"
    for cut in (b"", sealed[:20], sealed[:4] + b"\xff\xff" + sealed[6:], sealed[:60]):
        with pytest.raises(UnableToOpen):
            envelope.kek_of(sealed=cut)
    with monkeypatch.context() as later:
        later.setattr(envelope, "FORMAT", 2)
        sealed = envelope.seal(keys=keys(), place=PLACE, secret=b"secret")
        assert envelope.unseal(keys=keys(), place=PLACE, sealed=sealed) == b"secret"
    with pytest.raises(UnableToOpen):
        envelope.unseal(keys=keys(), place=PLACE, sealed=sealed)


def test_every_flipped_bit_of_a_blob_is_noticed_and_none_is_told_apart() -> None:
    """E-03."""
    empty = len(envelope.seal(keys=keys(), place=PLACE, secret=b""))
    sealed = envelope.seal(keys=keys(), place=PLACE, secret=b"s" * (200 - empty))
    assert len(sealed) == 200
    texts = set()
    for bit in range(1_600):
        altered = bytearray(sealed)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(UnableToOpen) as caught:
            envelope.unseal(keys=keys(), place=PLACE, sealed=bytes(altered))
        texts.add(str(caught.value))
    assert len(texts) == 1


def test_a_blob_cut_anywhere_does_not_open() -> None:
    sealed = envelope.seal(keys=keys(), place=PLACE, secret=b"secret")
    for length in range(len(sealed)):
        with pytest.raises(UnableToOpen):
            envelope.unseal(keys=keys(), place=PLACE, sealed=sealed[:length])


class _Noting(LocalKeys):
    """Notes every data key that it is given."""

    def __init__(self) -> None:
        super().__init__(roots=ROOTS, current="k1")
        self.seen: list[bytes] = []

    def wrap(self, *, tenant: str, kek_id: str, data_key: bytes, bound_to: bytes) -> bytes:
        self.seen.append(data_key)
        return super().wrap(tenant=tenant, kek_id=kek_id, data_key=data_key, bound_to=bound_to)


def _pairs(count: int) -> list[tuple[bytes, bytes]]:
    noting = _Noting()
    sealed = [envelope.seal(keys=noting, place=PLACE, secret=b"s") for _ in range(count)]
    ivs = [blob[-(IV_BYTES + 1 + 16) :][:IV_BYTES] for blob in sealed]
    return list(zip(noting.seen, ivs, strict=True))


def test_no_pair_of_key_and_iv_comes_twice_even_in_forked_processes() -> None:
    """E-02, in small; PIGGY_TEST_SEALINGS=10000000 is the nightly size."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        parts = pool.map(_pairs, [SEALINGS // 2] * 2)
    found = [pair for part in parts for pair in part]
    assert len(found) == len(set(found)) == SEALINGS // 2 * 2
    assert len({key for key, _ in found}) == len(found), "a data key is never used twice"


def test_an_old_key_decrypts_only_and_is_later_refused() -> None:
    """E-04."""
    sealed = envelope.seal(keys=keys("k1"), place=PLACE, secret=b"secret")
    assert envelope.kek_of(sealed=sealed) == "k1"
    assert envelope.unseal(keys=keys("k2"), place=PLACE, sealed=sealed) == b"secret"
    with pytest.raises(UnableToReachKeys):
        keys("k2").wrap(tenant="acorn", kek_id="k1", data_key=b"d" * 32, bound_to=b"")
    with pytest.raises(UnableToOpen):
        envelope.unseal(keys=keys("k2", "k2"), place=PLACE, sealed=sealed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"current": "k1", "keys": {}}',
        '{"current": "k1", "keys": {"k1": "00"}}',
        '{"current": "k1", "keys": {"k1": "canary"}}',
    ],
)
def test_keys_that_are_none_stop_the_start_and_are_not_shown(text: str) -> None:
    """E-05: no default key, no fallback."""
    with pytest.raises(UnableToReachKeys) as caught:
        local_keys(text=text, source="PIGGY_KEKS")
    assert "canary" not in f"{caught.value!r}{caught.value.__cause__!r}"


def test_a_fingerprint_tells_secrets_apart_and_not_what_they_are() -> None:
    """E-07."""
    one, other = (envelope.fingerprint(place=PLACE, secret=s) for s in (b"one", b"other"))
    assert one != other
    assert one == envelope.fingerprint(place=replace(PLACE, version=9), secret=b"one")
    assert one != envelope.fingerprint(place=replace(PLACE, tenant="birch"), secret=b"one")
