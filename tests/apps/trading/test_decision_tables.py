"""A decision as the admin shows it."""

from __future__ import annotations

from apps.trading.admin.decisions import VENUE_COLUMNS, table


def cells(**row: object) -> str:
    return str(table(VENUE_COLUMNS, [{"venue": "LP1", "rank": 1, **row}]))


def test_a_venues_cost_is_told_with_the_terms_that_make_it_up_to_parts_of_a_tick() -> None:
    terms = {"fee": "0.000022", "rejects": "0", "unfilled": "0", "latency": "0", "markout": "0.0000333333"}
    assert "0.00005533 (fee 0.000022, markout 0.00003333)" in cells(cost="0.0000553333", terms=terms)
    assert ">0<" in cells(cost="0")
    assert "0.00001" in cells(cost="0.00001", terms=None)
