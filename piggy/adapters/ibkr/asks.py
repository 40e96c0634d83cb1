"""Every question to a gateway: how ib_async writes it, and which messages are its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ib_async.client import Client
from ib_async.contract import Contract
from ib_async.objects import ExecutionFilter
from ib_async.order import Order

from piggy.adapters.answers import stamp
from piggy.adapters.ibkr.config import ENDED, LAYOUTS, SENT, In

Arguments = dict[str, Any]


class Ask(NamedTuple):
    """One question: how it is written, which messages answer it, which one ends it, what is written after that.

    A question about an order ends with the first status that is none of `waits`; without any end nothing is awaited.
    """

    say: Callable[[Client, int, Arguments], None]
    rows: tuple[str, ...] = ()
    end: str = ""
    after: Callable[[Client, int], None] | None = None
    waits: frozenset[str] | None = None

    @property
    def takes_number(self) -> bool:
        """Whether the messages of its answer name the question, the last one included."""
        return "number" in LAYOUTS.get(self.end, {})


def _contract(args: Arguments) -> Contract:
    words = args["contract"]
    return Contract(
        conId=int(words.get("con_id", 0)),
        symbol=words["symbol"],
        secType=words["type"],
        exchange=words["exchange"],
        currency=words["currency"],
        lastTradeDateOrContractMonth=words.get("expiry", ""),
    )


def _place(client: Client, number: int, args: Arguments) -> None:
    # Numbers are given as text, which is written as it is: no float comes near them.
    order = Order(
        action=args["action"],
        totalQuantity=args["units"],
        orderType="LMT",
        lmtPrice=args["price"],
        tif=args["force"],
        account=args["account"],
        orderRef=args["ref"],
    )
    client.placeOrder(number, _contract(args), order)


def _executions(client: Client, number: int, args: Arguments) -> None:
    since = stamp(max(0, args["since_s"]) * 1_000_000)
    text = since[:19].replace("-", "").replace("T", "-")
    client.reqExecutions(number, ExecutionFilter(acctCode=args["account"], time=text))


def _watch(client: Client, number: int, args: Arguments) -> None:
    contract = _contract(args)
    if args["rows"] > 1:
        client.reqMktDepth(number, contract, args["rows"], contract.exchange == "SMART", None)
    else:
        client.reqMktData(number, contract, "", False, False, None)


def _unwatch(client: Client, number: int, args: Arguments) -> None:
    if args["rows"] > 1:
        client.cancelMktDepth(number, False)
    else:
        client.cancelMktData(number)


ASKS: dict[str, Ask] = {
    "contract": Ask(lambda c, n, args: c.reqContractDetails(n, _contract(args)), (In.CONTRACT,), In.CONTRACT_END),
    "open_orders": Ask(lambda c, n, args: c.reqAllOpenOrders(), (In.OPEN_ORDER, In.ORDER_STATUS), In.OPEN_ORDERS_END),
    "completed_orders": Ask(lambda c, n, args: c.reqCompletedOrders(True), (In.COMPLETED,), In.COMPLETED_END),
    "executions": Ask(_executions, (In.EXECUTION,), In.EXECUTIONS_END),
    "positions": Ask(
        lambda c, n, args: c.reqPositions(), (In.POSITION,), In.POSITIONS_END, lambda c, n: c.cancelPositions()
    ),
    "summary": Ask(
        lambda c, n, args: c.reqAccountSummary(n, "All", args["tags"]),
        (In.SUMMARY,),
        In.SUMMARY_END,
        lambda c, n: c.cancelAccountSummary(n),
    ),
    "watch": Ask(_watch),
    "unwatch": Ask(_unwatch),
    "place": Ask(_place, (In.ORDER_STATUS, In.OPEN_ORDER), waits=SENT),
    "cancel": Ask(lambda c, n, args: c.cancelOrder(n), (In.ORDER_STATUS,), waits=ENDED | {"Filled", "Inactive"}),
}
