"""Bodies of policies that are no struct of the core: what a draft says of an LP, an account, a list of symbols."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum

import msgspec

from piggy.core.accounts import ClientCategory


class VenueStage(StrEnum):
    SHADOW = "shadow"
    CANARY = "canary"
    LIVE = "live"


class RestrictedList(msgspec.Struct, frozen=True, kw_only=True):
    """Symbols that may not be opened (P-04)."""

    symbols: frozenset[str]


class VenueSymbol(msgspec.Struct, frozen=True, kw_only=True):
    """Our symbol under an LP's name, and how many of its units one lot is."""

    symbol: str
    venue_symbol: str
    units_per_lot: Decimal
    enabled: bool = True


class VenueTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What routing goes by at an LP; how its session is reached is on the LP's own record. `stage` shadow: quoted,
    ranked and never sent an order; canary: sent its percent of them; live."""

    enabled: bool
    priority: int
    stage: VenueStage
    canary_percent: Decimal
    quote_age_ms_max: int
    answer_ms_max: int
    messages_per_s_max: int | None = None
    commission_per_million: Decimal
    symbols: tuple[VenueSymbol, ...] = ()


class AccountTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What an account is routed, margined and limited by. A client who is not retail has evidence of it, with its
    date (G-13)."""

    group: str
    category: ClientCategory
    category_evidence: str | None = None
    category_evidenced_on: date | None = None
