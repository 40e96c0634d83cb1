"""The TWS wire both ways: what ib_async writes of our questions, and what its decoder and ours read of a gateway."""

from __future__ import annotations

import random
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ib_async.client import Client
from ib_async.decoder import Decoder

from piggy.adapters.ibkr import inbound
from piggy.adapters.ibkr.asks import ASKS
from piggy.adapters.ibkr.config import VERSION
from piggy.adapters.ibkr.outbound import Asker
from piggy.adapters.ibkr.transport import Line
from piggy.adapters.interface import Request
from piggy.simulator import ibkr_wire
from piggy.simulator.certification.grounds import CASH
from piggy.simulator.config import LpConfig
from piggy.simulator.exchange import Exchange
from piggy.simulator.faults import Faults
from piggy.simulator.ibkr import _changes
from piggy.simulator.quotes import Rung
from tests.adapters.recorded import child_of, config_of

NAME = CASH[0].symbol
CONFIG = config_of("ibkr", {"EURUSD": (NAME, "100000")}, account="DU1")
CONTRACT = {"symbol": "EUR", "type": "CASH", "exchange": "IDEALPRO", "currency": "USD", "con_id": "1000"}


class Socket:
    def __init__(self) -> None:
        self.sent: list[list[str]] = []

    def sendMsg(self, frame: bytes) -> None:
        assert int.from_bytes(frame[:4]) == len(frame) - 4
        self.sent.append(ibkr_wire.fields(frame[4:]))


async def written(request: Request, number: int = 7) -> list[str]:
    """Return the fields that leave for a question."""
    client, socket = Client(Line()), Socket()
    client.conn, client.connState, client._serverVersion = socket, Client.CONNECTED, VERSION
    args = msgspec.json.decode(request.body)
    ASKS[request.url].say(client, int(args.get("number") or number), args)
    return socket.sent[0]


async def test_an_order_leaves_with_its_numbers_unrounded_and_its_reference():
    child = child_of("EURUSD", lots="0.12345", price="1.0843000001")
    request = Asker(config=CONFIG).new_order(child=child, number=105, contract=CONTRACT, terms=None)
    assert request.places_order
    order = ibkr_wire.place_order(await written(request))
    assert order == ibkr_wire.PlaceOrder(
        number=105, con_id=1000, action="BUY", units=Decimal(12_345), price=Decimal("1.0843000001"), force="3",
        account="DU1", ref="o1-V1-1",
    )  # fmt: skip


async def test_questions_leave_as_documented():
    ask = Asker(config=CONFIG)
    assert await written(ask.cancel(number=105)) == ["4", "1", "105", ""]
    assert await written(ask.open_orders()) == ["16", "1"]
    assert await written(ask.completed_orders()) == ["99", "1"]
    since = await written(ask.executions(since_us=1_767_623_403_000_000))
    assert since[:6] == ["7", "3", "7", "0", "DU1", "20260105-14:30:00"]
    assert (await written(ask.contract(venue_symbol=NAME)))[:6] == ["9", "8", "7", "0", "EUR", "CASH"]
    depth = await written(ask.watch(ticker=9, contract=CONTRACT))
    assert (depth[:4], depth[15]) == (["10", "5", "9", "1000"], "20")
    top = msgspec.structs.replace(CONFIG, depth=1)
    assert (await written(Asker(config=top).watch(ticker=9, contract=CONTRACT)))[:4] == ["1", "11", "9", "1000"]
    assert await written(ask.positions()) == ["61", "1"]
    assert (await written(ask.summary()))[-1] == "TotalCashValue,AvailableFunds"


class Heard:
    """Stands in for ib_async's wrapper: notes what its decoder calls."""

    class ib:
        TimezoneTWS = None

    defaultTimezone = UTC

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.calls.append(args)


def decoded(message: tuple[object, ...]) -> tuple[tuple[Any, ...], dict[str, str]]:
    """Return what ib_async reads of a message, and what we do."""
    parts, heard = ibkr_wire.fields(ibkr_wire.framed(message)[4:]), Heard()
    decoder = Decoder(heard, VERSION)
    decoder.handlers[int(parts[0])](list(parts))
    return heard.calls[0], inbound.fields_of(text="\0".join(parts))


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    config = LpConfig(name="IB", depth=3, quotes_per_s=1)
    return Exchange(config=config, symbols=CASH, home=tmp_path, faults=Faults())


def test_ib_async_and_we_read_the_same_of_every_message(exchange: Exchange):
    """The gateway of the range speaks as the library of a real one expects, and no place of a layout is off."""
    wire = ibkr_wire.Wire(exchange=exchange, account="DU1")
    exchange.place(cl_ord_id="r1", symbol=NAME, side="1", quantity=Decimal(1_000), price=Decimal(2), force="3")
    order = exchange.orders()[0]
    wire.numbers["r1"] = (71, 105)
    (number, contract, placed, state), ours = decoded(wire.open_order(order, "Submitted"))
    assert (str(number), str(contract.conId)) == (ours["number"], ours["con_id"])
    assert (placed.orderRef, str(placed.permId), state.status) == (ours["ref"], ours["perm_id"], "Submitted")
    told, ours = decoded(wire.status(order, "Filled", Decimal(1_000)))
    assert (told[1], told[2], told[8]) == (ours["status"], int(ours["filled"]), int(ours["client"]))
    (_, _, execution), ours = decoded(wire.execution(order, order.fills[0], cumulative=Decimal(1_000)))
    assert (execution.execId, execution.side, execution.orderRef) == (ours["exec_id"], ours["side"], ours["ref"])
    assert (execution.shares, execution.cumQty) == (int(ours["units"]), int(ours["cumulative"]))
    assert str(execution.price) == ours["price"]
    assert int(execution.time.timestamp()) * 1_000_000 == inbound.at_us(text=ours["time"], zone="UTC")
    (done_contract, done, ended), ours = decoded(wire.completed(order))
    assert (done.orderRef, ended.status, done.filledQuantity) == (ours["ref"], ours["status"], int(ours["filled"]))
    assert done_contract.conId == contract.conId
    (_, details), ours = decoded(wire.contract(number=3, name=NAME))
    assert (str(details.contract.conId), details.minTick) == (ours["con_id"], 10**-5)
    assert (details.minSize, details.sizeIncrement) == (int(ours["least"]), int(ours["step"]))
    (report,), ours = decoded(wire.commission(order.fills[0]))
    assert (report.execId, report.currency) == (ours["exec_id"], ours["currency"])
    (account, _, held, _), ours = decoded(wire.position(name=NAME, units=Decimal(-5)))
    assert (account, held) == (ours["account"], int(ours["units"]))
    told, ours = decoded(ibkr_wire.error(-1, 2104, "fine"))
    assert told[:3] == (int(ours["number"]), int(ours["code"]), ours["text"])
    told, ours = decoded((12, 1, 9, 2, 0, 1, "1.5", "100"))
    assert [str(one) for one in told[:4]] == [ours[name] for name in ("number", "row", "operation", "side")]


def test_the_gateways_rows_turn_any_book_into_any_other():
    chance = random.Random(7)
    for _ in range(300):
        books = [
            [
                Rung(Decimal(p), Decimal(chance.randint(1, 3)))
                for p in sorted(chance.sample(range(9), chance.randint(0, 6)))
            ]
            for _ in range(2)
        ]
        rows = list(books[0])
        for place, operation, rung in _changes(*books):
            if operation == 0:
                rows.insert(place, rung)
            elif operation == 1:
                rows[place] = rung
            else:
                del rows[place]
        assert rows == books[1]
