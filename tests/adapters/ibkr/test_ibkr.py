"""One account behind a gateway, played without one: messages are the wire's own text."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piggy.adapters.ibkr import inbound
from piggy.adapters.ibkr.config import CODES, TICKERS, Meaning
from piggy.adapters.ibkr.ladder import Ladder
from piggy.adapters.ibkr.session import IbkrSession
from piggy.adapters.interface import Order, ReportKind, Response, UnableToConnect, UnableToReadReport, UnableToTranslate
from piggy.core.orders import Side
from tests.adapters.recorded import child_of, config_of, play, recorded

NAME = "EUR CASH IDEALPRO USD"
CONFIG = config_of("ibkr", {"EURUSD": (NAME, "100000")}, account="DU1", depth=3)
NOW_US = 1_767_623_400_000_000
ORDER = Order(
    cl_ord_id="o1-V1-1", client_id="o1-V1-1", symbol="EURUSD", side=Side.BUY, quantity=Decimal(1),
    limit_price=Decimal("1.1"), created_at_us=NOW_US - 60_000_000,
)  # fmt: skip
GREETING = ["15\x001\x00DU9,DU1", "9\x001\x00105"]
CONTRACT = ["1000", "EUR", "CASH", "", "0", "?", "", "IDEALPRO", "USD", "EUR.USD", "EUR"]


def wire(*fields: object) -> str:
    return "\0".join(str(field) for field in fields)


HEAD = (10, 5, "EUR", "CASH", "", 0, "", "IDEALPRO", "USD", "EUR.USD", "EUR", "EUR")
TERMS = [wire(*HEAD, 1000, "0.00005", *[""] * 15, 0, *[""] * 6, 1, 500, 500)]


def opened(number: int = 105, ref: str = "o1-V1-1", client: str = "71") -> str:
    terms = ("BUY", "100000", "LMT", "1.1", "0.0", "GTC", "", "DU1", "", "0")
    return wire(5, number, *CONTRACT, *terms, ref, client, 900, *["0"] * 60)


def stood(status: str, filled: str = "0", number: int = 105, client: str = "71") -> str:
    return wire(3, number, status, filled, "0", "1.1", 900, 0, "1.1", client, "", 0)


def executed(exec_id: str = "0000e0d5.01.01.01", units: str = "40000", price: str = "1.09", **more: str) -> str:
    cumulative, ref, number = more.get("cumulative", units), more.get("ref", "o1-V1-1"), more.get("number", "-1")
    head = (11, number, 105, *CONTRACT, exec_id, more.get("time", "20260105 09:30:00 US/Eastern"), "DU1", "IDEALPRO")
    return wire(*head, more.get("side", "BOT"), units, price, 900, 71, 0, cumulative, price, ref, "", 0, "", 2)


def refused(code: int, number: int = 105) -> str:
    return wire(4, 2, number, code, "why", "")


def connected(session: IbkrSession | None = None, *, open_: tuple[str, ...] = ()) -> IbkrSession:
    session = session or IbkrSession(config=CONFIG)
    streams, requests = play(session.connect(now_us=NOW_US), [GREETING, TERMS, [], list(open_), []])
    assert [request.url for request in requests] == ["start", "contract", "completed_orders", "open_orders", "watch"]
    assert len(streams) == 1
    assert session.settled
    return session


def submitted(session: IbkrSession, *answer: str) -> Any:
    return play(session.submit(child=child_of("EURUSD", price="1.1"), now_us=NOW_US), [list(answer)])[0]


def hear(session: IbkrSession, text: str) -> list[Any]:
    return [said.report for said in session.hear(stream="gateway", text=text, now_us=NOW_US).reports]


def test_an_account_that_the_gateway_does_not_have_is_refused():
    session = IbkrSession(config=msgspec.structs.replace(CONFIG, account="DU0"))
    with pytest.raises(UnableToConnect):
        play(session.connect(now_us=NOW_US), [GREETING])


def test_order_numbers_go_on_from_the_gateways_and_never_come_twice():
    session = connected()
    numbers = []
    for name in ("a-V1-1", "b-V1-1"):
        child = child_of("EURUSD", price="1.1", cl_ord_id=name)
        _, requests = play(session.submit(child=child, now_us=NOW_US), [Response(status=0, text="gone")])
        numbers.append(msgspec.json.decode(requests[0].body)["number"])
    session.lost()
    connected(session)
    session.hear(stream="gateway", text="9\x001\x00300", now_us=NOW_US)
    _, requests = play(session.submit(child=child_of("EURUSD", price="1.1"), now_us=NOW_US), [[]])
    assert [*numbers, msgspec.json.decode(requests[0].body)["number"]] == [105, 106, 300]


def test_an_order_whose_reference_is_at_the_gateway_is_never_sent():
    """Idempotency: the reference is ours; a restarted session learns it from the gateway's lists."""
    session = connected(open_=(opened(), stood("Submitted")))
    said, requests = play(session.submit(child=child_of("EURUSD", price="1.1"), now_us=NOW_US), [])
    assert (said[0].report.kind, requests) == (ReportKind.DOUBT, [])


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        ((opened(), stood("PreSubmitted")), [ReportKind.ACK]),
        ((opened(), stood("Submitted")), [ReportKind.ACK]),
        ((stood("Filled", "100000"),), [ReportKind.ACK]),
        ((stood("Cancelled"),), [ReportKind.DONE]),
        ((stood("Inactive"),), [ReportKind.DOUBT]),
        ((refused(201),), [ReportKind.REJECT]),
        ((refused(110),), [ReportKind.REJECT]),
        ((refused(200),), [ReportKind.REJECT]),
        ((refused(383),), [ReportKind.REJECT]),
        ((refused(399), stood("PreSubmitted")), [ReportKind.ACK]),
        ((refused(2109), stood("Submitted")), [ReportKind.ACK]),
        ((refused(103),), [ReportKind.DOUBT]),
        ((refused(322),), [ReportKind.DOUBT]),
        ((refused(77_777),), [ReportKind.DOUBT]),
        ((), [ReportKind.DOUBT]),
    ],
)
def test_what_answers_an_order_takes_refuses_or_doubts_it(answer: tuple[str, ...], kinds: list[ReportKind]):
    """Terminal codes, warnings, and all that is not documented, which leaves the order in doubt."""
    assert [said.report.kind for said in submitted(connected(), *answer)] == kinds


