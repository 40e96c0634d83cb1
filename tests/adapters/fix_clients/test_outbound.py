"""Events as they are recorded -> ExecutionReports that a strict FIX 4.4 dictionary and another reader understand."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
import pytest
import quickfix as fix

from piggy.adapters.fix.dictionary import installed_path
from piggy.adapters.fix.messages import SOH, fields
from piggy.adapters.fix_clients import outbound
from piggy.adapters.fix_clients.outbound import Copy, next_copy
from piggy.adapters.fix_clients.session import frame
from piggy.core import events as ev
from piggy.core.correction_events import OrderFillBusted
from piggy.core.events import Check, Recorded, RoutingDecision, Verdict
from piggy.core.orders import OrderTerms, OrderType, Side, TimeInForce
from piggy.messaging import codec

UNITS = Decimal(100_000)
TERMS = OrderTerms(
    account_id="A1",
    symbol="EURUSD",
    side=Side.BUY,
    quantity=Decimal("1.5"),
    type=OrderType.LIMIT,
    limit_price=Decimal("1.10000"),
    time_in_force=TimeInForce.GTC,
    client_order_id="c-1",
)
ROUTING = RoutingDecision(
    rule="group",
    version=1,
    mode="B",
    a_quantity=Decimal(0),
    b_quantity=Decimal("1.5"),
    cross_quantity=Decimal(0),
    text="kept",
)


def verdict(*, passed: bool) -> Verdict:
    check = Check(code="P-17", passed=passed, text="free margin is short\x01of it")
    return Verdict(terms_hash="0" * 64, config_version=1, checks=(check,))


def accepted() -> ev.OrderAccepted:
    return ev.OrderAccepted(
        order_id="O1", terms=TERMS, source="fix", group="b", verdict=verdict(passed=True), routing=ROUTING
    )


def filled(quantity: str, price: str, fill_id: str, leaves: str) -> ev.OrderFilled:
    return ev.OrderFilled(
        order_id="O1",
        account_id="A1",
        fill_id=fill_id,
        symbol="EURUSD",
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(price),
        raw_price=Decimal(price),
        book="B",
        counterparty="house",
        leaves=Decimal(leaves),
        realised=Decimal(0),
        realised_quote=Decimal(0),
        commission=Decimal(0),
        conversion_rate=Decimal(1),
        position_id="A1:EURUSD",
        margin_per_lot=Decimal(0),
    )


def busted(quantity: str, price: str, fill_id: str) -> OrderFillBusted:
    return OrderFillBusted(
        order_id="O1",
        account_id="A1",
        fill_id=fill_id,
        symbol="EURUSD",
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(price),
        raw_price=Decimal(price),
        book="A",
        counterparty="LP1",
        cl_ord_id="O1-LP1-1",
        venue_fill_id="x",
        position_id="A1:EURUSD",
        position=None,
        realised=Decimal(0),
        realised_quote=Decimal(0),
        commission=Decimal(0),
        commission_accrued=Decimal(0),
        markup_revenue=Decimal(0),
        conversion_rate=Decimal(1),
        reason="busted by the venue",
    )


def told(*events: Any, names: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """Fold events, each through the log's own bytes, and read the reports."""
    previous: Copy | None = None
    reports = []
    for seq, event in enumerate(events, start=11):
        recorded = Recorded(
            seq=seq,
            command_id="c",
            position=0,
            principal="user:1",
            request_hash="",
            occurred_at_us=1_700_000_000_000_000,
            recorded_at_us=1_700_000_000_123_000,
            recorded_mono_ns=1,
            event=codec.decode_event(codec.encode(event)),
        )
        name = names[seq - 11] if seq - 11 < len(names) else ""
        copy = next_copy(previous=previous, recorded=recorded, cl_ord_id=name)
        if copy is not None:
            previous = copy
            reports.append(strict(outbound.execution_report(copy=copy, units=UNITS)))
    return reports


@cache
def standard() -> fix.DataDictionary:
    return fix.DataDictionary(str(installed_path()))


def strict(body: str, kind: str = "8") -> dict[str, str]:
    """Read a message as QuickFIX does with FIX 4.4's own dictionary, which refuses what the standard does not know."""
    raw = frame(kind=kind, number=2, sender="ACORN", target="C1", sent="20260101-00:00:00.000", body=body).decode()
    dictionary = standard()
    message = fix.Message(raw, dictionary, True)
    dictionary.validate(message)
    return fields(raw)


