"""Which quotes of a symbol are not believed at once: part of its terms, from the next quote on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piggy.core.commands import ConfigureInstrument
from piggy.core.desk import Desk
from piggy.core.events import CommandRefused
from piggy.core.quotefilter import Fault, QuoteFilter
from tests.core.floor import EURUSD, Floor
from tests.core.test_quotes import quoted


def test_a_filter_is_a_symbols_own_and_stays_its_own_after_a_restart() -> None:
    """Quotes that came before it are judged by it too; without one the house's counts again."""
    floor = Floor()
    strict = QuoteFilter(spike_bps_max=Decimal(10), good_ticks=2)
    floor.do(ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, quote_filter=strict)))
    again = Desk.resumed(state=floor.desk.state, memory=floor.desk.memory(answers_max=0))
    assert again.market.symbols() == (), "a filter is no quote"
    again.market.update(quote=quoted("LP1", "1.10000", "1.10010"))
    for market in (floor.desk.market, again.market):
        jumps = [("1.10000", "1.10010"), ("1.10200", "1.10210"), ("1.10200", "1.10210")]
        said = [market.update(quote=quoted("LP1", *jump)) for jump in jumps]
        assert said == [None, Fault.SPIKE, Fault.RECOVERING]
        assert market.update(quote=quoted("LP1", "1.10200", "1.10210")) is None
    floor.do(ConfigureInstrument(instrument=EURUSD))
    assert floor.desk.market.update(quote=quoted("LP1", "1.10500", "1.10510")) is None


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("spike_bps_max", ["0.0001", "10000"], ["0", "-1", "10000.0001", "NaN", "Infinity"]),
        ("reference_age_ms_max", [1, 86_400_000], [0, -1, 86_400_001]),
        ("good_ticks", [1, 1_000], [0, -1, 1_001]),
    ],
)
def test_a_filter_that_would_believe_anything_or_nothing_names_its_field(
    field: str, good: list[Any], bad: list[Any]
) -> None:
    floor = Floor()
    for values, fault in ((good, False), (bad, True)):
        for value in values:
            made = QuoteFilter(**{field: Decimal(value) if isinstance(value, str) else value})
            instrument = msgspec.structs.replace(EURUSD, quote_filter=made)
            (event,) = floor.do(ConfigureInstrument(instrument=instrument))
            named = (event.code, event.field) if isinstance(event, CommandRefused) else None
            assert named == (("TERMS_UNUSABLE", f"quote_filter.{field}") if fault else None)
