"""A signal's body: read fast where it is plain, strictly where it is not, and the same either way."""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from piggy.core import commands as cmd
from piggy.core.accounts import PositionMode, Strategy
from piggy.core.commands import PlaceOrder
from piggy.core.events import CommandRefused
from piggy.core.orders import Side
from piggy.engine import signals
from piggy.engine.signals import Signal, UnableToAcceptSignal
from tests.core.floor import Floor

BODY = {"id": "1", "symbol": "EURUSD", "action": "buy", "quantity": "0.10"}


def refusal(body: bytes) -> tuple[int, str]:
    with pytest.raises(UnableToAcceptSignal) as caught:
        signals.parse(body=body)
    return caught.value.status, caught.value.field


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=50), st.booleans())
def test_any_comment_reads_the_same_escaped_and_plain(comment: str, escaped: bool) -> None:
    text = json.dumps(BODY | {"comment": comment}, ensure_ascii=escaped)
    if "\0" in comment:
        assert refusal(text.encode()) == (400, "")
    else:
        assert signals.parse(body=text.encode()) == Signal(
            id="1", symbol="EURUSD", action="buy", quantity="0.10", comment=comment
        )


def test_a_text_that_only_looks_like_nul_is_a_text() -> None:
    body = json.dumps(BODY | {"comment": "\\u0000"}).encode()
    assert signals.parse(body=body).comment == "\\u0000"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b'{"id":"1","symbol":"EURUSD","action":"buy","quantity":"1","quantity":"2"}', 400, ""),
        (b'{"id":"1","symbol":"EURUSD","action":"buy","quantity":"1","quantit\\u0079":"2"}', 400, ""),
        (b'{"id":"\\ud800","symbol":"EURUSD","action":"buy","quantity":"1"}', 400, ""),
        (b'{"id":"\xed\xa0\x80","symbol":"EURUSD","action":"buy","quantity":"1"}', 400, ""),
        (b'\xef\xbb\xbf{"id":"1","symbol":"EURUSD","action":"buy","quantity":"1"}', 400, ""),
        (b"", 400, ""),
        (b"{}", 400, "id"),
        (b'["id"]', 400, ""),
        (b'{"id":"1","symbol":"EURUSD","action":"buy","quantity":1}', 400, "quantity"),
        (b'{"id":"1","symbol":"EURUSD","action":"buy","quantity":"1","x":"y"}', 400, "x"),
        (b'{"id":"","symbol":"EURUSD","action":"buy","quantity":"1"}', 422, "id"),
        (b'{"id":"1","symbol":"EURUSD","action":"flat","price":"null"}', 422, "price"),
    ],
    ids=[
        "twice",
        "escaped-twice",
        "half",
        "raw-half",
        "mark",
        "empty",
        "none",
        "array",
        "number",
        "unknown",
        "no-id",
        "no-price",
    ],
)
def test_what_is_no_signal_is_refused_by_the_name_of_its_field(body: bytes, status: int, field: str) -> None:
    assert refusal(body) == (status, field)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"id":[' + b"{}," * 80_000 + b"{}]}", "id"),
        (b"[" + b"{}," * 80_000 + b"{}]", ""),
        (b'{"id":"\\u0031"' + b',"a":""' * 30_000 + b"}", "a"),
        (b"{" + b'"":"",' * 40_000 + b'"":""}', ""),
    ],
    ids=["nested", "array", "escaped", "many"],
)
def test_f_32_a_large_body_that_is_no_signal_takes_no_longer_than_another(
    body: bytes, field: str, monkeypatch: Any
) -> None:
    """The strict reader needs a tenth of a second for some, in which nobody else is served."""
    monkeypatch.setattr(signals, "json", None)
    assert refusal(body) == (400, field)
    assert signals.id_of(body=body) == ""


def test_a_large_signal_is_still_read_strictly() -> None:
    """A comment may be as long as a body."""
    body = json.dumps(BODY | {"comment": "\\" * 9_000}).encode()
    assert len(signals.parse(body=body).comment) == 9_000
    assert refusal(body[:-1] + b',"id":"2"}') == (400, "")
    assert refusal(body.replace(b'"comment": "', b'"comment": "\\ud800')) == (400, "")
    assert refusal(body[:-9] + b"\xff" + body[-9:]) == (400, "")


