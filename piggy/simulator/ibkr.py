"""A TWS gateway on this machine: the version handshake, then framed messages; one account, pacing enforced."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from piggy.simulator.config import SymbolConfig
from piggy.simulator.exchange import DepthChange
from piggy.simulator.faults import Fault
from piggy.simulator.ibkr_wire import VERSION, Message, Wire, error, fields, framed, place_order
from piggy.simulator.quotes import Rung
from piggy.simulator.server import SocketServer
from piggy.simulator.venue import BUY, Report

log = logging.getLogger(__name__)

ACCOUNT = "DU123456"
MESSAGES_A_SECOND = 50
# The third one too many ends the connection.
OVERRUNS_MAX = 3
NEXT_ID_FIRST = 100
GREETING = b"API\0"
INSERT, UPDATE, DELETE = 0, 1, 2
DUPLICATE_ID, REJECTED, CANCELLED, PROCESSING, NO_CONTRACT, CANNOT_CANCEL = 103, 201, 202, 322, 200, 10148
CLIENT_IN_USE, NOT_FOUND, TOO_FAST, BOOK_RESET, FEED_FINE = 326, 10147, 100, 317, 2104


class Peer:
    """One connected client."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.client_id = -1
        # Ticker number -> symbol and rows asked for; 0 rows is the best level only.
        self.tickers: dict[int, tuple[str, int]] = {}
        self.shown: dict[int, tuple[list[Rung], list[Rung]]] = {}
        self._sent_at: deque[float] = deque()

    def say(self, message: Message) -> None:
        """Write one message; a peer that is gone hears nothing."""
        if not self.writer.is_closing():
            self.writer.write(framed(message))

    def is_too_fast(self) -> bool:
        """Whether this message is one too many within a second."""
        now = time.monotonic()
        self._sent_at.append(now)
        while self._sent_at[0] < now - 1:
            self._sent_at.popleft()
        return len(self._sent_at) > MESSAGES_A_SECOND


