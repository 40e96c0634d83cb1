"""A client's receipt holds no figures of others, and the whole one proves what stood in their place."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from piggy.core import controls_flow as flow
from piggy.core.events import AmendmentDenied, AnyEvent, Check, OrderCancelled, OrderDenied, Verdict
from piggy.core.orders import OrderTerms, Side
from piggy.messaging import codec, receipts
from piggy.messaging.chain import FIRST_HASH, event_hash
from piggy.messaging.withholding import for_client, salt_of
from tests.core import gate_cases

FIRST = b"\x07" * 32
TERMS = OrderTerms(account_id="a1", symbol="EURUSD", side=Side.BUY, quantity=Decimal(1))
FIRM = Check(code="P-19", passed=False, value="81234567.25", limit="80000000", text="the firm's exposure is too large")
OWN = Check(code="P-20", passed=False, value="912.5", limit="900", text="the account lost too much today")
PASSED = Check(code="P-14", passed=True, value="3", limit="50")
SIGNED_FOR = msgspec.structs.replace(FIRM, passed=True, text="overridden by 4: the firm's exposure is too large")
SECRETS = ("81234567.25", "80000000")


def rows(*events: AnyEvent) -> list[dict[str, Any]]:
    """The events as the log would hold them, one after the other."""
    found, before = [], FIRST_HASH
    for seq, event in enumerate(events, start=41):
        row: dict[str, Any] = {
            "seq": seq, "command_id": f"c{seq}", "position": 0, "version": 2, "principal": "user:1",
            "request_hash": "", "occurred_at_us": 1, "recorded_at_us": 2, "recorded_mono_ns": 987_654_321,
        }  # fmt: skip
        name, payload = type(event).__name__, codec.encode(event)
        digest = event_hash(prev_hash=before, type_name=name, payload=payload, **row)
        found.append({**row, "type": name, "payload": payload.hex(), "prev_hash": before.hex(), "hash": digest.hex()})
        before = digest
    return found


def denied(*checks: Check) -> OrderDenied:
    return OrderDenied(order_id="O1", terms=TERMS, source="api", verdict=verdict(*checks))


def verdict(*checks: Check) -> Verdict:
    return Verdict(terms_hash="0" * 64, config_version=1, checks=checks)


def shown(events: list[dict[str, Any]]) -> dict[str, Any]:
    told = for_client(events=events, first_hash=FIRST)
    return receipts.receipt(tenant="acorn", order_id="O1", events=told)


def whole(events: list[dict[str, Any]]) -> dict[str, Any]:
    opens = {str(each["seq"]): salt_of(first_hash=FIRST, seq=each["seq"]) for each in events}
    return receipts.receipt(tenant="acorn", order_id="O1", events=events, opens=opens)


def test_a_client_reads_why_he_was_denied_and_no_figure_that_is_not_his() -> None:
    events = rows(denied(PASSED, FIRM, OWN))
    told = shown(events)
    assert (told["format"], receipts.faults(told=told)) == (2, [])
    (entry,) = told["entries"]
    read = receipts.unpack(bytes.fromhex(entry["payload"]))["verdict"]["checks"]
    assert [check[0] for check in read] == ["P-14", "P-19", "P-20"]
    assert read[1] == ["P-19", False, "", "", "the firm's exposure is too large"]
    assert read[0][2:4] == ["3", "50"] and read[2][2:4] == ["912.5", "900"], "his own are his"
    everything = json.dumps(told) + str(read)
    for secret in (*SECRETS, *(each.encode().hex() for each in SECRETS)):
        assert secret not in everything
    assert events[0]["hash"] not in everything, "few digits can be tried until the hash is right"
    assert salt_of(first_hash=FIRST, seq=41) not in everything
    assert not {"prev_hash", "hash", "recorded_mono_ns"} & entry.keys()


def test_what_has_no_such_figure_is_told_as_ever() -> None:
    events = rows(denied(PASSED, OWN), denied(msgspec.structs.replace(FIRM, value="", limit="")))
    told = shown(events)
    assert told == receipts.receipt(tenant="acorn", order_id="O1", events=events)
    assert (told["format"], receipts.faults(told=told)) == (1, [])


def test_an_override_tells_no_figure_either_and_only_its_event_is_sealed() -> None:
    change = AmendmentDenied(order_id="O1", account_id="a1", terms=TERMS, verdict=verdict(SIGNED_FOR))
    told = shown(rows(denied(OWN), change))
    assert ["seal" in entry for entry in told["entries"]] == [False, True]
    assert receipts.faults(told=told) == []


def test_what_follows_a_sealed_event_names_its_hash_and_is_sealed_until_there_is_a_gap() -> None:
    """An order let through is accepted and dealt by one command: one clock, and each row has the hash before it."""
    cancelled = OrderCancelled(order_id="O1", outcome="cancelled", leaves=Decimal(1), reason="")
    events = rows(denied(OWN), denied(SIGNED_FOR), cancelled, cancelled, cancelled)
    del events[3]
    told = shown(events)
    assert ["seal" in entry for entry in told["entries"]] == [False, True, True, False]
    everything = json.dumps(told)
    assert events[1]["hash"] not in everything and events[2]["hash"] not in everything
    assert [entry["payload"] for entry in told["entries"][2:]] == [event["payload"] for event in events[2:]]
    assert receipts.faults(told=told) == []
    assert receipts.unlike(told=told, whole=whole(events)) == []
    another = msgspec.structs.replace(cancelled, leaves=Decimal(2))
    altered = rows(denied(OWN), denied(SIGNED_FOR), another, cancelled, cancelled)
    del altered[3]
    assert receipts.unlike(told=shown(altered), whole=whole(events)) != []


def test_a_verdict_of_the_first_version_named_its_fields() -> None:
    (event,) = rows(denied(OWN))
    body = msgspec.msgpack.decode(bytes.fromhex(event["payload"]))
    body["verdict"]["checks"] = [msgspec.structs.asdict(check) for check in (FIRM, OWN)]
    event["payload"] = msgspec.msgpack.encode(body).hex()
    (sealed,) = for_client(events=[event], first_hash=FIRST)
    told, own = receipts.unpack(bytes.fromhex(sealed["payload"]))["verdict"]["checks"]
    assert (told["value"], told["limit"], told["text"]) == ("", "", FIRM.text)
    assert own["value"] == "912.5"


def test_what_passes_by_itself_tells_the_accounts_own_figures() -> None:
    """Else those of the firm would stand in every order's receipt: the account's pair is the last of each check."""
    rates = {"account_messages": 1, "tenant_messages": 2, "venue_messages": 3}
    exposures = {f"exposure_{whose}": Decimal(at) for at, whose in enumerate(("account", "tenant", "venue", "firm"), 4)}
    losses = {"loss_today_account": Decimal(8), "loss_today_tenant": Decimal(9)}
    context = gate_cases.context(**rates, **exposures, **losses)
    checks = [check(context=context) for check in (flow.message_rate, flow.exposure_caps, flow.daily_loss)]
    assert [(check.passed, check.value) for check in checks] == [(True, "2"), (True, "4"), (True, "8")]


def test_the_whole_receipt_opens_the_seal_and_finds_whatever_was_altered(tmp_path: Path, capsys: Any) -> None:
    events = rows(denied(PASSED, FIRM), denied(OWN))
    mine, theirs = tmp_path / "client.json", tmp_path / "whole.json"

    def held(told: dict[str, Any], against: dict[str, Any]) -> tuple[int, str]:
        mine.write_text(json.dumps(told))
        theirs.write_text(json.dumps(against))
        return receipts.main([str(mine), str(theirs)]), capsys.readouterr().out

    code, said = held(shown(events), whole(events))
    assert code == 0 and "2 of its events are sealed" in said and "what the whole receipt says" in said
    another = rows(denied(PASSED, msgspec.structs.replace(FIRM, value="1")), denied(OWN))
    for told, against in (
        (shown(events), whole(another)),
        (shown(rows(denied(PASSED, msgspec.structs.replace(FIRM, text="another reason")), denied(OWN))), whole(events)),
        (shown(events), whole(events[:1])),
        (shown(rows(denied(PASSED, FIRM), denied(OWN, OWN))), whole(events)),
        (shown(events), whole(events) | {"opens": {}}),
        (shown(events), whole(events) | {"opens": {"41": "x"}}),
    ):
        assert receipts.faults(told=told) == [], "by itself it is whole"
        assert held(told, against)[0] == 3


@pytest.mark.parametrize("name", ["seal", "payload", "type", "principal", "recorded_at_us"])
def test_a_sealed_event_that_is_altered_left_out_or_added_to_is_found(name: str) -> None:
    told = shown(rows(denied(FIRM)))
    for value in (None, 7, "", "00", told["entries"][0][name] * 2):
        altered = copy.deepcopy(told)
        altered["entries"][0][name] = value
        assert receipts.faults(told=altered), value
    for change in ({"hash": "00" * 32}, {"more": 1}):
        events = [{**event, **change} for event in for_client(events=rows(denied(FIRM)), first_hash=FIRST)]
        assert receipts.faults(told=receipts.receipt(tenant="acorn", order_id="O1", events=events))
    assert receipts.faults(told={**told, "format": 1}), "what is not sealed by its format is no event of the log"
    assert receipts.faults(told={**told, "format": 3})
