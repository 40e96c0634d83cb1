"""Receipts: what they say of an order, and that whatever is altered in one is found by a script without us."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from piggy.core.events import AnyEvent, OrderAccepted
from piggy.core.orders import Side
from piggy.messaging import codec, receipts
from piggy.messaging.chain import FIRST_HASH, event_hash
from tests.adapters import mutations
from tests.core.floor import Floor

SCRIPT = Path(receipts.__file__)


def rows(floor: Floor, order_id: str) -> list[dict[str, Any]]:
    """The order's rows as the log would hold them, every event of the floor chained to the one before."""
    found, before = [], FIRST_HASH
    for each in floor.log:
        row: dict[str, Any] = {
            "seq": each.seq, "command_id": each.command_id, "position": each.position, "version": 2,
            "principal": each.principal, "request_hash": each.request_hash, "occurred_at_us": each.occurred_at_us,
            "recorded_at_us": each.recorded_at_us, "recorded_mono_ns": 0,
        }  # fmt: skip
        name, payload = type(each.event).__name__, codec.encode(each.event)
        digest = event_hash(prev_hash=before, type_name=name, payload=payload, **row)
        row |= {"type": name, "payload": payload.hex(), "prev_hash": before.hex(), "hash": digest.hex()}
        before = digest
        if getattr(each.event, "order_id", "") == order_id:
            found.append(row)
    return found


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """LP1 refuses, LP2 fills half a point worse while the market moves a point: all of it in one receipt."""
    floor = Floor()
    floor.place("a1", Side.BUY, "1")
    order_id = floor.children()[0].order_id
    floor.now_us += 4_000
    floor.reject(floor.children()[0])
    floor.now_us += 6_000
    floor.quotes("0.00010")
    floor.fill(floor.children()[0], "1.10025")
    return receipts.receipt(tenant="acorn", order_id=order_id, events=rows(floor, order_id))


def test_a_receipt_says_what_every_lp_quoted_each_attempt_and_the_slippage_in_parts(told: dict[str, Any]) -> None:
    execution = told["execution"]
    first, second = execution["decisions"]
    quoted = {seen["venue"]: (seen["price"], seen["rank"], seen["quote_age_ms"]) for seen in first["quotes"]}
    assert quoted == {"LP1": ("1.10010", 1, 0), "LP2": ("1.10011", 2, 0), "LP3": ("1.10012", 3, 0)}
    assert (first["rule"], first["version"]) == ("group a: A", 1)
    assert next(seen for seen in second["quotes"] if seen["venue"] == "LP1")["text"] == "refused this order"
    refused, filled = execution["legs"]
    assert (refused["venue"], refused["outcome"], refused["code"]) == ("LP1", "rejected", "99")
    assert (filled["venue"], filled["outcome"], filled["answered_after_us"]) == ("LP2", "filled", 6_000)
    assert filled["fills"][0]["price"] == "1.10025"
    (fill,) = execution["fills"]
    assert fill["delay_us"] == 10_000
    parts = {name: Decimal(value) for name, value in fill["slippage"].items()}
    assert parts["market"] == Decimal("0.00010"), "LP1's offer went from 1.10010 to 1.10020"
    assert parts["latency"] == Decimal("0.00005"), "filled at 1.10025 when 1.10020 was the best"
    assert parts["markup"] == Decimal("0.00003"), "the group's three points"
    assert parts["total"] == parts["market"] + parts["latency"] + parts["markup"]
    totals = execution["totals"]
    assert (totals["attempts"], totals["rejects"], totals["arrival_price"]) == (2, 1, "1.10010")
    assert receipts.faults(told=told) == []