def test_a_refusal_of_an_order_that_was_taken_is_a_doubt():
    session = connected()
    submitted(session, opened(), stood("Submitted"))
    assert [one.kind for one in hear(session, refused(201))] == [ReportKind.DOUBT]
    assert hear(session, refused(10147)) == hear(session, refused(202)) == []


def test_no_documented_code_has_two_meanings_and_every_meaning_is_used():
    assert set(CODES.values()) == set(Meaning) - {Meaning.DOUBT}
    assert CODES[202] is CODES[2106] is Meaning.NOTICE
    assert CODES[161] is CODES[2102] is Meaning.KEPT


def test_a_fill_is_told_by_its_execution_and_its_fee_after_it():
    session = connected()
    fill = hear(session, executed())[0]
    assert (fill.kind, fill.key, fill.cl_ord_id) == (ReportKind.FILL, "F:0000e0d5.01.01.01", "o1-V1-1")
    assert (fill.command.quantity, fill.command.price, fill.cumulative) == (
        Decimal("0.4"),
        Decimal("1.09"),
        Decimal("0.4"),
    )
    assert fill.command.occurred_at_us == NOW_US
    fee = hear(session, wire(59, 1, "0000e0d5.01.01.01", "2.5", "USD", "", "", 0))[0]
    assert (fee.kind, fee.text) == (ReportKind.IGNORED, "fee 2.5 USD")
    assert hear(session, executed(ref="", exec_id="x.1.1.01"))[0].cl_ord_id == "order-900"
    with pytest.raises(UnableToReadReport):
        hear(session, executed().replace("\x001000\x00", "\x002000\x00"))


