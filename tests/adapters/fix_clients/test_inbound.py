"""Requests of clients: what is taken, and that every refusal names the tag and its limit."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from piggy.adapters.fix_clients.config import Kind, Terms
from piggy.adapters.fix_clients.inbound import Cancel, MassStatus, NewOrder, Replace, Status, UnableToTake, read
from piggy.core.orders import OrderType, Side, TimeInForce

TERMS = Terms(kind=Kind.ORDERS, accounts=("A1",), units={"EURUSD": Decimal(100_000)})
ORDER = {
    "35": "D",
    "34": "2",
    "11": "c-1",
    "55": "EURUSD",
    "54": "1",
    "38": "150000",
    "40": "2",
    "44": "1.1",
    "59": "1",
    "60": "20260101-00:00:00.000",
}


def test_an_order_is_read_in_lots_for_the_only_account() -> None:
    request = read(values=ORDER, terms=TERMS)
    assert isinstance(request, NewOrder)
    terms = request.terms
    assert (terms.account_id, terms.side, terms.quantity, terms.type) == (
        "A1", Side.BUY, Decimal("1.5"), OrderType.LIMIT,
    )  # fmt: skip
    assert (terms.limit_price, terms.time_in_force, terms.client_order_id) == (
        Decimal("1.1"), TimeInForce.GTC, "c-1",
    )  # fmt: skip


def test_every_instruction_reaches_the_desk() -> None:
    more = {"18": "6 G", "110": "50000", "111": "100000", "59": "6", "126": "20260102-00:00:00", "1": "A1"}
    request = read(values=ORDER | more, terms=TERMS)
    assert isinstance(request, NewOrder)
    terms = request.terms
    assert (terms.post_only, terms.reduce_only, terms.all_or_none) == (True, False, True)
    assert (terms.minimum_quantity, terms.display_quantity) == (Decimal("0.5"), Decimal(1))
    assert terms.expires_at_us == 1_767_312_000_000_000


@pytest.mark.parametrize(
    ("day", "ends"),
    [("20260102", "2026-01-02T22:00:00Z"), ("20260702", "2026-07-02T21:00:00Z"), ("20260308", "2026-03-08T21:00:00Z")],
)
def test_a_date_is_the_last_day_that_an_order_trades_whatever_the_clocks_of_new_york_do(day: str, ends: str) -> None:
    request = read(values=ORDER | {"59": "6", "432": day}, terms=TERMS)
    assert isinstance(request, NewOrder)
    assert request.terms.expires_at_us == int(datetime.fromisoformat(ends).timestamp()) * 1_000_000
    both = read(values=ORDER | {"59": "6", "432": day, "126": "20260101-01:00:00"}, terms=TERMS)
    assert isinstance(both, NewOrder)
    assert both.terms.expires_at_us == 1_767_229_200_000_000, "a time is the closer word"


def test_a_trailing_stop_is_a_peg_that_trails_by_a_distance() -> None:
    values = {tag: value for tag, value in ORDER.items() if tag != "44"} | {"40": "P", "18": "a E", "211": "0.0010"}
    request = read(values=values, terms=TERMS)
    assert isinstance(request, NewOrder)
    terms = request.terms
    assert (terms.type, terms.trailing_distance) == (OrderType.TRAILING_STOP, Decimal("0.001"))
    assert (terms.stop_price, terms.limit_price, terms.reduce_only) == (None, None, True)


def test_a_session_in_lots_is_taken_at_its_word() -> None:
    request = read(
        values=ORDER | {"38": "1.5"}, terms=Terms(kind=Kind.ORDERS, accounts=("A1",), units=TERMS.units, in_lots=True)
    )
    assert isinstance(request, NewOrder)
    assert request.terms.quantity == Decimal("1.5")


def test_the_other_requests_are_read() -> None:
    assert read(values={"35": "F", "11": "c-2", "41": "c-1"}, terms=TERMS) == Cancel(
        cl_ord_id="c-2", orig_cl_ord_id="c-1"
    )
    replace = read(values=ORDER | {"35": "G", "11": "c-2", "41": "c-1"}, terms=TERMS)
    assert isinstance(replace, Replace)
    assert (replace.quantity, replace.limit_price, replace.stop_price) == (Decimal("1.5"), Decimal("1.1"), None)
    assert read(values={"35": "H", "11": "c-1"}, terms=TERMS) == Status(cl_ord_id="c-1")
    assert read(values={"35": "AF", "584": "m", "585": "7"}, terms=TERMS) == MassStatus(request_id="m")


@pytest.mark.parametrize(
    ("changes", "tag", "reason"),
    [
        ({"11": None}, "11", "1"),
        ({"11": ""}, "11", "4"),
        ({"11": "x" * 65}, "11", "5"),
        ({"11": "a b"}, "11", "5"),
        ({"1": "A2"}, "1", "5"),
        ({"55": "NOBODY"}, "55", "5"),
        ({"54": "9"}, "54", "5"),
        ({"38": "0"}, "38", "5"),
        ({"38": "-1"}, "38", "6"),
        ({"38": "1e5"}, "38", "6"),
        ({"38": "NaN"}, "38", "6"),
        ({"38": "1" * 19}, "38", "6"),
        ({"40": "K"}, "40", "5"),
        ({"44": None}, "44", "1"),
        ({"44": "1.12345678901"}, "44", "6"),
        ({"40": "3", "44": None}, "99", "1"),
        ({"59": "7"}, "59", "5"),
        ({"59": "6"}, "126", "1"),
        ({"59": "6", "432": "2026-01-02"}, "432", "6"),
        ({"59": "6", "432": "20260230"}, "432", "6"),
        ({"59": "6", "432": "00000101"}, "432", "6"),
        ({"60": "yesterday"}, "60", "6"),
        ({"60": None}, "60", "1"),
        ({"18": "Z"}, "18", "5"),
        ({"18": "a"}, "18", "5"),
        ({"40": "P", "211": "0.001"}, "18", "5"),
        ({"40": "P", "18": "a"}, "211", "1"),
        ({"40": "P", "18": "a", "211": "-0.001"}, "211", "6"),
        ({"40": "P", "18": "a", "211": "5", "836": "2"}, "836", "5"),
        ({"35": "G", "41": "c-0", "211": "far"}, "211", "6"),
        ({"58": "x" * 201}, "58", "5"),
    ],
)
def test_a_bad_field_is_refused_by_its_tag(changes: dict[str, str | None], tag: str, reason: str) -> None:
    values = {key: value for key, value in (ORDER | changes).items() if value is not None}
    with pytest.raises(UnableToTake) as refused:
        read(values=values, terms=TERMS)
    assert (refused.value.tag, refused.value.reason) == (tag, reason)
    assert len(str(refused.value)) > 8, "a person must see what is wrong"


def test_an_account_must_be_named_where_there_are_several() -> None:
    several = Terms(kind=Kind.ORDERS, accounts=("A1", "A2"), units=TERMS.units)
    with pytest.raises(UnableToTake) as refused:
        read(values=ORDER, terms=several)
    assert refused.value.tag == "1"


def test_a_mass_request_of_a_kind_we_do_not_answer_is_refused() -> None:
    with pytest.raises(UnableToTake) as refused:
        read(values={"35": "AF", "584": "m", "585": "1"}, terms=TERMS)
    assert refused.value.tag == "585"


NEW_YEAR_US = 1_893_456_000_000_000
CHANGE = ORDER | {"35": "G", "11": "c-2", "41": "c-1"}


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ({"59": "1"}, {"time_in_force": TimeInForce.GTC}),
        ({"59": "0"}, {"time_in_force": TimeInForce.DAY}),
        ({"59": "6"}, {"time_in_force": TimeInForce.GTD}),
        ({"59": "6", "126": "20300101-00:00:00"}, {"time_in_force": TimeInForce.GTD, "expires_at_us": NEW_YEAR_US}),
        ({"126": "20300101-00:00:00"}, {"expires_at_us": NEW_YEAR_US}),
        ({"432": "20300101"}, {"expires_at_us": NEW_YEAR_US + 22 * 3_600_000_000}),
        ({"211": "0.0010"}, {"trailing_distance": Decimal("0.0010")}),
    ],
)
def test_a_replacement_says_how_long_and_how_far_and_leaves_the_rest(
    given: dict[str, str], changes: dict[str, object]
) -> None:
    values = {tag: value for tag, value in CHANGE.items() if tag not in ("44", "59")} | given
    asked = read(values=values, terms=TERMS)
    assert isinstance(asked, Replace)
    found = {name: value for name, value in asked.changes().items() if value is not None}
    assert found == {"quantity": asked.quantity, **changes}


@pytest.mark.parametrize(
    ("given", "tag"),
    [({"59": "2"}, "59"), ({"432": "20301301"}, "432"), ({"126": "soon"}, "126"), ({"836": "1"}, "836")],
)
def test_a_replacement_names_the_field_that_it_cannot_have(given: dict[str, str], tag: str) -> None:
    with pytest.raises(UnableToTake) as refused:
        read(values={name: value for name, value in CHANGE.items() if name != "59"} | given, terms=TERMS)
    assert refused.value.tag == tag
