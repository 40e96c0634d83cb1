"""An A-book order larger than any LP shows fills in several legs, at the LPs' prices, and says whom it weighed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from apps.common.times import moment
from piggy.adapters.fix.messages import SOH
from piggy.core.events import ChildOrderFilled
from piggy.messaging import receipts
from tests.flows.venue import LPS, RunningVenue, wait

LOGIN, ACCOUNT = "judy", "A1010"
LOTS = Decimal(8)
UNITS = Decimal(100_000)
NAMES = [lp.name for lp in LPS]
HEADS = "reference,symbol,side,quantity,price,traded_at"

pytestmark = pytest.mark.timeout(400)


def shown_lots() -> Decimal:
    """What the deepest LP shows on one side."""
    return max(sum((lp.level_lots * (level + 1) for level in range(lp.depth)), Decimal(0)) for lp in LPS)


def test_legs_at_several_lps_fill_one_order(running: RunningVenue) -> None:
    assert shown_lots() < LOTS
    answer = running.order(LOGIN, account_id=ACCOUNT, symbol="EURUSD", side="buy", quantity=str(LOTS))
    assert answer.status_code == 201, answer.text
    order_id = answer.json()["order_id"]
    wait(
        lambda: shown(running, order_id)["state"] == "filled" and running.settled(),
        what=lambda: shown(running, order_id),
    )

    legs = running.rows(f"select venue, cl_ord_id, filled from trading_childorder where order_id = '{order_id}'")
    assert len({venue for venue, _, _ in legs}) > 1
    assert sum(filled for _, _, filled in legs) == LOTS

    at_lps = [running.truth(venue)[cl_ord_id] for venue, cl_ord_id, _ in legs]
    assert [order.filled for order in at_lps] == [filled * UNITS for _, _, filled in legs]
    assert all(order.received == 1 for order in at_lps)

    mine = [fill for fill in fills(running) if fill["order_id"] == order_id]
    markup = Decimal("0.00001")
    told = sorted((Decimal(fill["price"]) - markup, Decimal(fill["quantity"]) * UNITS) for fill in mine)
    assert told == sorted((fill.price, fill.quantity) for order in at_lps for fill in order.fills)
    cost = sum(price * quantity for price, quantity in told) / (LOTS * UNITS)
    assert Decimal(shown(running, order_id)["average_price"]) == (cost + markup).quantize(Decimal("1E-10"))

    for venue, cl_ord_id, _ in legs:
        lines = [
            line.replace(SOH, "|")
            for line in running.messages(venue).splitlines()
            if f"11={cl_ord_id}" in line.replace(SOH, "|")
        ]
        assert any("|35=D|" in line for line in lines) and any("|150=F|" in line for line in lines)

    routing = running.routing(order_id)
    assert sorted(seen["venue"] for seen in routing["considered"]) == NAMES
    assert all(seen["price"] and seen["size"] and seen["text"] for seen in routing["considered"])
    assert shown(running, order_id)["reason"]

    with running.web(LOGIN) as web:
        receipt = web.get(f"/api/v1/orders/{order_id}/receipt").json()
    assert receipts.faults(told=receipt) == [], "its events are chained as the engine wrote them"
    assert sorted(leg["venue"] for leg in receipt["execution"]["legs"]) == sorted(venue for venue, _, _ in legs)
    assert Decimal(receipt["execution"]["totals"]["filled"]) == LOTS

    with running.web(LOGIN) as web:
        (position,) = [row for row in web.get("/api/v1/positions").json()["results"] if row["symbol"] == "EURUSD"]
    assert Decimal(position["quantity"]) == LOTS


def test_the_lps_own_book_is_a_statement_that_our_log_agrees_with(running: RunningVenue, tmp_path: Path) -> None:
    """INV-22, on the whole venue: one line is left out and one restated; these two are found, and nothing else is."""
    _, second, *others = statement(running, "LP1")
    cells = second.split(",")
    cells[4] = str(Decimal(cells[4]) + 1)
    path = tmp_path / "lp1.csv"
    path.write_text("\n".join([HEADS, ",".join(cells), *others]))
    differs = running.manage("pnl", "reconcile", str(path), "--venue", "LP1", "--tenant", "acorn")
    assert differs.returncode == 3 and "2 new breaks" in differs.stdout, differs.stdout + differs.stderr
    assert "missing there" in differs.stdout and f"price         │ {cells[0]}" in differs.stdout


def statement(running: RunningVenue, lp: str) -> list[str]:
    """What an LP did for us as its own book has it, in lots; the times are ours, for the book has none."""
    filled = [event for event in running.events() if isinstance(event, ChildOrderFilled) and event.venue == lp]
    at_us = {event.fill_id: event.occurred_at_us for event in filled}
    units = dict(
        running.rows(
            "select s.venue_symbol, s.units_per_lot from liquidity_lpsymbol s"
            f" join liquidity_liquidityprovider p on p.id = s.provider_id where p.name = '{lp}'"
        )
    )
    assert len(at_us) > 1
    return [
        f"{fill.exec_id},{order.symbol},{order.side},{fill.quantity / units[order.symbol]:f},{fill.price},"
        f"{moment(at_us[fill.exec_id]):%Y-%m-%d %H:%M:%S}"
        for order in running.truth(lp).values()
        for fill in order.fills
    ]


def shown(running: RunningVenue, order_id: str) -> dict[str, str]:
    with running.web(LOGIN) as web:
        answer = web.get(f"/api/v1/orders/{order_id}")
    return answer.json() if answer.status_code == 200 else {"state": "not projected"}


def fills(running: RunningVenue) -> list[dict[str, str]]:
    with running.web(LOGIN) as web:
        found: list[dict[str, str]] = web.get("/api/v1/fills").json()["results"]
    return found
