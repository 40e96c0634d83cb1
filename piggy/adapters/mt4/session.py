"""One MetaTrader 4 account behind the bridge agent: all as for MetaTrader 5 but for what its error codes mean."""

from __future__ import annotations

from piggy.adapters.mt4.config import CODES
from piggy.adapters.mt5.session import Mt5Session


class Mt4Session(Mt5Session):
    """`config.stream_url` is where we listen for the agent, `config.secret` what it signs with."""

    codes = CODES
