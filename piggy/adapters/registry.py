"""Which adapter speaks to which kind of venue; loaded when its first account starts, not before."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from piggy.adapters.driver import Driver, Listener
from piggy.adapters.interface import VenueConfig, VenueSession
from piggy.adapters.transport import HttpTransport, Transport

SESSIONS = {
    "binance": ("piggy.adapters.binance.session", "BinanceSession"),
    "binance_usdm": ("piggy.adapters.binance.session", "BinanceSession"),
    "oanda": ("piggy.adapters.oanda.session", "OandaSession"),
    "alpaca": ("piggy.adapters.alpaca.session", "AlpacaSession"),
    "ccxt": ("piggy.adapters.ccxt.session", "CcxtSession"),
    "generic": ("piggy.adapters.generic.session", "GenericSession"),
    "mt5": ("piggy.adapters.mt5.session", "Mt5Session"),
    "mt4": ("piggy.adapters.mt4.session", "Mt4Session"),
    "ibkr": ("piggy.adapters.ibkr.session", "IbkrSession"),
}
# Venues that are not reached by plain HTTP and WebSockets.
TRANSPORTS = {
    "ccxt": ("piggy.adapters.ccxt.transport", "CcxtTransport"),
    "mt5": ("piggy.adapters.mt5.transport", "BridgeTransport"),
    "mt4": ("piggy.adapters.mt5.transport", "BridgeTransport"),
    "ibkr": ("piggy.adapters.ibkr.transport", "TwsTransport"),
}
KINDS = {
    "fix": "FIX 4.4",
    "binance": "Binance spot",
    "binance_usdm": "Binance USD-M",
    "oanda": "OANDA v20",
    "alpaca": "Alpaca",
    "ccxt": "Any exchange of ccxt",
    "generic": "Described by a mapping",
    "mt5": "MetaTrader 5 (agent)",
    "mt4": "MetaTrader 4 (agent)",
    "ibkr": "Interactive Brokers",
}


class UnableToFindAdapter(Exception):
    """No adapter speaks to this kind of venue."""


def session_of(*, config: VenueConfig) -> VenueSession:
    """Return a new session of the config's kind. Raises UnableToFindAdapter."""
    if config.kind not in SESSIONS:
        raise UnableToFindAdapter(f"{config.kind} is none of {', '.join(sorted(SESSIONS))}.")
    module, name = SESSIONS[config.kind]
    return cast("VenueSession", getattr(import_module(module), name)(config=config))


def transport_of(*, config: VenueConfig) -> Transport:
    """Return how requests reach this kind of venue."""
    if config.kind not in TRANSPORTS:
        return HttpTransport()
    module, name = TRANSPORTS[config.kind]
    return cast("Transport", getattr(import_module(module), name)(config=config))


def driver_of(*, config: VenueConfig, listener: Listener) -> Driver:
    """Return what runs an account, not yet started. Raises UnableToFindAdapter."""
    return Driver(session=session_of(config=config), listener=listener, transport=transport_of(config=config))