@pytest.mark.parametrize(
    ("field", "choices"),
    [("action", "buy, sell, flat, close, reverse"), ("type", "market, limit, stop"), ("before", "long, short, flat")],
)
def test_a_word_that_is_none_of_ours_hears_which_are(field: str, choices: str) -> None:
    with pytest.raises(UnableToAcceptSignal) as refused:
        signals.parse(body=json.dumps(BODY | {field: "BUY"}).encode())
    told = refused.value
    assert (told.status, told.field, str(told)) == (422, field, f"{field} must be one of {choices}.")


@pytest.mark.parametrize(
    ("field", "text", "left"),
    [
        ("id", "{{strategy.order.id}} EURUSD 2030-01-01T00:00:00Z", "{{strategy.order.id}}"),
        ("action", "{{strategy.order.action}}", "{{strategy.order.action}}"),
        ("quantity", "{{strategy.order.contracts}}", "{{strategy.order.contracts}}"),
        ("before", "{{strategy.prev_market_position}}", "{{strategy.prev_market_position}}"),
        ("symbol", "{{ ticker }}", "{{ ticker }}"),
    ],
)
def test_inv_24_a_placeholder_that_nobody_filled_in_is_named(field: str, text: str, left: str) -> None:
    """As an id it would be the same in every alert, and all but the first would hear the first one's answer."""
    for body in (BODY | {field: text}, BODY | {field: text, "comment": "\\"}):
        with pytest.raises(UnableToAcceptSignal) as caught:
            signals.parse(body=json.dumps(body).encode())
        assert (caught.value.status, caught.value.field) == (422, field)
        assert str(caught.value) == f"{field} holds {left}, which the chart service did not fill in."


def test_braces_that_hold_no_placeholder_are_text() -> None:
    for other in ({"comment": "{{plot_0}}"}, {"id": "{{ 1"}, {"id": "{{}"}):
        assert signals.parse(body=json.dumps(BODY | other).encode())
    assert refusal(b'["{{id}}"]') == (400, "")


def test_a_plain_body_takes_the_short_way(monkeypatch: Any) -> None:
    monkeypatch.setattr(signals, "_strict", None)
    assert signals.parse(body=json.dumps(BODY).encode()).quantity == "0.10"


DECIMALS = st.sampled_from(["", "0", "0.1", "1.", "null", "NaN", "1e3", "-1", "9" * 13, "0.00000000001", "\u0663"])


@given(
    st.sampled_from(["buy", "sell", "flat", "close", "reverse"]),
    st.sampled_from(["market", "limit", "stop"]),
    DECIMALS,
    DECIMALS,
)
def test_whatever_is_let_through_can_be_decided(action: str, kind: str, quantity: str, price: str) -> None:
    """What fails in the making of its command would be answered 503 for ever, and a close would never come."""
    body = {"id": "1", "symbol": "EURUSD", "action": action, "type": kind, "quantity": quantity, "price": price}
    try:
        signal = signals.parse(body=json.dumps(body).encode())
    except UnableToAcceptSignal:
        return  # What it says is held to above.
    for text in (signal.quantity, signal.price):
        assert not text or Decimal(text) > 0
    held = SimpleNamespace(quantity=Decimal("0.5"), symbol="EURUSD")
    desk: Any = SimpleNamespace(
        state=SimpleNamespace(accounts={}, positions={"P1": held}, open_orders={}, positions_of={"anna": ("P1",)})
    )
    strategy = Strategy(strategy_id="mean", account_id="anna")
    turns = action not in ("buy", "sell")
    asked = Decimal(signal.quantity) if signal.quantity else Decimal(0)
    made = (
        signals._turn(desk, signal, strategy, asked)
        if turns
        else signals._place(signal, strategy, Side(action), asked, reduce_only=False)
    )
    assert isinstance(made, PlaceOrder) and made.terms.quantity > 0


@pytest.mark.parametrize(
    "said",
    ["", "application/json", "application/json; charset=utf-8", 'Text/Plain;charset="UTF-8"', "text/plain; x=y; "],
)
def test_a_chart_services_two_kinds_of_body_are_read_and_so_is_one_that_nobody_named(said: str) -> None:
    signals.require_readable(content_type=said)