class TwsServer(SocketServer):
    """`overruns` counts messages past the gateway's pace."""

    kind = "ibkr"

    def __init__(self, *, symbols: tuple[SymbolConfig, ...], home: Path, account: str = ACCOUNT, **more: Any) -> None:
        super().__init__(symbols=symbols, home=home, **more)
        self.wire = Wire(exchange=self.exchange, account=account)
        self.account = account
        self.overruns = 0
        self._peers: set[Peer] = set()
        self._next_id = NEXT_ID_FIRST
        self._answers: dict[str, Callable[[Peer, list[str]], None]] = {
            "1": self._watch_top,
            "2": self._unwatch,
            "3": self._place,
            "4": self._cancel,
            "7": self._executions,
            "9": self._contract,
            "10": self._watch_depth,
            "11": self._unwatch,
            "16": self._open_orders,
            "61": self._positions,
            "62": self._summary,
            "71": self._start,
            "99": self._completed,
        }

    async def listen(self) -> Callable[[], Awaitable[None]]:
        """Listen for clients."""
        server = await asyncio.start_server(self._serve_peer, "127.0.0.1", self.port)
        self.port = self.port or int(server.sockets[0].getsockname()[1])

        async def close() -> None:
            server.close()

        return close

    async def hang_up(self) -> None:
        """Break every connection."""
        for peer in list(self._peers):
            peer.writer.transport.abort()
        self._peers.clear()

    async def show_depth(self, change: DepthChange) -> None:
        """Rows of depth, or prices and sizes, to whoever watches the symbol."""
        for peer in self._peers:
            for number, (name, rows) in peer.tickers.items():
                if name == change.symbol:
                    self._show(peer, number, name, rows)

    async def skip_depth(self, change: DepthChange) -> None:
        """A book whose rows got lost is reset: its watchers start from an empty one."""
        for peer in self._peers:
            for number, (name, rows) in peer.tickers.items():
                if name == change.symbol and rows:
                    peer.shown.pop(number, None)
                    peer.say(error(number, BOOK_RESET, "Market depth data has been RESET."))
                    self._show(peer, number, name, rows)

    def noted(self, report: Report) -> list[Message]:
        """Return a report as messages."""
        order, wire = report.order, self.wire
        if order.cl_ord_id not in wire.numbers:
            return []
        if report.kind in ("new", "replaced"):
            return [wire.open_order(order, "Submitted"), wire.status(order, "Submitted", report.filled)]
        if report.kind == "trade" and report.fill is not None:
            told = wire.execution(order, report.fill, cumulative=report.filled)
            status = "Filled" if report.filled == order.quantity else "Submitted"
            return [wire.status(order, status, report.filled), told, wire.commission(report.fill)]
        if report.kind == "cancelled":
            number = wire.numbers[order.cl_ord_id][1]
            ended = wire.status(order, "Cancelled", report.filled)
            return [error(number, CANCELLED, f"Order Canceled - reason:{report.text}"), ended]
        if report.kind in ("busted", "corrected") and report.fill is not None:
            return [wire.execution(order, report.fill, cumulative=report.filled, restates=report.ref_exec_id)]
        if report.kind == "rejected":
            number = wire.numbers[order.cl_ord_id][1]
            refused = error(number, REJECTED, f"Order rejected - reason:{report.text}")
            return [refused, wire.status(order, "Inactive", Decimal(0))]
        return []

    async def show_report(self, report: Any) -> None:
        """Everything of a report to every client."""
        for peer in self._peers:
            for message in report:
                peer.say(message)

    async def _serve_peer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(writer)
        if self._away:
            writer.transport.abort()
            return
        self._peers.add(peer)
        self.streams_opened += 1
        try:
            assert await reader.readexactly(len(GREETING)) == GREETING, "not an API client"
            least, _, most = (await _frame(reader)).decode().removeprefix("v").partition("..")
            if int(least) <= VERSION <= int(most.split()[0]):
                peer.say((VERSION, "20260105 09:30:00 EST"))
                while True:
                    self._hear(peer, fields(await _frame(reader)))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            log.debug("client gone", extra={"why": str(error)})
        finally:
            self._peers.discard(peer)
            writer.close()

    def _hear(self, peer: Peer, sent: list[str]) -> None:
        self.requests.append(",".join(sent[:2]))
        if peer.is_too_fast():
            self.overruns += 1
            peer.say(error(-1, TOO_FAST, "Max rate of messages per second has been exceeded."))
            if self.overruns >= OVERRUNS_MAX:
                peer.writer.close()
        elif sent[0] in self._answers:
            self._answers[sent[0]](peer, sent)

    def _start(self, peer: Peer, sent: list[str]) -> None:
        peer.client_id = int(sent[2])
        if any(other.client_id == peer.client_id for other in self._peers - {peer}):
            peer.say(error(-1, CLIENT_IN_USE, "Unable to connect as the client id is already in use."))
            peer.writer.close()
            return
        peer.say((15, 1, self.account))
        peer.say((9, 1, self._next_id))
        peer.say(error(-1, FEED_FINE, "Market data farm connection is OK:usfarm"))

    def _place(self, peer: Peer, sent: list[str]) -> None:
        order = place_order(sent)
        if self.faults.take(Fault.CUT_BEFORE):
            peer.writer.transport.abort()
            return
        if self.faults.take(Fault.SERVER_ERROR):
            peer.say(error(order.number, PROCESSING, "Error processing request."))
            return
        name = self.wire.name(order.con_id)
        if not name or order.account != self.account:
            peer.say(error(order.number, NO_CONTRACT, "No security definition has been found for the request"))
        elif (peer.client_id, order.number) == self.wire.numbers.get(order.ref):
            if (
                self.exchange.replace(cl_ord_id=order.ref, quantity=order.units, price=order.price)[0].kind
                != "replaced"
            ):
                peer.say(error(order.number, 104, "Cannot modify a filled order."))
        elif order.number < self._next_id:
            peer.say(error(order.number, DUPLICATE_ID, "Duplicate order id"))
        else:
            self._next_id = order.number + 1
            # A reference is free text to the gateway: a second order of the same one is another order here too.
            ref = order.ref if order.ref not in self.wire.numbers else f"{order.ref}/{order.number}"
            self.wire.numbers[ref] = (peer.client_id, order.number)
            self.exchange.place(
                cl_ord_id=ref,
                symbol=name,
                side=BUY if order.action == "BUY" else "2",
                quantity=order.units,
                price=order.price,
                force=order.force,
            )
        if self.faults.take(Fault.CUT_AFTER):
            peer.writer.transport.abort()

    def _cancel(self, peer: Peer, sent: list[str]) -> None:
        number = int(sent[2])
        mine = [ref for ref, owned in self.wire.numbers.items() if owned == (peer.client_id, number)]
        order = self.exchange.find(cl_ord_id=mine[0]) if mine else None
        if order is None:
            peer.say(error(number, NOT_FOUND, f"OrderId {number} that needs to be cancelled is not found."))
        elif self.exchange.cancel(cl_ord_id=order.cl_ord_id)[0].kind == "cancel_rejected":
            text = f"OrderId {number} that needs to be cancelled can not be cancelled, state: {order.ended}."
            peer.say(error(number, CANNOT_CANCEL, text))

    def _executions(self, peer: Peer, sent: list[str]) -> None:
        number, cumulative = int(sent[2]), dict[str, Decimal]()
        for order, fill in self.exchange.fills():
            cumulative[order.cl_ord_id] = cumulative.get(order.cl_ord_id, Decimal(0)) + fill.quantity
            peer.say(self.wire.execution(order, fill, cumulative=cumulative[order.cl_ord_id], number=number))
        peer.say((55, 1, number))

    def _contract(self, peer: Peer, sent: list[str]) -> None:
        number = int(sent[2])
        found = self.wire.found(symbol=sent[4], kind=sent[5], exchange=sent[10], currency=sent[12])
        for name in found:
            peer.say(self.wire.contract(number=number, name=name))
        if found:
            peer.say((52, 1, number))
        else:
            peer.say(error(number, NO_CONTRACT, "No security definition has been found for the request"))

    def _watch_depth(self, peer: Peer, sent: list[str]) -> None:
        self._watch(peer, int(sent[2]), int(sent[3]), int(sent[15]))

    def _watch_top(self, peer: Peer, sent: list[str]) -> None:
        self._watch(peer, int(sent[2]), int(sent[3]), 0)

    def _watch(self, peer: Peer, number: int, con_id: int, rows: int) -> None:
        peer.tickers[number] = (self.wire.name(con_id), rows)
        peer.shown.pop(number, None)
        self._show(peer, number, *peer.tickers[number])

    def _unwatch(self, peer: Peer, sent: list[str]) -> None:
        peer.tickers.pop(int(sent[2]), None)

    def _show(self, peer: Peer, number: int, name: str, rows: int) -> None:
        book, _ = self.exchange.snapshot(symbol=name)
        if not rows:
            for tick, size_tick, rung in ((1, 0, book.bids[0]), (2, 3, book.asks[0])):
                peer.say((1, 6, number, tick, f"{rung.price:f}", f"{rung.size:f}", 0))
                peer.say((2, 6, number, size_tick, f"{rung.size:f}"))
            return
        before = peer.shown.get(number, ([], []))
        now = (list(book.asks[:rows]), list(book.bids[:rows]))
        peer.shown[number] = now
        for side in (0, 1):
            for row, operation, rung in _changes(before[side], now[side]):
                peer.say((12, 1, number, row, operation, side, f"{rung.price:f}", f"{rung.size:f}"))

    def _open_orders(self, peer: Peer, sent: list[str]) -> None:
        for order in self.exchange.working():
            if order.cl_ord_id in self.wire.numbers:
                peer.say(self.wire.open_order(order, "Submitted"))
                peer.say(self.wire.status(order, "Submitted", order.filled))
        peer.say((53, 1))

    def _completed(self, peer: Peer, sent: list[str]) -> None:
        for order in self.exchange.orders():
            if order.ended and order.ended != "rejected":
                peer.say(self.wire.completed(order))
        peer.say((102,))

    def _positions(self, peer: Peer, sent: list[str]) -> None:
        for name in self.exchange.symbols:
            peer.say(self.wire.position(name=name, units=self.exchange.position(symbol=name)))
        peer.say((62, 1))

    def _summary(self, peer: Peer, sent: list[str]) -> None:
        for message in self.wire.money(number=int(sent[2])):
            peer.say(message)


def _changes(before: list[Rung], now: list[Rung]) -> list[tuple[int, int, Rung]]:
    """Return rows to delete, insert and update that turn one side into another."""
    gone = [(place, DELETE, rung) for place, rung in reversed(list(enumerate(before))) if rung.price not in dict(now)]
    kept = [rung for rung in before if rung.price in dict(now)]
    changes = list(gone)
    for place, rung in enumerate(now):
        if place < len(kept) and kept[place].price == rung.price:
            if kept[place].size != rung.size:
                changes.append((place, UPDATE, rung))
        else:
            kept.insert(place, rung)
            changes.append((place, INSERT, rung))
    return changes


async def _frame(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
