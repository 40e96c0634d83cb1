"""The ground of every venue: its server with two symbols, and the adapter's configuration to reach it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import structs

from piggy.adapters.alpaca.session import AlpacaSession
from piggy.adapters.binance.session import BinanceSession
from piggy.adapters.ccxt.session import CcxtSession
from piggy.adapters.generic.session import GenericSession
from piggy.adapters.ibkr.session import IbkrSession
from piggy.adapters.interface import SymbolMapping, VenueConfig, VenueSession
from piggy.adapters.mt4.session import Mt4Session
from piggy.adapters.mt5.session import Mt5Session
from piggy.adapters.oanda.session import OandaSession
from piggy.simulator.alpaca import AlpacaServer
from piggy.simulator.binance import BinanceServer
from piggy.simulator.certification.fix_ground import free_ports
from piggy.simulator.certification.ground import Ground, home_of
from piggy.simulator.config import SymbolConfig
from piggy.simulator.ibkr import TwsServer
from piggy.simulator.mt4 import Mt4Server
from piggy.simulator.mt5 import Mt5Server, TerminalServer
from piggy.simulator.oanda import OandaServer
from piggy.simulator.server import SocketServer
from piggy.simulator.toy import MAPPING, ToyServer

TENANT = "acorn"
KEY, SECRET = "range-key", "range-secret"


def symbol(name: str, mid: str, digits: int, spread_points: int, units_per_lot: int, step: int) -> SymbolConfig:
    """Return one symbol of a server."""
    return SymbolConfig(
        symbol=name,
        mid=Decimal(mid),
        digits=digits,
        spread_points=spread_points,
        units_per_lot=Decimal(units_per_lot),
        step_points=step,
    )


CRYPTO = (symbol("BTCUSDT", "64250.00", 2, 800, 1, 400), symbol("ETHUSDT", "2650.00", 2, 60, 1, 30))
CRYPTO_MAPPINGS = (
    SymbolMapping(symbol="BTCUSD", venue_symbol="BTCUSDT", units_per_lot=Decimal(1)),
    SymbolMapping(symbol="ETHUSD", venue_symbol="ETHUSDT", units_per_lot=Decimal(1)),
)


PAIR_MAPPINGS = tuple(
    structs.replace(mapping, venue_symbol=mapping.venue_symbol.replace("USDT", "/USDT")) for mapping in CRYPTO_MAPPINGS
)


FOREX = (symbol("EUR_USD", "1.08500", 5, 8, 100_000, 3), symbol("USD_JPY", "151.200", 3, 10, 100_000, 3))
FOREX_MAPPINGS = (
    SymbolMapping(symbol="EURUSD", venue_symbol="EUR_USD", units_per_lot=Decimal(100_000)),
    SymbolMapping(symbol="USDJPY", venue_symbol="USD_JPY", units_per_lot=Decimal(100_000)),
)


SHARES = (symbol("AAPL", "161.10", 2, 2, 100, 3), symbol("TSLA", "840.50", 2, 10, 100, 9))
SHARES_MAPPINGS = (
    SymbolMapping(symbol="AAPL", venue_symbol="AAPL", units_per_lot=Decimal(100)),
    SymbolMapping(symbol="TSLA", venue_symbol="TSLA", units_per_lot=Decimal(100)),
)


METALS = (symbol("EURUSD", "1.08500", 5, 8, 1, 3), symbol("XAUUSD", "2350.00", 2, 20, 1, 8))
METALS_MAPPINGS = (
    SymbolMapping(symbol="EURUSD", venue_symbol="EURUSD", units_per_lot=Decimal(1)),
    SymbolMapping(symbol="XAUUSD", venue_symbol="XAUUSD", units_per_lot=Decimal(1)),
)


def binance(home: Path) -> Ground:
    """Binance spot."""
    server = BinanceServer(symbols=CRYPTO, home=home_of(name="binance", home=home), key=KEY, secret=SECRET)
    return _served("binance", server, CRYPTO_MAPPINGS, BinanceSession, key=KEY)


def binance_usdm(home: Path) -> Ground:
    """Binance USD-M futures."""
    place = home_of(name="binance_usdm", home=home)
    server = BinanceServer(symbols=CRYPTO, home=place, usdm=True, key=KEY, secret=SECRET)
    return _served("binance_usdm", server, CRYPTO_MAPPINGS, BinanceSession, key=KEY)


def oanda(home: Path) -> Ground:
    """OANDA v20: its streams are lines of HTTP."""
    server = OandaServer(symbols=FOREX, home=home_of(name="oanda", home=home), secret=SECRET)
    return _served("oanda", server, FOREX_MAPPINGS, OandaSession, scheme="http", account=server.account)


def alpaca(home: Path) -> Ground:
    """Alpaca: one level of depth, shares in lots of a hundred."""
    server = AlpacaServer(symbols=SHARES, home=home_of(name="alpaca", home=home), key=KEY, secret=SECRET).start()
    data = {"data_url": f"ws://{server.address}"}
    return _served("alpaca", server, SHARES_MAPPINGS, AlpacaSession, key=KEY, settings=data, depth=1)


def ccxt(home: Path) -> Ground:
    """An exchange through ccxt: its own Binance, sent to ours."""
    server = BinanceServer(symbols=CRYPTO, home=home_of(name="ccxt", home=home), key=KEY, secret=SECRET)
    settings = {
        "exchange": "binance",
        "options": '{"fetchMarkets":{"types":["spot"]},"fetchMargins":false}',
        "requests_per_s": "200",
    }
    return _served("ccxt", server, PAIR_MAPPINGS, CcxtSession, key=KEY, settings=settings, depth=10)


def generic(home: Path) -> Ground:
    """A venue that its mapping file describes."""
    server = ToyServer(symbols=CRYPTO, home=home_of(name="generic", home=home), key=KEY, secret=SECRET)
    settings = {"mapping": MAPPING.read_text(), "requests_per_s": "200"}
    return _served("generic", server, CRYPTO_MAPPINGS, GenericSession, key=KEY, settings=settings)


def _served(
    kind: str,
    server: SocketServer,
    mappings: tuple[SymbolMapping, ...],
    session_class: Callable[..., VenueSession],
    *,
    scheme: str = "ws",
    **more: Any,
) -> Ground:
    if not server.port:
        server.start()
    config = VenueConfig(
        tenant=TENANT,
        venue=f"{kind[:3].upper()}1",
        kind=kind,
        symbols=mappings,
        rest_url=f"http://{server.address}",
        stream_url=f"{scheme}://{server.address}",
        secret=SECRET,
        **more,
    )
    return Ground(server=server, config=config, session_class=session_class)


def mt5(home: Path) -> Ground:
    """A terminal with the real agent beside it, dialling in to the adapter."""
    return _bridged("mt5", Mt5Server, Mt5Session, home)


def mt4(home: Path) -> Ground:
    """The same over the files of an expert."""
    return _bridged("mt4", Mt4Server, Mt4Session, home)


def _bridged(kind: str, server_class: type[TerminalServer], session_class: type[Mt5Session], home: Path) -> Ground:
    url, venue = f"ws://127.0.0.1:{free_ports(1)}", f"{kind.upper()}1"
    path = f"/agents/{TENANT}/{venue}"
    server = server_class(symbols=METALS, home=home_of(name=kind, home=home), url=url + path, secret=SECRET)
    config = VenueConfig(
        tenant=TENANT, venue=venue, kind=kind, symbols=METALS_MAPPINGS, stream_url=url, secret=SECRET, depth=1
    )
    ground = Ground(server=server, config=config, session_class=session_class)
    server.start()
    return ground


CASH = (
    symbol("EUR CASH IDEALPRO USD", "1.08500", 5, 8, 100_000, 3),
    symbol("USD CASH IDEALPRO JPY", "151.200", 3, 10, 100_000, 3),
)
CASH_MAPPINGS = (
    SymbolMapping(symbol="EURUSD", venue_symbol="EUR CASH IDEALPRO USD", units_per_lot=Decimal(100_000)),
    SymbolMapping(symbol="USDJPY", venue_symbol="USD CASH IDEALPRO JPY", units_per_lot=Decimal(100_000)),
)


def ibkr(home: Path) -> Ground:
    """A TWS gateway; who may connect is its own affair, so a stranger is who asks for another account."""
    server = TwsServer(symbols=CASH, home=home_of(name="ibkr", home=home))
    ground = _served("ibkr", server, CASH_MAPPINGS, IbkrSession, scheme="tcp", account=server.account)
    ground.stranger = structs.replace(ground.config, account="DU0", settings={"client_id": "99"})
    return ground


GROUNDS: dict[str, Callable[[Path], Ground]] = {
    "binance": binance,
    "binance_usdm": binance_usdm,
    "oanda": oanda,
    "alpaca": alpaca,
    "ccxt": ccxt,
    "generic": generic,
    "mt5": mt5,
    "mt4": mt4,
    "ibkr": ibkr,
}
