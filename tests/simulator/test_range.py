"""The range over real sockets: seeded quotes, rejects, part fills, answers to questions, and a truth that survives."""

from __future__ import annotations

import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from piggy.adapters.fix import outbound
from piggy.adapters.fix.session import FixSession
from piggy.adapters.interface import ReportKind
from piggy.core.orders import Side
from piggy.simulator.config import SYMBOLS, LpConfig, RangeConfig
from piggy.simulator.feed import TickFeed
from piggy.simulator.loopback import BIND_TO_DEVICE, keep_local
from piggy.simulator.quotes import Generator, LpBook
from tests.simulator.lp_range import Hearer, LpRange, child, say, units, wait

ORDERS = 40


def joined(lp_range: LpRange, *, home: Path | None = None) -> Hearer:
    hearer = Hearer()
    hearer.session = FixSession(config=lp_range.session(lp="LP1", home=home), listener=hearer)
    hearer.session.start()
    wait(lambda: any(quote.symbol == "EURUSD" for quote in hearer.session.all_quotes()))
    return hearer


@pytest.fixture
def unsure(tmp_path: Path) -> Iterator[LpRange]:
    """An LP that refuses a quarter of its orders and fills half of the others in part."""
    lp = LpConfig(name="LP1", reject_rate=Decimal("0.25"), partial_rate=Decimal("0.5"), latency_ms=1, quotes_per_s=10)
    lp_range = LpRange(home=tmp_path, lps=(lp,))
    lp_range.start()
    yield lp_range
    lp_range.stop()


def books(*, seed: int) -> list[LpBook]:
    symbols = {symbol.symbol: symbol for symbol in SYMBOLS}
    generator = Generator(lp=LpConfig(name="LP1", seed=seed), symbols=symbols)
    return [generator.book(symbol="EURUSD", at_us=step) for step in range(200)]


def test_a_port_that_is_open_to_everybody_is_kept_to_this_machine() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        assert keep_local(port=port) == (1 if BIND_TO_DEVICE else 0)
        if BIND_TO_DEVICE:
            assert server.getsockopt(socket.SOL_SOCKET, BIND_TO_DEVICE, 16).rstrip(b"\0") == b"lo"
        socket.create_connection(("127.0.0.1", port)).close()


def test_the_same_seed_quotes_the_same_books_and_another_seed_others() -> None:
    assert books(seed=1) == books(seed=1)
    assert books(seed=1) != books(seed=2)
    assert all(book.bids[0].price < book.asks[0].price for book in books(seed=1))


def test_rejects_and_part_fills_come_at_their_rates_and_the_truth_agrees_with_every_report(unsure: LpRange) -> None:
    hearer = joined(unsure)
    try:
        for number in range(ORDERS):
            assert say(hearer.session, child(f"o{number}", lots="2"))
        ends = {ReportKind.REJECT, ReportKind.DONE}
        wait(lambda: all(ended(hearer, f"o{number}", ends) for number in range(ORDERS)))
        rejected = sum(ReportKind.REJECT in hearer.kinds(f"o{number}") for number in range(ORDERS))
        partial = sum({ReportKind.FILL, ReportKind.DONE} <= set(hearer.kinds(f"o{number}")) for number in range(ORDERS))
        assert 3 <= rejected <= 20, "a quarter of 40, far outside of luck at either end"
        assert 5 <= partial <= 28
        truth = unsure.truth("LP1")
        for number in range(ORDERS):
            fills = [each for each in hearer.reports if each.cl_ord_id == f"o{number}" and each.kind is ReportKind.FILL]
            told = sum((units(str(each.command.quantity)) for each in fills), Decimal(0))
            assert truth["ACORN", f"o{number}"].filled == told
    finally:
        hearer.session.stop()


def ended(hearer: Hearer, cl_ord_id: str, ends: set[ReportKind]) -> bool:
    fills = [each for each in hearer.reports if each.cl_ord_id == cl_ord_id and each.kind is ReportKind.FILL]
    return bool(ends & set(hearer.kinds(cl_ord_id))) or any(each.cumulative == 2 for each in fills)


