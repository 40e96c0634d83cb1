"""What an exit protects, told from its terms: the entry that named it, or the position that it was asked for."""

from __future__ import annotations

from decimal import Decimal

from msgspec import structs

from piggy.core.commands import SetExits
from piggy.core.orders import BRACKET, EXITS, OrderTerms, OrderType, Side, exit_of
from tests.core.floor import Floor


def test_an_order_is_an_exit_only_where_the_desk_or_its_position_says_so() -> None:
    terms = OrderTerms(
        account_id="b1", symbol="EURUSD", side=Side.SELL, quantity=Decimal(1), type=OrderType.LIMIT, oco_group="O1/1"
    )
    assert exit_of(terms=terms, source=BRACKET) == ("O1", "take_profit")
    assert exit_of(terms=structs.replace(terms, type=OrderType.STOP), source=EXITS) == ("O1", "stop_loss")
    assert exit_of(terms=terms, source="api") is None
    for group in (None, "O9/exits", "pair"):
        assert exit_of(terms=structs.replace(terms, oco_group=group), source=EXITS) == (None, "take_profit")


def test_the_desk_names_its_exits_as_they_are_told() -> None:
    """An entry's own, and those that a position without any was given."""
    floor, found = Floor(), []
    take_profit, stop_loss = Decimal("1.2"), Decimal("1.05")
    entry = floor.place("b1", Side.BUY, "1", take_profit=take_profit)
    floor.place("b2", Side.BUY, "1")
    floor.do(SetExits(account_id="b2", position_id="b2:EURUSD", stop_loss=stop_loss))
    for order in sorted(floor.desk.state.orders.values(), key=lambda each: each.order_id):
        if told := exit_of(terms=order.terms, source=order.source):
            found.append((order.terms.position_id, *told))
    assert entry and found == [("b1:EURUSD", "O000000001", "take_profit"), ("b2:EURUSD", None, "stop_loss")]
