"""The TWS wire, server version 176: fields closed by a zero byte, behind four bytes of length. Our half of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from piggy.simulator.exchange import Exchange
from piggy.simulator.truth import TruthFill, TruthOrder, number_of
from piggy.simulator.venue import BUY, FOK, GTC, IOC

VERSION = 176
ZONE = "US/Eastern"
ACCOUNT_MONEY = (("TotalCashValue", "1000000.00"), ("AvailableFunds", "990000.00"))
FORCES = {"GTC": GTC, "DAY": GTC, "IOC": IOC, "FOK": FOK}
_TIFS = {GTC: "GTC", IOC: "IOC", FOK: "FOK"}
CONTRACT_FIRST, PERM_FIRST = 1_000, 700_000_000
Message = tuple[object, ...]


def framed(message: Iterable[object]) -> bytes:
    """Return a message as it goes over the socket."""
    body = "".join(f"{field}\0" for field in message).encode()
    return len(body).to_bytes(4) + body


def fields(body: bytes) -> list[str]:
    """Return the fields of a message without its length."""
    return body.decode().split("\0")[:-1]


class PlaceOrder(NamedTuple):
    """What counts of an order message."""

    number: int
    con_id: int
    action: str
    units: Decimal
    price: Decimal
    force: str
    account: str
    ref: str


def place_order(sent: list[str]) -> PlaceOrder:
    """Return an order message (3) read."""
    return PlaceOrder(
        number=int(sent[1]),
        con_id=int(sent[2]),
        action=sent[16],
        units=Decimal(sent[17]),
        price=Decimal(sent[19]),
        force=FORCES[sent[21]],
        account=sent[23],
        ref=sent[26],
    )


class Wire:
    """Writes what happens at an exchange; symbols are named as `EUR CASH IDEALPRO USD`."""

    def __init__(self, *, exchange: Exchange, account: str) -> None:
        self._exchange = exchange
        self._account = account
        self._names = {CONTRACT_FIRST + place: name for place, name in enumerate(exchange.symbols)}
        self._ids = {name: number for number, name in self._names.items()}
        # An execution restated keeps its name but for the number at its end; orders are numbered by their clients.
        self._exec_ids: dict[str, str] = {}
        self.numbers: dict[str, tuple[int, int]] = {}

    def name(self, con_id: int) -> str:
        """Return the symbol of a contract, empty for none."""
        return self._names.get(con_id, "")

    def found(self, *, symbol: str, kind: str, exchange: str, currency: str) -> list[str]:
        """Return the symbols that fit a description."""
        wanted = [symbol, kind, exchange, currency]
        return [name for name in self._ids if name.split()[:4] == wanted]

    def contract(self, *, number: int, name: str) -> Message:
        """Terms of one contract (10)."""
        symbol, kind, exchange, currency = name.split()[:4]
        tick = Decimal(1).scaleb(-self._exchange.symbols[name].digits)
        head: Message = (
            10,
            number,
            symbol,
            kind,
            "",
            0,
            "",
            exchange,
            currency,
            f"{symbol}.{currency}",
            symbol,
            symbol,
        )
        named: Message = (self._ids[name], f"{tick:f}", "", "LMT,MKT", exchange, 1, 0, f"{symbol} \\u20ac", "", "", "")
        hours: Message = ("", "", ZONE, "20260105:0930-20260105:1600", "20260105:0930-20260105:1600", "", "")
        return (*head, *named, *hours, 0, 1, "", "", "26", "", "", 1, 1, 1)

    def open_order(self, order: TruthOrder, status: str) -> Message:
        """An order that is there (5), with its whole tail of settings nobody set."""
        client = self.numbers[order.cl_ord_id][0]
        return (
            *(5, self._number(order), *self._contract(order.symbol), *self._terms(order), "", 0),
            *(order.cl_ord_id, client, self._perm(order), 0, 0, 0, "", "", "", "", "", ""),
            *(
                "",
                "",
                "",
                "",
                "",
                0,
                "",
                -1,
                0,
                "",
                "",
                "",
                "",
                "",
                "",
                0,
                0,
                0,
                "",
                3,
                0,
                0,
                "",
                0,
                0,
                "",
                0,
                "None",
                "",
            ),
            # What only orders hedged with a delta have is sent all the same, as the type above is not empty.
            *(0, "", "", "", "", 0, 0, ""),
            *(0, "", "", "", "", "", "", 0, 0, 0, "", "", "", "", 0, "", "IB", 0, 0, ""),
            *(0, 0, status, *("",) * 14, 0, 0, 0, *("",) * 16, "", "", 0, *("",) * 5),
        )

    def status(self, order: TruthOrder, status: str, filled: Decimal) -> Message:
        """How an order stands (3)."""
        last = order.fills[-1].price if order.fills else Decimal(0)
        left = order.quantity - filled if status in ("Submitted", "PreSubmitted") else Decimal(0)
        numbers: Message = (self._number(order), status, _text(filled), _text(left), _text(order.average))
        return (3, *numbers, self._perm(order), 0, _text(last), self.numbers[order.cl_ord_id][0], "", 0)

    def execution(
        self, order: TruthOrder, fill: TruthFill, *, cumulative: Decimal, number: int = -1, restates: str = ""
    ) -> Message:
        """One execution (11); `restates` names the one whose place it takes."""
        exec_id = self.exec_id(fill, restates=restates)
        head: Message = (11, number, self._number(order), *self._contract(order.symbol), exec_id, _now())
        side = "BOT" if order.side == BUY else "SLD"
        told: Message = (self._account, "IDEALPRO", side, _text(fill.quantity), _text(fill.price), self._perm(order))
        client = self.numbers.get(order.cl_ord_id, (0, 0))[0]
        return (*head, *told, client, 0, _text(cumulative), _text(order.average), order.cl_ord_id, "", 0, "", 2)

    def exec_id(self, fill: TruthFill, *, restates: str = "") -> str:
        """Return what the wire calls an execution."""
        if restates:
            base, _, last = self._wire_id(restates).rpartition(".")
            self._exec_ids[fill.exec_id] = f"{base}.{int(last) + 1:02d}"
        return self._wire_id(fill.exec_id)

    def _wire_id(self, exec_id: str) -> str:
        fill = TruthFill(exec_id=exec_id, quantity=Decimal(0), price=Decimal(0))
        return self._exec_ids.setdefault(exec_id, f"0000e0d5.{number_of(fill):08x}.01.01")

    def commission(self, fill: TruthFill) -> Message:
        """What an execution cost (59)."""
        return (59, 1, self.exec_id(fill), "1.25", "USD", "1.7976931348623157E308", "", 0)

    def position(self, *, name: str, units: Decimal) -> Message:
        """A position (61)."""
        return (61, 3, self._account, *self._contract(name), _text(units), "1.0")

    def money(self, *, number: int) -> list[Message]:
        """The account's money (63) and the end of it (64)."""
        rows: list[Message] = [(63, 1, number, self._account, tag, value, "USD") for tag, value in ACCOUNT_MONEY]
        return [*rows, (64, 1, number)]

    def completed(self, order: TruthOrder) -> Message:
        """An order that ended (101), with its whole tail of settings nobody set."""
        status = {"filled": "Filled", "cancelled": "Cancelled"}.get(order.ended, "Inactive")
        return (
            *(101, *self._contract(order.symbol), *self._terms(order), "", 0, order.cl_ord_id, self._perm(order)),
            *(0, 0, 0, "", "", "", "", ""),
            *("", "", "", "", "", 0, "", -1, "", "", "", "", "", "", 0, 0, "", 3, 0, "", 0, "None", "", 0, 0, 0, ""),
            *(0, "", "", "", "", 0, 0, 0, "", "", "", "", "", "IB", 0, 0, "", 0, status, 0, 0, 0),
            *("", "", "", 0, 0, "", _text(order.filled), 0, 0, "", 0, 0, 0, _now(), f"{status} Size", *("",) * 5),
        )

    def _terms(self, order: TruthOrder) -> Message:
        action = "BUY" if order.side == BUY else "SELL"
        price = _text(order.price or Decimal(0))
        return (action, _text(order.quantity), "LMT", price, "0.0", _TIFS[order.time_in_force], "", self._account)

    def _contract(self, name: str) -> Message:
        symbol, kind, exchange, currency = name.split()[:4]
        return (self._ids[name], symbol, kind, "", 0, "?", "", exchange, currency, f"{symbol}.{currency}", symbol)

    def _number(self, order: TruthOrder) -> int:
        return self.numbers.get(order.cl_ord_id, (0, 0))[1]

    def _perm(self, order: TruthOrder) -> int:
        return PERM_FIRST + int(order.order_id)


def error(number: int, code: int, text: str) -> Message:
    """A message of any kind of trouble, or none (4)."""
    return (4, 2, number, code, text, "")


def _now() -> str:
    return f"{datetime.now(ZoneInfo(ZONE)):%Y%m%d %H:%M:%S} {ZONE}"


def _text(number: Decimal) -> str:
    return f"{number:f}"