def test_an_order_that_fills_in_two_parts_is_told_in_units_with_its_average() -> None:
    new, first, last = told(accepted(), filled("0.5", "1.10000", "f1", "1"), filled("1", "1.09997", "f2", "0"))
    assert (new["150"], new["39"], new["11"], new["37"], new["1"]) == ("0", "0", "c-1", "O1", "A1")
    assert (new["38"], new["151"], new["14"], new["6"], new["44"], new["40"], new["59"]) == (
        "150000", "150000", "0", "0", "1.1", "2", "1",
    )  # fmt: skip
    assert (first["150"], first["39"], first["32"], first["31"], first["151"]) == ("F", "1", "50000", "1.1", "100000")
    assert (last["39"], last["14"], last["151"], last["6"]) == ("2", "150000", "0", "1.09998")
    assert [each["17"] for each in (new, first, last)] == ["11", "12", "13"], "an ExecID is the event's seq"
    assert last["60"] == "20231114-22:13:20.123"


def test_a_trailing_stop_says_how_far_it_trails_and_where_it_stands() -> None:
    terms = msgspec.structs.replace(
        TERMS, type=OrderType.TRAILING_STOP, limit_price=None, stop_price=Decimal("1.105"),
        trailing_distance=Decimal("0.0050"),
    )  # fmt: skip
    follows = ev.OrderAmended(
        order_id="O1", quantity=Decimal("1.5"), limit_price=None, stop_price=Decimal("1.104"), keeps_priority=True
    )
    new, moved = told(msgspec.structs.replace(accepted(), terms=terms), follows)
    assert (new["40"], new["18"], new["211"], new["99"]) == ("P", "a", "0.005", "1.105")
    assert (moved["150"], moved["211"], moved["99"]) == ("5", "0.005", "1.104")


def test_a_denied_order_says_why_and_no_text_ends_its_field() -> None:
    denied = ev.OrderDenied(order_id="O1", terms=TERMS, source="fix", verdict=verdict(passed=False))
    (report,) = told(denied)
    assert (report["150"], report["39"], report["103"], report["151"]) == ("8", "8", "99", "0")
    assert report["58"] == "free margin is short?of it"


def test_what_was_asked_is_said_back_no_longer_and_no_stranger_than_it_may_be() -> None:
    odd = {"34": "7", "35": "Z" * 5_000, "11": "\u00e9" * 3}
    body = fields(outbound.business_reject(values=odd, reason="3", text="x"))
    assert (len(body["372"]), body["379"]) == (200, "???")


def test_an_id_from_another_door_cannot_add_a_field_to_a_report() -> None:
    """Over the API a client's own id may hold anything; a regulator's copy of the report must say what happened."""
    terms = msgspec.structs.replace(TERMS, client_order_id=f"c{SOH}39=2{SOH}14=1000000")
    (report,) = told(msgspec.structs.replace(accepted(), terms=terms))
    assert (report["11"], report["39"], report["14"]) == ("c?39=2?14=1000000", "0", "0")


def test_a_symbol_that_nobody_has_cannot_add_a_fill_to_a_report() -> None:
    """An order of it is denied, and its denial is told to every drop copy."""
    terms = msgspec.structs.replace(TERMS, symbol=f"X{SOH}150=F{SOH}32=5000{SOH}31=9")
    (report,) = told(ev.OrderDenied(order_id="O1", terms=terms, source="api", verdict=verdict(passed=False)))
    assert (report["55"], report["150"]) == ("X?150=F?32=5000?31=9", "8")
    assert not {"31", "32"} & report.keys()


def test_a_replacement_and_a_cancel_go_by_the_ids_they_were_asked_under() -> None:
    amended = ev.OrderAmended(
        order_id="O1", quantity=Decimal(2), limit_price=Decimal("1.2"), stop_price=None, keeps_priority=False
    )
    ended = ev.OrderCancelled(order_id="O1", outcome="cancelled", leaves=Decimal(2), reason="asked by the client")
    _, replaced, cancelled = told(accepted(), amended, ended, names=("", "c-2", "c-3"))
    assert (replaced["150"], replaced["39"], replaced["11"], replaced["41"]) == ("5", "0", "c-2", "c-1")
    assert (replaced["38"], replaced["44"]) == ("200000", "1.2")
    assert (cancelled["150"], cancelled["39"], cancelled["11"], cancelled["41"]) == ("4", "4", "c-3", "c-2")
    assert cancelled["151"] == "0"


