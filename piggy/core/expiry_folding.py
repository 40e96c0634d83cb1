"""Folding expiry: from when on an option is dealt no more, at what it is settled, and that no venue holds it then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from piggy.core.events import Recorded
from piggy.core.expiry_events import OptionExpired, VenueSettled
from piggy.core.position_folding import risk_of
from piggy.core.state import State
from piggy.core.venue_books import take_settled
from piggy.core.venue_folding import count_dealt


def _expired(state: State, event: OptionExpired, recorded: Recorded) -> None:
    state.expired[event.symbol] = event


def _venue_settled(state: State, event: VenueSettled, recorded: Recorded) -> None:
    count_dealt(state=state, event=event, sign=1)
    risk_of(risks=state.venue_risks, name=event.venue).move(
        instrument=state.instruments[event.symbol], net=event.side.sign * event.quantity, price=event.price
    )
    state.house_positions.pop((event.venue, event.symbol), None)
    if event.result is None:
        take_settled(books=state.venue_books, event=event, currency="")


EXPIRY_HANDLERS: dict[type, Callable[[State, Any, Recorded], None]] = {
    OptionExpired: _expired,
    VenueSettled: _venue_settled,
}
