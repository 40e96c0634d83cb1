"""One account at a described venue: the conversation is the polled one, the words are the mapping's."""

from __future__ import annotations

from piggy.adapters.ccxt.session import CcxtSession
from piggy.adapters.generic.outbound import Asker
from piggy.adapters.interface import VenueConfig


class GenericSession(CcxtSession):
    """`config.settings["mapping"]` describes the venue. Raises UnableToReadMapping."""

    def __init__(self, *, config: VenueConfig) -> None:
        super().__init__(config=config)
        self._ask = Asker(config=config)
