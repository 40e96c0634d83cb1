"""The desk's marks of each group under A, B and MIXED, from fills, arrival prices and the live quotes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from apps.liquidity.models import LiquidityProvider
from apps.tenants.services import in_tenant
from piggy import projector
from piggy.core.verdicts import VenueConsidered, packed
from tests.apps import records
from tests.apps.dealing.desk_floor import Dealer
from tests.apps.dealing.test_facts import dora as dora
from tests.apps.dealing.test_facts import rows, told

D = Decimal


def lp(price: str) -> VenueConsidered:
    return VenueConsidered("LP1", D(price), D(5), 0, D(0), 1, 1)


@pytest.fixture
def dealt(dora: Dealer, owner_sql: Any) -> Dealer:
    """Beside a lot kept at 1.1: one that LP1 filled 0.00002 worse than it quoted at arrival, markup 0.00003."""
    with in_tenant("acorn"):
        LiquidityProvider.objects.create(name="LP1", commission_per_million=D(3))
        accepted = records.accepted("O2")
        routing = msgspec.structs.replace(accepted.routing, venues=packed(considered=[lp("1.09998")]))
        fill = records.filled(
            "O2", book="A", counterparty="LP1", price=D("1.10003"), raw_price=D("1.10000"), commission=D(7)
        )
        records.write(msgspec.structs.replace(accepted, routing=routing), fill)
        projector.catch_up(tenant="acorn")
    owner_sql("update acorn.trading_fill set filled_at = now()")
    return dora


def test_each_group_is_marked_under_a_b_and_mixed_at_the_live_mid(dealt: Dealer) -> None:
    """Kept: 10 lost to the client at 1.1001. Passed on: 3 of markup, 7 of commission, 0.33 to LP1; kept, 2 less."""
    (row,) = rows(dealt, "marks")
    assert (row["group"], row["mode"], row["fills"], row["unpriced"]) == ("b-book", "B", 2, [])
    passed, kept = D("9.67"), D(-10)
    assert D(row["actual"]) == passed + kept
    assert D(row["under_a"]) == passed
    assert D(row["under_b"]) == kept + (3 - 2 - 10 + 7)
    percent = D(row["a_percent"])
    mixed = (D(row["under_a"]) * percent + D(row["under_b"]) * (100 - percent)) / 100
    assert abs(D(row["under_mixed"]) - mixed) <= D("0.01") and row["best"] == "A"
    assert D(row["actual_rpm"]) == round(D("-0.33") * 1_000_000 / D(row["volume"]), 2)


def test_a_group_whose_symbols_nobody_quotes_says_so(dealt: Dealer, redis_server: Any) -> None:
    told(redis_server, "quotes", {})
    (row,) = rows(dealt, "marks")
    assert (row["unpriced"], row["fills"], row["best"]) == (["EURUSD"], 0, "")
