"""What the house would have made of the same flow under A, B and MIXED: by hand, and against the other side's money."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from piggy.core.counterfactual import Dealt, if_kept, if_passed_on, marks
from piggy.core.orders import Side

D = Decimal
SUMS = ("units", "paid", "raw", "arrival", "commission", "fills")
PRICES = st.integers(109_000, 111_000).map(lambda points: D(points) / 100_000)


def dealt(book: str = "B", **changes: Any) -> Dealt:
    given_values: dict[str, Any] = {
        "book": book, "side": Side.BUY, "units": D(100_000), "price": D("1.10013"), "raw": D("1.10010"),
        "mark": D("1.09910"), "rate": D(1), "commission": D(7), "arrival": D("1.10008"), "fee_per_million": D(3),
    }  # fmt: skip
    named = given_values | changes
    prices = {name: named[name] * named["units"] for name in ("raw", "arrival")}
    paid = named.pop("price") * named["units"]
    return Dealt(**(named | prices | {"paid": paid}))


def test_one_lot_by_hand() -> None:
    """Markup 3.00, commission 7.00, the LP's fee 0.33, and 100.00 that the client lost since."""
    fill = dealt()
    assert if_passed_on(dealt=fill) == D("9.66997")
    assert if_kept(dealt=fill) == D("110")
    found = marks(flow=[fill], a_percent=D(40))
    assert (found.actual, found.under_mixed) == (D(110), D("69.867988"))
    assert found.volume == D("110013") and found.per_million(amount=found.actual) == D(110) * 1_000_000 / D(110_013)


@pytest.mark.parametrize(("book", "actual"), [("A", "9.66997"), ("B", "110"), ("CROSS", "10")])
def test_what_was_made_is_that_of_the_book_it_was_dealt_in(book: str, actual: str) -> None:
    assert marks(flow=[dealt(book)], a_percent=D(0)).actual == D(actual)


def test_the_b_book_would_have_filled_what_an_lp_filled_at_the_price_of_arrival() -> None:
    """The LP was 0.2 points worse than the price at arrival: kept, the client would have had that too."""
    assert if_kept(dealt=dealt("A")) == if_kept(dealt=dealt("B")) - D(2)


def test_nothing_dealt_is_nothing_a_million() -> None:
    found = marks(flow=[], a_percent=D(50))
    assert (found.fills, found.per_million(amount=found.actual)) == (0, 0)


@given(
    deals=st.lists(st.tuples(st.sampled_from(list(Side)), st.integers(1, 500), PRICES), max_size=20),
    mark=PRICES,
    percent=st.integers(0, 100),
)
def test_under_b_the_house_has_what_clients_lose_and_mixed_lies_between(
    deals: list[tuple[Side, int, Decimal]], mark: Decimal, percent: int
) -> None:
    """The naive twin: clients' cash and lots, valued at the mark."""
    flow = [
        dealt(side=side, units=D(lots) * 1_000, raw=raw, price=raw, mark=mark, commission=D(0), fee_per_million=D(0))
        for side, lots, raw in deals
    ]
    cash = sum((-side.sign * lots * 1_000 * raw for side, lots, raw in deals), D(0))
    lots = sum(side.sign * lots * 1_000 for side, lots, _ in deals)
    found = marks(flow=flow, a_percent=D(percent))
    assert found.under_b == found.actual == -(cash + lots * mark)
    assert found.under_a == 0
    assert min(found.under_a, found.under_b) <= found.under_mixed <= max(found.under_a, found.under_b)
    back = [structs.replace(each, **{name: -getattr(each, name) for name in SUMS}) for each in flow]
    undone = marks(flow=[*flow, *back], a_percent=D(percent))
    assert (undone.fills, undone.volume, undone.actual, undone.under_mixed) == (0, 0, 0, 0)
    if flow:
        summed = [together([each for each in flow if each.side is side]) for side in Side]
        assert marks(flow=[each for each in summed if each], a_percent=D(percent)) == found


def together(alike: list[Dealt]) -> Dealt | None:
    sums = {name: sum(getattr(each, name) for each in alike) for name in SUMS}
    return structs.replace(alike[0], **sums) if alike else None