def test_a_higher_last_number_of_an_execution_corrects_the_first():
    """F-15: later corrections name the first too, as the desk knows what stands in its place."""
    session = connected()
    told = hear(session, executed())[0]
    for number in ("02", "03"):
        again, corrected = hear(session, executed(f"0000e0d5.01.01.{number}", units="30000", price="1.08"))
        assert again.key == told.key, "what was told of the first already counts once"
        assert (corrected.kind, corrected.command.ref_fill_id) == (ReportKind.CORRECTION, told.command.fill_id)
        assert (corrected.command.quantity, corrected.cumulative) == (Decimal("0.3"), Decimal("0.3"))
    bust = hear(session, executed("0000e0d5.01.01.04", units="0", cumulative="0"))[0]
    assert (bust.kind, bust.command.ref_fill_id, bust.cumulative) == (ReportKind.BUST, told.command.fill_id, 0)


def test_what_filled_while_we_were_away_is_found_by_the_executions_oldest_first():
    session = connected()
    rows = [executed("b.01.01.01"), executed("a.01.01.01"), executed("c.01.01.01").replace("\x001000\x00", "\x005\x00")]
    said, requests = play(session.fills(since_us=NOW_US, now_us=NOW_US), [rows])
    assert [one.report.command.fill_id for one in said] == ["a.01.01.01", "b.01.01.01"]
    assert requests[0].url == "executions"


COMPLETED = wire(
    101, *CONTRACT, *["x"] * 10, "o1-V1-1", 900, *["0"] * 30, "", "Cancelled", *["0"] * 9, "40000", *["0"] * 13
)


@pytest.mark.parametrize(
    ("answers", "standing", "lots"),
    [
        ([[opened(), stood("Submitted", "40000")], [executed()]], "working", "0.4"),
        ([[opened(client="5"), stood("Submitted", client="5")], []], "working", "0"),
        ([[], [COMPLETED], [executed()]], "ended", "0.4"),
        ([[], [COMPLETED.replace("Cancelled", "Filled")], [executed()]], "filled", "0.4"),
        ([[], [], [executed(units="100000")]], "filled", "1"),
        ([[], [], []], "unknown", "0"),
    ],
)
def test_a_status_comes_from_the_gateways_lists_after_missing_fills(answers: list[Any], standing: str, lots: str):
    said, _ = play(connected().status(order=ORDER, now_us=NOW_US), answers)
    assert (said[-1].report.standing, said[-1].report.cumulative) == (standing, Decimal(lots))
    assert all(one.report.kind is ReportKind.FILL for one in said[:-1])


def test_an_order_is_unknown_only_once_it_cannot_come_any_more():
    session = connected()
    assert play(session.status(order=ORDER, now_us=ORDER.created_at_us + 1), [[], [], []])[0] == ()
    half, _ = play(session.status(order=ORDER, now_us=NOW_US), [[], [], [executed()]])
    assert [one.report.kind for one in half] == [ReportKind.FILL], "it was there: a person must say where it went"
    with pytest.raises(UnableToConnect):
        play(session.status(order=ORDER, now_us=NOW_US), [Response(status=0, text="no answer")])


@pytest.mark.parametrize("answer", [[refused(10148)], [refused(161)], [stood("Filled", "100000")], Response(status=0)])
def test_a_cancel_that_did_not_go_through_is_told(answer: Any):
    session = connected(open_=(opened(), stood("Submitted")))
    lists: list[Any] = [[opened(), stood("Submitted")], []]
    said, requests = play(session.cancel(order=ORDER, now_us=NOW_US), [answer, *lists])
    assert said[0].report.kind is ReportKind.UNCANCEL
    assert msgspec.json.decode(requests[0].body) == {"number": 105}


def test_a_cancel_ends_an_order_and_one_of_another_client_cannot_be_asked():
    session = connected(open_=(opened(), stood("Submitted")))
    said, _ = play(session.cancel(order=ORDER, now_us=NOW_US), [[stood("Cancelled", "40000")]])
    assert (said[0].report.kind, said[0].report.cumulative) == (ReportKind.DONE, Decimal("0.4"))
    other = connected(open_=(opened(client="5"), stood("Submitted", client="5")))
    lists: list[Any] = [[], [opened(client="5")]]
    said, requests = play(other.cancel(order=ORDER, now_us=NOW_US), [*lists, *[[opened(client="5")], []]])
    assert said[0].report.kind is ReportKind.UNCANCEL
    assert "cancel" not in [request.url for request in requests]