def test_f_02_the_truth_survives_a_kill_and_a_question_after_it_is_answered_from_it(unsure: LpRange) -> None:
    hearer = joined(unsure)
    try:
        for number in range(10):
            assert say(hearer.session, child(f"k{number}", limit="1", force="gtc"))
        wait(lambda: all(hearer.kinds(f"k{number}") for number in range(10)))
        working = [f"k{number}" for number in range(10) if hearer.kinds(f"k{number}") == [ReportKind.ACK]]
        before = unsure.truth("LP1")
        unsure.kill()
        assert unsure.truth("LP1").keys() == before.keys()
        unsure.start()
        wait(lambda: not hearer.session.ready)
        wait(lambda: hearer.session.ready)
        ask = {"symbol": "EURUSD", "side": Side.BUY, "config": hearer.session.config}
        for cl_ord_id in (working[0], "never"):
            hearer.session.send(outbound.status_request(cl_ord_id=cl_ord_id, **ask))
        wait(lambda: {ReportKind.STATUS} & set(hearer.kinds("never")))
        standing = {each.cl_ord_id: each.standing for each in hearer.reports if each.kind is ReportKind.STATUS}
        assert standing == {working[0]: "working", "never": "unknown"}
    finally:
        hearer.session.stop()


class Quoted:
    """Takes the acceptor's place: notes when each book came."""

    def __init__(self) -> None:
        self.at: list[tuple[float, int]] = []

    def quote(self, book: LpBook) -> None:
        self.at.append((time.monotonic(), book.at_us))


@pytest.mark.parametrize("speed", [1, 4])
def test_recorded_ticks_are_replayed_at_the_chosen_speed(tmp_path: Path, speed: int) -> None:
    folder = tmp_path / "ticks" / "broker" / "eurusd"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "20140505_quote.zip", "w") as archive:
        archive.writestr("rows.csv", "".join(f"{ms},1.10000,1.10010\n" for ms in range(0, 8_000, 200)))
    config = RangeConfig(
        home=tmp_path, lps=(LpConfig(name="LP1"),), symbols=SYMBOLS, ticks=tmp_path / "ticks", speed=speed
    )
    quoted, stopped = Quoted(), threading.Event()
    feed = TickFeed(config=config, source="broker", date="20140505", acceptor=quoted)
    thread = threading.Thread(target=feed.run, args=(stopped,))
    began = time.monotonic()
    thread.start()
    wait(lambda: len(quoted.at) >= 4 * speed)
    stopped.set()
    thread.join()
    took_s = time.monotonic() - began
    first_us = quoted.at[0][1]
    early = [at for at, at_us in quoted.at if at - began < (at_us - first_us) / 1e6 / speed - 0.005]
    assert not early, "never before its time"
    assert len(quoted.at) <= took_s * 5 * speed + 3


def test_an_lp_stands_by_its_price_between_two_ticks(tmp_path: Path) -> None:
    folder = tmp_path / "ticks" / "broker" / "eurusd"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "20140505_quote.zip", "w") as archive:
        archive.writestr("rows.csv", "0,1.10000,1.10010\n600000,1.10001,1.10011\n")
    config = RangeConfig(home=tmp_path, lps=(LpConfig(name="LP1"),), symbols=SYMBOLS, ticks=tmp_path / "ticks", speed=1)
    quoted, stopped = Quoted(), threading.Event()
    feed = TickFeed(config=config, source="broker", date="20140505", acceptor=quoted)
    thread = threading.Thread(target=feed.run, args=(stopped,))
    began = time.monotonic()
    thread.start()
    wait(lambda: len(quoted.at) >= 3)
    stopped.set()
    thread.join()
    assert len({at_us for _, at_us in quoted.at}) == 1, "the second tick is ten minutes away"
    assert quoted.at[2][0] - began >= 1.9, "a second apart at least"
