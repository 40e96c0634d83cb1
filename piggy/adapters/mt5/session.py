"""One MetaTrader 5 account behind a bridge agent: the conversation is the polled one, the words are MetaTrader's."""

from __future__ import annotations

from collections.abc import Mapping

from piggy.adapters.ccxt.session import CcxtSession
from piggy.adapters.interface import VenueConfig
from piggy.adapters.mt5.config import BUDGET, RETCODES, UNKNOWN_AFTER_US, Meaning
from piggy.adapters.mt5.outbound import Asker, client_id


class Mt5Session(CcxtSession):
    """`config.stream_url` is where we listen for the agent, `config.secret` what it signs with."""

    codes: Mapping[int, Meaning] = RETCODES
    unknown_after_us = UNKNOWN_AFTER_US

    def __init__(self, *, config: VenueConfig) -> None:
        super().__init__(config=config)
        self.budget = BUDGET
        self._ask = Asker(config=config, codes=self.codes)

    def client_id(self, *, cl_ord_id: str) -> str:
        """At most 31 characters: it travels in the order's comment."""
        return client_id(cl_ord_id=cl_ord_id)