def test_an_order_is_changed_in_place_under_its_number():
    session = connected(open_=(opened(), stood("Submitted")))
    order = msgspec.structs.replace(ORDER, time_in_force="gtc")
    names: dict[str, Any] = {"quantity": Decimal("0.5"), "limit_price": Decimal("1.2"), "now_us": NOW_US}
    said, requests = play(session.replace(order=order, **names), [[opened(), stood("Submitted")]])
    assert (said[0].report.standing, requests[0].places_order) == ("replaced", False)
    asked = msgspec.json.decode(requests[0].body)
    assert (asked["number"], asked["units"], asked["ref"]) == (105, "50000", "o1-V1-1")
    said, _ = play(session.replace(order=order, **names), [[refused(104)]])
    assert (said[0].report.standing, said[0].report.text) == ("replace_refused", "104 why")
    with pytest.raises(UnableToTranslate):
        play(connected().replace(order=order, **names), [])


def row(place: int, operation: int, side: int, price: str, size: str, ticker: int = TICKERS) -> str:
    return wire(12, 1, ticker, place, operation, side, price, size)


def test_a_ladder_of_rows_equals_its_naive_twin_and_a_row_that_cannot_fit_is_a_gap():
    chance, ladder, twin = random.Random(11), Ladder(), {"0": [], "1": []}
    for _ in range(2_000):
        side, operation = chance.choice("01"), chance.choice("0012")
        rows: list[Any] = twin[side]
        place = chance.randint(0, len(rows) + 1)
        fits = place <= len(rows) if operation == "0" else place < len(rows)
        price, size = str(chance.randint(1, 5)), str(chance.randint(1, 9))
        named = {"side": side, "row": str(place), "operation": operation, "price": price, "size": size}
        assert ladder.take(fields=named) is fits
        if fits:
            rows[place : place + (operation != "0")] = [] if operation == "2" else [(price, size)]
    for side, levels in (("1", ladder.bids), ("0", ladder.asks)):
        sums: dict[str, int] = {}
        for price, size in twin[side]:
            sums[price] = sums.get(price, 0) + int(size)
        assert dict(levels) == {price: str(size) for price, size in sums.items()}


def shown(session: IbkrSession) -> tuple[list[Decimal], list[Decimal]]:
    quotes = session.all_quotes()
    return (
        ([level.price for level in quotes[0].bids], [level.price for level in quotes[0].asks]) if quotes else ([], [])
    )


def test_a_lost_row_a_reset_and_a_halt_leave_no_wrong_level():
    session = connected()
    for text in (row(0, 0, 1, "1.08", "1000000"), row(0, 0, 0, "1.09", "500000"), row(1, 0, 1, "1.07", "100000")):
        session.hear(stream="gateway", text=text, now_us=NOW_US)
    assert shown(session) == ([Decimal("1.08"), Decimal("1.07")], [Decimal("1.09")])
    assert session.changed_quotes()[0].bids[0].size == 10
    assert session.hear(stream="gateway", text=row(7, 1, 1, "1.08", "1"), now_us=NOW_US).gaps == ("EURUSD",)
    assert session.changed_quotes()[0].bids == (), "withdrawn until it is whole"
    _, requests = play(session.resync(symbol="EURUSD", now_us=NOW_US), [[], []])
    assert [request.url for request in requests] == ["unwatch", "watch"]
    session.hear(stream="gateway", text=row(0, 0, 1, "1.02", "1"), now_us=NOW_US)
    assert shown(session) == ([], []), "a row of the old subscription that was still on its way"
    anew = TICKERS + 1
    session.hear(stream="gateway", text=row(0, 0, 1, "1.05", "1", anew), now_us=NOW_US)
    assert session.hear(stream="gateway", text=refused(317, anew), now_us=NOW_US).gaps == ()
    assert shown(session) == ([], [])
    session.hear(stream="gateway", text=row(0, 0, 1, "1.06", "1", anew), now_us=NOW_US)
    assert shown(session) == ([Decimal("1.06")], [])
    assert session.hear(stream="gateway", text=refused(316, anew), now_us=NOW_US).gaps == ("EURUSD",)


