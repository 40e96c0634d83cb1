"""What the log's settings said on a day: symbols, groups, accounts, price profiles, folded as the engine folds them."""

from __future__ import annotations

from datetime import date

from apps.reports.selectors.files import Log, exact
from piggy.core.events import Recorded
from piggy.core.folding import fold
from piggy.core.state import State
from piggy.messaging.upcasting import event_of

SETTINGS = """
SELECT business_date, seq, version, payload FROM log
WHERE type IN ('InstrumentConfigured', 'GroupConfigured', 'AccountConfigured', 'PricingConfigured') ORDER BY seq
"""
# Each fill tells the rate of its moment, which stands while nothing quotes.
RATES = """
SELECT business_date, max(seq) AS latest, symbol, account_id, arg_max(conversion_rate, seq) FROM log
WHERE type = 'OrderFilled' GROUP BY ALL ORDER BY latest
"""


class Settings:
    """The settings in force, moved on a day at a time."""

    def __init__(self, *, log: Log, tenant: str) -> None:
        self.state = State(tenant=tenant)
        self._events = log.rows(SETTINGS)
        self._rates = log.rows(RATES)
        self._told = self._rated = 0

    def move_to(self, day: date) -> State:
        """Take everything up to the end of `day`; days come in order."""
        while self._told < len(self._events) and self._events[self._told][0] <= day:
            _, seq, version, payload = self._events[self._told]
            event = event_of(payload=payload, version=version)
            fold(state=self.state, recorded=_recorded(seq, event))
            self._told += 1
        while self._rated < len(self._rates) and self._rates[self._rated][0] <= day:
            _, _, symbol, account_id, rate = self._rates[self._rated]
            key = (self.state.instruments[symbol].quote, self.state.accounts[account_id].currency)
            self.state.rates[key] = exact(rate)
            self._rated += 1
        return self.state


def _recorded(seq: int, event: object) -> Recorded:
    return Recorded(
        seq=seq,
        command_id="",
        position=0,
        principal="",
        request_hash="",
        occurred_at_us=0,
        recorded_at_us=0,
        recorded_mono_ns=0,
        event=event,  # type: ignore[arg-type]
    )
