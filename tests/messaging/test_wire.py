"""What travels is what was sent, and names and proofs say exactly one thing each."""

from __future__ import annotations

import hmac
import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from piggy.core.commands import CreditAccount, Envelope
from piggy.core.market import Level, VenueQuote
from piggy.messaging import codec, signing, streams
from piggy.messaging.chain import FIRST_HASH, event_hash
from piggy.messaging.context import signed_context
from piggy.messaging.identity import command_id_of

KEY = bytes(32)
ROW = {
    "prev_hash": FIRST_HASH,
    "seq": 1,
    "command_id": command_id_of("x"),
    "position": 0,
    "type_name": "OrderDenied",
    "version": 1,
    "principal": "tess",
    "request_hash": "ab",
    "occurred_at_us": 3,
    "recorded_at_us": 4,
    "recorded_mono_ns": 5,
    "payload": b"payload",
}


def test_an_envelope_keeps_every_digit_of_its_money() -> None:
    command = CreditAccount(account_id="anna", amount=Decimal("1.10"), reference="r")
    sent = Envelope(command_id=command_id_of("a"), command=command, principal="treasury")
    received = codec.decode_envelope(codec.encode(sent))
    assert received == sent
    assert str(received.command.amount) == "1.10"


def test_market_data_travels_in_batches() -> None:
    quote = VenueQuote(
        venue="LP1",
        symbol="EURUSD",
        bids=(Level(Decimal("1.10000"), Decimal(5)),),
        asks=(),
        venue_at_us=1,
        received_at_us=2,
    )
    assert codec.decode_market_data(codec.encode([quote])) == [quote]


def test_what_is_no_message_is_refused() -> None:
    for data in (b"", b"\xc1", codec.encode({"type": "PlaceOrder"})):
        with pytest.raises(msgspec.DecodeError):
            codec.decode_envelope(data)


def test_the_same_parts_make_the_same_id_and_no_others_do() -> None:
    assert command_id_of("tv", "acorn", "mean", "1") == command_id_of("tv", "acorn", "mean", "1")
    assert command_id_of("tv", "acorn", "mean", "1") != command_id_of("tv", "birch", "mean", "1")
    assert command_id_of("ab", "c") != command_id_of("a", "bc")


def test_every_key_carries_its_tenant() -> None:
    keys = [
        streams.commands_key(tenant="acorn"),
        streams.urgent_key(tenant="acorn"),
        streams.reply_key(tenant="acorn", request_id="r"),
        streams.venue_key(tenant="acorn", venue="LP1"),
        streams.quotes_channel(tenant="acorn"),
        streams.committed_channel(tenant="acorn"),
        streams.desk_channel(tenant="acorn"),
        streams.desk_snapshot_key(tenant="acorn", panel="orders"),
    ]
    assert {streams.tenant_of(key=key) for key in keys} == {"acorn"}
    assert len(set(keys)) == len(keys)


def test_a_secret_belongs_to_one_tenant_strategy_and_version() -> None:
    parts = {"tenant": "acorn", "strategy": "mean", "key_version": 1}
    others = [parts | {"tenant": "birch"}, parts | {"strategy": "x"}, parts | {"key_version": 2}]
    secrets = {signing.strategy_secret(key=KEY, **each) for each in [parts, *others]}
    assert len(secrets) == 4
    assert signing.capability_mac(key=KEY, account_id="", scope="", **parts) not in secrets


@pytest.mark.parametrize("tenant", ["", "acorn|9999999999"])
def test_a_context_names_one_tenant_and_nothing_else(tenant: str) -> None:
    with pytest.raises(ValueError, match="schema name"):
        signed_context(key=KEY, tenant=tenant, backend_pid=1, expires_at_s=1)


def test_a_snapshot_is_proven_for_one_place_in_one_log_and_one_program() -> None:
    parts = {"tenant": "acorn", "fold": "f", "seq": 7, "log_hash": bytes(32), "body": b"live"}
    others = [{"tenant": "birch"}, {"fold": "g"}, {"seq": 8}, {"log_hash": bytes(31) + b"x"}, {"body": b"else"}]
    macs = {signing.snapshot_mac(key=KEY, **(parts | each)) for each in [{}, *others]}
    assert len(macs) == 1 + len(others)


def test_a_capability_is_of_one_use_and_a_part_holds_no_separator() -> None:
    parts = {"tenant": "acorn", "strategy": "mean", "account_id": "anna", "scope": "trade", "key_version": 1}
    others = [{"account_id": "ben"}, {"scope": "read"}, {"tenant": "birch"}, {"strategy": "x"}, {"key_version": 2}]
    assert len({signing.capability_mac(key=KEY, **(parts | each)) for each in [{}, *others]}) == 1 + len(others)
    with pytest.raises(AssertionError):
        signing.capability_mac(key=KEY, **(parts | {"account_id": "anna\x1ftrade"}))


@pytest.mark.parametrize("secret", ["", "short", "k" * 64])
def test_a_signature_is_the_hmac_that_everybody_else_computes(secret: str) -> None:
    signer = signing.Signer(secret=secret)
    for body in (b"", b"{}", b"x" * 1_000):
        expected = hmac.new(secret.encode(), b"1700000000." + body, "sha256").hexdigest()
        assert signer.signature(timestamp="1700000000", body=body) == expected
        assert signing.signature(secret=secret, timestamp="1700000000", body=body) == expected


@pytest.mark.parametrize("name", [name for name in ROW if name != "prev_hash"])
def test_inv_09_the_hash_covers_every_column(name: str) -> None:
    value = ROW[name]
    changed = value + 1 if isinstance(value, int) else value + value[:1]
    assert event_hash(**ROW) != event_hash(**(ROW | {name: changed}))


def test_inv_12_nothing_ever_trims_a_stream() -> None:
    """An entry goes by XDEL once it was acknowledged, never because there are many: no MAXLEN, no XTRIM (D11)."""
    root = Path(__file__).resolve().parents[2]
    trims = re.compile(r"xtrim|xadd\([^)]*(maxlen|minid|limit)\s*=", re.IGNORECASE | re.DOTALL)
    sources = [path for package in ("piggy", "apps") for path in (root / package).rglob("*.py")]
    assert len(sources) > 100
    assert [str(path) for path in sources if trims.search(path.read_text())] == []