def test_a_lost_feed_withdraws_every_book_and_its_return_asks_for_them_anew():
    session = connected()
    assert session.hear(stream="gateway", text=refused(2104, -1), now_us=NOW_US).gaps == ()
    session.hear(stream="gateway", text=row(0, 0, 1, "1.08", "1"), now_us=NOW_US)
    session.hear(stream="gateway", text=refused(2103, -1), now_us=NOW_US)
    assert shown(session) == ([], [])
    assert session.hear(stream="gateway", text=refused(2104, -1), now_us=NOW_US).gaps == ("EURUSD",)
    assert session.hear(stream="gateway", text=refused(1100, -1), now_us=NOW_US).down
    for code, number in ((354, TICKERS), (77_777, -1)):
        with pytest.raises(UnableToReadReport):
            session.hear(stream="gateway", text=refused(code, number), now_us=NOW_US)


def test_recorded_sizes_end_in_the_best_level_that_was_recorded_last():
    """A real session's ticks (Hong Kong shares), as messages of prices and sizes."""
    ticks = recorded("interactive_brokers/streaming/tick_data.json")
    session = connected(IbkrSession(config=msgspec.structs.replace(CONFIG, depth=1)))
    last: dict[int, tuple[Decimal, Decimal]] = {}
    for tick in ticks:
        price, size, kind = str(tick["price"]), str(tick["size"]), tick["tickType"]
        if kind in (0, 3):
            last[kind] = (Decimal(price), Decimal(size))
            texts = [wire(1, 6, TICKERS, {0: 1, 3: 2}[kind], price, size, 0), wire(2, 6, TICKERS, kind, size)]
            for text in texts:
                session.hear(stream="gateway", text=text, now_us=NOW_US)
    quote = session.all_quotes()[0]
    assert (quote.bids[0].price, quote.bids[0].size * 100_000) == last[0]
    assert (quote.asks[0].price, quote.asks[0].size * 100_000) == last[3]
    session.hear(stream="gateway", text=wire(1, 6, TICKERS, 1, "-1", "0", 0), now_us=NOW_US)
    assert session.all_quotes()[0].bids == ()


def test_times_are_read_with_their_zone_or_the_gateways():
    for text in ("20260105-14:30:00", "20260105 09:30:00 US/Eastern", "20260105  14:30:00", "20260105 14:30:00"):
        assert inbound.at_us(text=text, zone="UTC") == NOW_US
    with pytest.raises(ValueError):
        inbound.at_us(text="yesterday", zone="UTC")


def test_positions_balances_and_terms_are_our_accounts():
    session = connected()
    assert play(session.symbols(now_us=NOW_US), [TERMS])[0][0].unit_step == 500
    with pytest.raises(UnableToTranslate):
        play(session.submit(child=child_of("EURUSD", lots="0.001", price="1"), now_us=NOW_US), [])
    rows = [wire(61, 3, account, *CONTRACT, "-25000", "1.1") for account in ("DU1", "DU9")]
    assert play(session.positions(now_us=NOW_US), [rows])[0] == (("EURUSD", Decimal("-0.25"), Decimal("1.1")),)
    values = recorded("interactive_brokers/responses/account_values.json")
    cash = [
        wire(63, 1, 7, "DU1", row["tag"], row["value"], row["currency"]) for row in values if row["currency"] == "AUD"
    ]
    found = play(session.balances(now_us=NOW_US), [cash])[0]
    assert [(one.currency, one.total != 0, one.available != 0) for one in found] == [("AUD", True, True)]


def test_a_name_that_fits_no_contract_or_several_cannot_be_traded():
    for answer in (TERMS * 2, (400, {"code": "200", "msg": "No security definition"})):
        session = IbkrSession(config=CONFIG)
        play(session.connect(now_us=NOW_US), [GREETING, answer, [], []])
        assert play(session.symbols(now_us=NOW_US), [answer])[0] == ()
        with pytest.raises(UnableToTranslate):
            play(session.submit(child=child_of("EURUSD", price="1"), now_us=NOW_US), [])