def test_its_own_reader_of_payloads_reads_as_the_codec_does(told: dict[str, Any]) -> None:
    for entry in told["entries"]:
        payload = bytes.fromhex(entry["payload"])
        event: AnyEvent = codec.decode_event(payload)
        read = receipts.unpack(payload)
        assert read["type"] == type(event).__name__
        whole = json.loads(msgspec.json.encode(event))
        for name, value in read.items():
            if name not in ("routing", "type"):
                assert value == whole[name], name
        if isinstance(event, OrderAccepted):
            venues = receipts.unpack(bytes.fromhex(read["routing"]["venues"]))
            assert [row[0] for row in venues] == [seen.venue for seen in event.routing.considered]


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every leaf of a receipt."""
    if isinstance(value, dict):
        return [path for key in value for path in paths(value[key], (*at, key))]
    if isinstance(value, list):
        return [path for number, each in enumerate(value) for path in paths(each, (*at, number))]
    return [at]


def test_whatever_leaf_is_altered_is_found(told: dict[str, Any]) -> None:
    every = paths(told)
    assert len(every) > 150
    for path in every:
        altered = copy.deepcopy(told)
        place = altered
        for key in path[:-1]:
            place = place[key]
        value = place[path[-1]]
        if isinstance(value, str) and path[0] == "entries" and len(value) > 16:
            place[path[-1]] = value[:9] + ("0" if value[9] != "0" else "1") + value[10:]
        else:
            place[path[-1]] = value + 1 if isinstance(value, int) else f"{value}0"
        assert receipts.faults(told=altered), path


def test_whatever_stands_in_a_field_of_the_wrong_kind_is_found_and_breaks_nothing(told: dict[str, Any]) -> None:
    """Who checks a receipt did not make it: gone, null, another kind, endless."""
    odd = (mutations.GONE, None, "?", [], {}, "9" * 500, True, 10**90, 1e300)
    for place in list(mutations.places(told))[::7]:
        for value in odd:
            altered = mutations.changed(told, place, value)
            if altered != told:
                assert receipts.faults(told=altered), (place, value)


def test_an_event_left_out_moved_or_borrowed_is_found(told: dict[str, Any]) -> None:
    for change in (
        lambda entries: entries.pop(2),
        lambda entries: entries.append(entries[1]),
        lambda entries: entries.reverse(),
    ):
        altered = copy.deepcopy(told)
        change(altered["entries"])
        assert receipts.faults(told=altered)
    floor = Floor()
    floor.place("a1", Side.BUY, "1")
    floor.place("a1", Side.BUY, "1")
    mixed = rows(floor, "O000000001") + rows(floor, "O000000002")
    assert any(
        "another order" in fault
        for fault in receipts.faults(told=receipts.receipt(tenant="acorn", order_id="O000000001", events=mixed))
    )


def test_events_in_another_order_than_the_logs_are_no_receipt_though_all_its_sums_are_right() -> None:
    floor = Floor()
    floor.place("a1", Side.BUY, "1")
    events = rows(floor, "O000000001")
    for wrong in (events[::-1], [*events, events[-1]]):
        told = receipts.receipt(tenant="acorn", order_id="O000000001", events=wrong)
        assert receipts.faults(told=told) == ["the events are not in the order of the log"]


@pytest.mark.parametrize("sign", [1, -1])
def test_its_own_reader_reads_numbers_and_texts_of_every_size(sign: int) -> None:
    for bits in range(64):
        for number in (sign * (1 << bits), sign * (1 << bits) - 1):
            if -(2**63) <= number < 2**64:
                assert receipts.unpack(msgspec.msgpack.encode(number)) == number
    for size in (0, 31, 32, 255, 256, 65_535, 65_536):
        value = {"text": "x" * size, "list": [None] * size, "map": {str(each): True for each in range(size)}}
        assert receipts.unpack(msgspec.msgpack.encode(value)) == value
        assert receipts.unpack(msgspec.msgpack.encode(b"\x07" * size)) == "07" * size


@pytest.mark.parametrize("payload", [b"\xc0\xc0", b"\x81\xa1a\x01\x00", b"\xca\x00\x00\x00\x00"])
def test_what_goes_on_after_its_end_or_holds_a_float_is_no_payload(payload: bytes) -> None:
    with pytest.raises(ValueError):
        receipts.unpack(payload)


def test_the_script_runs_alone_and_needs_nothing_of_the_project(told: dict[str, Any], tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(told))
    bad.write_text(json.dumps(told).replace('"1.10025"', '"1.10015"'))
    script = tmp_path / "check.py"
    script.write_text(SCRIPT.read_text())
    alone = [sys.executable, "-I", "-S", str(script)]
    done = subprocess.run([*alone, str(good)], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"good, receipt hash {told['receipt_hash']}" in done.stdout
    (torn := tmp_path / "torn.json").write_text(good.read_text()[:100])
    paths = [str(good), str(torn), str(tmp_path / "nowhere"), str(bad)]
    refused = subprocess.run([*alone, *paths], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr, refused.stdout.count("cannot be read")) == (3, "", 2)
    assert "not what the events say" in refused.stdout
