"""INV-18: the desk changes exactly where its log gains an entry, and every entry is in the chain."""

from __future__ import annotations

import random
from decimal import Decimal

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core.accounts import TradingState
from piggy.core.orders import OrderTerms, Side
from piggy.engine.journal import chained
from piggy.engine.snapshot import digest
from piggy.messaging import codec
from piggy.messaging.chain import EVENT_VERSION, FIRST_HASH
from tests.core.floor import Floor

STEPS = 150


def anything(floor: Floor, chance: random.Random) -> cmd.AnyCommand:
    """Return a command that somebody might give: sensible, repeated, refused or without any effect."""
    state, side = floor.desk.state, chance.choice(list(Side))
    lots, account_id = Decimal(chance.randint(0, 300)) / 100, chance.choice(["a1", "b1", "b2", "nobody"])
    terms = OrderTerms(account_id=account_id, symbol=chance.choice(["EURUSD", "NOSUCH"]), side=side, quantity=lots)
    order_id = chance.choice([*state.orders, "O9"])
    known: list[cmd.AnyCommand] = [
        cmd.PlaceOrder(terms=terms),
        cmd.PlaceOrder(terms=terms, shadow=True),
        cmd.CancelOrder(order_id=order_id, account_id=account_id),
        cmd.AmendOrder(order_id=order_id, account_id=account_id, quantity=lots),
        cmd.ConfigureVenue(venue=state.venues["LP1"]),
        cmd.CreditAccount(account_id="b1", amount=lots, reference=f"R{chance.randint(0, 9)}"),
        cmd.SetTradingState(
            scope="account", key="b2", state=chance.choice(list(TradingState)), reason="drill", by=chance.choice("ab")
        ),
        cmd.ActOnTime(),
        cmd.ActOnPrices(symbols=("EURUSD",)),
        cmd.ReleaseThrottle(account_id="b1", by="ann", reason="drill"),
    ]
    if legs := floor.children():
        leg = chance.choice(legs)
        known.append(cmd.RecordVenueDoubt(venue=leg.venue, cl_ord_id=leg.cl_ord_id, text="", occurred_at_us=1))
    return chance.choice(known)


@pytest.mark.parametrize("seed", [1, 2])
def test_inv_18_the_state_changes_where_the_log_gains_entries_and_nowhere_else(seed: int) -> None:
    floor, chance, kinds = Floor(), random.Random(seed), set[tuple[str, bool]]()
    for _ in range(STEPS):
        floor.now_us += chance.choice([0, 400_000])
        floor.requote()
        command, before, entries = anything(floor, chance), digest(state=floor.desk.state), len(floor.log)
        floor.desk.decide(command=command, now_us=floor.now_us)
        assert digest(state=floor.desk.state) == before, "deciding changes nothing"
        events = floor.do(command)
        assert (digest(state=floor.desk.state) != before) == bool(events)
        assert floor.desk.state.seq == len(floor.log) == entries + len(events)
        kinds.add((type(command).__name__, bool(events)))
    assert {("PlaceOrder", True), ("ActOnTime", False), ("ConfigureVenue", False)} <= kinds


def test_inv_18_the_chain_holds_every_entry_and_a_change_of_any_breaks_it() -> None:
    floor, chance, tip = Floor(), random.Random(3), FIRST_HASH
    for _ in range(STEPS):
        floor.do(anything(floor, chance))
    for recorded in floor.log:
        payload = codec.encode(recorded.event)
        row = chained(recorded, type(recorded.event).__name__, EVENT_VERSION, payload, tip)
        again = chained(recorded, row.type, row.version, codec.encode(codec.decode_event(row.payload)), row.prev_hash)
        assert again.hash == row.hash and row.prev_hash == tip
        other = msgspec.structs.replace(recorded, principal="somebody else")
        assert chained(other, row.type, row.version, payload, tip).hash != row.hash
        assert chained(recorded, row.type, row.version, payload, row.hash).hash != row.hash, "nor after another entry"
        tip = row.hash