@pytest.mark.parametrize(
    "said",
    ["text/html", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "application/jsonp", "json"],
)
def test_another_kind_of_body_is_415_and_hears_which_are_read(said: str) -> None:
    for _ in range(2):
        with pytest.raises(UnableToAcceptSignal, match="application/json or text/plain") as caught:
            signals.require_readable(content_type=said)
        assert (caught.value.status, caught.value.field) == (415, "Content-Type")


def test_what_is_under_way_is_not_turned_over_a_second_time() -> None:
    """F-25: two alerts of one turn, while the first is at the LP, would sell three lots of one."""
    floor = Floor()
    floor.do(cmd.ConfigureStrategy(strategy=Strategy(strategy_id="mean", account_id="a1")))
    turn = signals.command_maker(
        signal=signals.parse(body=b'{"id":"1","symbol":"EURUSD","action":"reverse"}'), strategy_id="mean"
    )
    floor.place("a1", Side.BUY, "1")
    floor.fill(floor.children()[-1], "1.10013")
    made = turn(floor.desk, floor.now_us)
    assert isinstance(made, PlaceOrder)
    assert (made.terms.side, made.terms.quantity) == (Side.SELL, Decimal(2))
    floor.do(made)
    again = turn(floor.desk, floor.now_us)
    assert isinstance(again, CommandRefused)
    assert (again.code, again.field) == ("POSITION_MOVING", "action")


def test_a_turn_opens_no_more_than_a_signal_may() -> None:
    """Without a quantity as much is opened as was closed, and that may have grown signal by signal."""
    floor = Floor()
    floor.do(cmd.ConfigureStrategy(strategy=Strategy(strategy_id="mean", account_id="b1", quantity_max=Decimal(1))))
    for lots in ("1", "0.5"):
        floor.place("b1", Side.BUY, lots)

    def made(**more: str) -> Any:
        body = json.dumps({"id": "1", "symbol": "EURUSD", **more}).encode()
        return signals.command_maker(signal=signals.parse(body=body), strategy_id="mean")(floor.desk, floor.now_us)

    assert made(action="reverse").code == "QUANTITY_MAX"
    assert made(action="reverse", quantity="1").terms.quantity == Decimal("2.5")
    assert made(action="flat", quantity="9").terms.quantity == made(action="flat").terms.quantity == Decimal("1.5")
    assert made(action="flat").terms.reduce_only and made(action="close").terms.reduce_only, "whatever comes before it"
    assert not made(action="buy", quantity="1").terms.reduce_only


@pytest.mark.parametrize("action", ["buy", "flat", "reverse"])
def test_a_strategy_that_is_switched_off_and_an_account_of_many_positions_are_told(action: str) -> None:
    floor = Floor()
    account = floor.desk.state.accounts["b1"]
    floor.do(cmd.ConfigureAccount(account=replace(account, position_mode=PositionMode.HEDGING)))
    strategy = Strategy(strategy_id="mean", account_id="b1")
    floor.do(cmd.ConfigureStrategy(strategy=strategy))
    floor.place("b1", Side.BUY, "1")
    signal = signals.parse(body=json.dumps(BODY | {"action": action}).encode())
    made = signals.command_maker(signal=signal, strategy_id="mean")(floor.desk, floor.now_us)
    assert isinstance(made, PlaceOrder) if action == "buy" else made.code == "HEDGED"
    floor.do(cmd.ConfigureStrategy(strategy=replace(strategy, enabled=False)))
    off = signals.command_maker(signal=signal, strategy_id="mean")(floor.desk, floor.now_us)
    assert isinstance(off, CommandRefused) and off.code == "STRATEGY_DISABLED"


def test_inv_24_an_alert_that_comes_again_later_is_the_same_and_another_body_is_not() -> None:
    """Nobody signs an alert, and its time is that of its sending."""
    bodies = [json.dumps(BODY | more).encode() for more in ({"time": "1"}, {"time": "2"}, {"quantity": "0.20"})]
    read = [signals.parse(body=body) for body in bodies]
    first, again, other = (
        signals.request_hash(signal=signal, body=body, signed=False) for signal, body in zip(read, bodies, strict=True)
    )
    assert first == again != other
    assert (
        len(
            {signals.request_hash(signal=each, body=body, signed=True) for each, body in zip(read, bodies, strict=True)}
        )
        == 3
    )
