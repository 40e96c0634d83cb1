"""What one FIX session needs to know, and how its LP bends the standard: dialects are data, not code."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import msgspec

from piggy.adapters.interface import ORDER_AGE_MS_MAX, SymbolMapping

HEARTBEAT_S = 10
RECONNECT_S = 1
# No order goes to an LP that was not heard for so many heartbeats; after 2.4 QuickFIX gives the line up (F-07).
SILENCE_HEARTBEATS_MAX = 2
# An LP that has not listed its symbols by then is taken to list none.
LISTING_S_MAX = 3.0
# What the desk trades in.
LOT_STEP = Decimal("0.01")
DICTIONARY_NAME = "FIX44.xml"


class FillRule(StrEnum):
    """What makes a fill unique at an LP."""

    EXEC_ID = "exec_id"
    # A Centroid bridge repeats one ExecID on New, partial and final fill.
    EXEC_ID_AND_CUMULATIVE = "exec_id_and_cumulative"
    # cTrader sends no ExecID at all.
    ORDER_AND_CUMULATIVE = "order_and_cumulative"


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How an LP's messages differ from plain FIX 4.4; `spot_lots` is the size of a quote that carries none.

    `security_list` is the SecurityListRequestType that the LP answers, '' where it lists nothing. `target_sub_id` (57)
    is the desk there that takes orders, `quotes_sub_id` the one that quotes, on a session of its own. With
    `resets_at_logon` both sides begin their numbers anew with each logon (141=Y): what the LP said meanwhile is lost,
    and every open order is asked about.
    """

    name: str = "standard"
    fill_rule: FillRule = FillRule.EXEC_ID
    fill_price_tags: tuple[str, ...] = ("31",)
    symbol_tag: str = "55"
    market_depth: int = 0
    status_requests: bool = True
    mass_status: bool = True
    security_list: str = "4"
    dont_know_trade: bool = True
    time_in_force: bool = True
    spot_lots: Decimal = Decimal(10)
    target_sub_id: str = ""
    quotes_sub_id: str = ""
    resets_at_logon: bool = False


DIALECTS = {
    "standard": Dialect(),
    "ctrader": Dialect(
        name="ctrader",
        fill_rule=FillRule.ORDER_AND_CUMULATIVE,
        # AvgPx is the price of each deal, and the average only of IOC and GTD orders: ours are GTC there.
        fill_price_tags=("31", "6"),
        time_in_force=False,
        target_sub_id="TRADE",
        quotes_sub_id="QUOTE",
        resets_at_logon=True,
        security_list="0",
        dont_know_trade=False,
    ),
    "centroid": Dialect(name="centroid", fill_rule=FillRule.EXEC_ID_AND_CUMULATIVE),
    "lmax": Dialect(name="lmax", symbol_tag="48", mass_status=False, security_list="", dont_know_trade=False),
}


class SessionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One FIX session of one tenant; `home` is its own folder for sequence numbers and logs, `account` (1) what orders
    are booked to where the LP keeps several for us.

    `numbers_since` is when its numbers began last, where that was agreed: older ones begin anew at 1.
    `drop_copy` is the session on which the LP repeats its reports, if it has one; that one only listens (`listens`).
    `quotes` is the one on which it quotes, where this one takes orders only; nothing else is said there
    (`only_quotes`), and as prices missed are worth nothing, its numbers begin anew with each logon.
    """

    tenant: str
    venue: str
    host: str
    port: int
    sender_comp_id: str
    target_comp_id: str
    home: Path
    symbols: tuple[SymbolMapping, ...]
    dialect: Dialect = Dialect()
    account: str = ""
    username: str = ""
    password: str = ""
    credential_version: int = 0
    heartbeat_s: int = HEARTBEAT_S
    lot_step: Decimal = LOT_STEP
    order_age_ms_max: int = ORDER_AGE_MS_MAX
    listens: bool = False
    only_quotes: bool = False
    numbers_since: datetime | None = None
    sender_sub_id: str = ""
    target_sub_id: str = ""
    drop_copy: SessionConfig | None = None
    quotes: SessionConfig | None = None

    def __repr__(self) -> str:
        return f"SessionConfig({self.tenant}/{self.venue} {self.host}:{self.port})"

    @property
    def qualifier(self) -> str:
        """What tells two sessions with the same CompIDs apart here; it is not said."""
        return "quotes" if self.only_quotes else ""

    @property
    def resets_at_logon(self) -> bool:
        """Whether numbers begin anew with each logon."""
        return self.only_quotes or self.dialect.resets_at_logon

    @property
    def silence_s_max(self) -> int:
        """How long the LP may be silent, in seconds, before no order leaves."""
        return SILENCE_HEARTBEATS_MAX * self.heartbeat_s

    @property
    def to_venue(self) -> dict[str, SymbolMapping]:
        """Mappings by our symbol."""
        return {mapping.symbol: mapping for mapping in self.symbols}

    @property
    def from_venue(self) -> dict[str, SymbolMapping]:
        """Mappings by the venue's symbol."""
        return {mapping.venue_symbol: mapping for mapping in self.symbols}


def settings_text(*, config: SessionConfig) -> str:
    """Return QuickFIX settings of one initiator.

    PersistMessages=N keeps sequence numbers but no message: a resend request is answered with a gap fill, so that no
    stale order is ever repeated, and the Logon with its password is never on disk. An empty field is no reason to
    refuse a fill, which QuickFIX would, before we hear of it.
    """
    rows = {
        "ConnectionType": "initiator",
        "BeginString": "FIX.4.4",
        "SenderCompID": config.sender_comp_id,
        "TargetCompID": config.target_comp_id,
        "SocketConnectHost": config.host,
        "SocketConnectPort": config.port,
        "HeartBtInt": config.heartbeat_s,
        "ReconnectInterval": RECONNECT_S,
        "LogonTimeout": 5,
        "NonStopSession": "Y",
        "PersistMessages": "N",
        "ResetOnLogon": "Y" if config.resets_at_logon else "N",
        "ResetOnLogout": "N",
        "ResetOnDisconnect": "N",
        "CheckLatency": "N",
        "SocketNodelay": "Y",
        "UseDataDictionary": "Y",
        "DataDictionary": config.home / DICTIONARY_NAME,
        "ValidateUserDefinedFields": "N",
        "ValidateFieldsHaveValues": "N",
        "ValidateFieldsOutOfOrder": "N",
        "AllowUnknownMsgFields": "Y",
        "FileStorePath": config.home / "store",
    }
    if config.qualifier:
        rows["SessionQualifier"] = config.qualifier
    return "[DEFAULT]\n[SESSION]\n" + "".join(f"{name}={value}\n" for name, value in rows.items())