def test_a_replacement_tells_how_long_it_works_now_and_no_year_that_no_calendar_has() -> None:
    till = msgspec.structs.replace(TERMS, time_in_force=TimeInForce.GTD, expires_at_us=1_893_456_000_000_000)
    for_ever = msgspec.structs.replace(till, expires_at_us=1 << 62)
    for_good = msgspec.structs.replace(TERMS, time_in_force=TimeInForce.GTC)
    amended = [
        ev.OrderAmended(
            order_id="O1", quantity=Decimal(2), limit_price=None, stop_price=None, keeps_priority=True, terms=terms
        )
        for terms in (till, for_ever, for_good)
    ]
    _, *reports = told(accepted(), *amended)
    assert [(each["59"], each.get("126")) for each in reports] == [
        ("6", "20300101-00:00:00.000"), ("6", "99991231-23:59:59.999"), ("1", None),
    ]  # fmt: skip


@pytest.mark.parametrize(("outcome", "kind"), [("cancelled", "4"), ("expired", "C"), ("rejected", "8")])
def test_an_order_that_ends_by_itself_keeps_its_id(outcome: str, kind: str) -> None:
    ended = ev.OrderCancelled(order_id="O1", outcome=outcome, leaves=Decimal("1.5"), reason="the day is over")
    report = told(accepted(), ended)[-1]
    assert (report["150"], report["39"], report["11"]) == (kind, kind, "c-1")
    assert "41" not in report


def test_a_stop_that_is_touched_is_told() -> None:
    touched = ev.OrderTriggered(order_id="O1", bid=Decimal(1), ask=Decimal(1), stop_price=Decimal(1))
    report = told(accepted(), touched)[-1]
    assert (report["150"], report["378"], report["58"]) == ("D", "99", "triggered")


def test_a_bust_names_the_report_it_takes_back_and_a_correction_follows_as_a_fill() -> None:
    """A correction is recorded as a bust and a fill in its place, and is told as both (35=8, 150=H then F)."""
    reports = told(
        accepted(), filled("1.5", "1.1", "f1", "0"), busted("1.5", "1.1", "f1"), filled("1.5", "1.2", "f1/G", "0")
    )
    bust, again = reports[-2:]
    assert (bust["150"], bust["19"], bust["14"], bust["6"], bust["39"]) == ("H", "12", "0", "0", "4")
    assert (again["150"], again["14"], again["6"], again["39"]) == ("F", "150000", "1.2", "2")


def test_what_no_client_asks_about_is_told_to_nobody() -> None:
    created = ev.ChildOrderCreated(
        order_id="O1",
        cl_ord_id="O1-LP1-1",
        venue="LP1",
        symbol="EURUSD",
        side=Side.BUY,
        quantity=Decimal(1),
        limit_price=Decimal(1),
        time_in_force="ioc",
        attempt=1,
    )
    assert len(told(accepted(), created)) == 1
    assert told(filled("1", "1.1", "f1", "0")) == [], "a fill of an order that was never told has nothing to follow"


def test_status_and_refusals_are_of_the_standard_too() -> None:
    copy = next_copy(
        previous=None,
        recorded=Recorded(
            seq=1, command_id="c", position=0, principal="", request_hash="", occurred_at_us=1, recorded_at_us=1,
            recorded_mono_ns=1, event=accepted(),
        ),
    )  # fmt: skip
    assert copy is not None
    status = strict(outbound.order_status(copy=copy, units=UNITS, asked="m1", total=2, last=False))
    assert (status["150"], status["39"], status["584"], status["911"], status["912"]) == ("I", "0", "m1", "2", "N")
    asked = {"35": "F", "34": "7", "11": "c-9", "41": "c-8", "55": "EURUSD", "54": "2", "38": "5"}
    no_order = outbound.refused(cl_ord_id="c-9", values=asked, reason="5", text="none", at_us=1, status=True)
    assert strict(no_order)["39"] == "8"
    refusal = strict(outbound.cancel_refused(values=asked, order_id="NONE", status="8", text="Unknown"), "9")
    assert (refusal["434"], refusal["102"], refusal["37"]) == ("1", "1", "NONE")
    business = strict(outbound.business_reject(values=asked, reason="3", text="no"), "j")
    assert (business["45"], business["372"], business["380"]) == ("7", "F", "3")
    assert SOH not in outbound.clean("a\x01b")
