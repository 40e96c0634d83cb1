"""The ground of every venue: its server with two symbols, and the adapter's configuration to reach it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from piggy.adapters.alpaca.session import AlpacaSession
from piggy.adapters.binance.session import BinanceSession
from piggy.adapters.ccxt.session import CcxtSession
from piggy.adapters.generic.session import GenericSession
from piggy.adapters.interface import SymbolMapping, VenueConfig
from piggy.adapters.oanda.session import OandaSession
from piggy.simulator.alpaca import AlpacaServer
from piggy.simulator.binance import BinanceServer
from piggy.simulator.certification.ground import Ground, home_of
from piggy.simulator.config import SymbolConfig
from piggy.simulator.oanda import OandaServer
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


def binance(home: Path, *, usdm: bool = False) -> Ground:
    """Binance, spot or USD-M."""
    kind = "binance_usdm" if usdm else "binance"
    server = BinanceServer(symbols=CRYPTO, home=home_of(name=kind, home=home), usdm=usdm, key=KEY, secret=SECRET)
    server.start()
    config = VenueConfig(
        tenant=TENANT,
        venue="BIN1",
        kind=kind,
        symbols=CRYPTO_MAPPINGS,
        rest_url=f"http://{server.address}",
        stream_url=f"ws://{server.address}",
        key=KEY,
        secret=SECRET,
    )
    return Ground(server=server, config=config, session_class=BinanceSession)


def binance_usdm(home: Path) -> Ground:
    """USD-M futures."""
    return binance(home, usdm=True)


def oanda(home: Path) -> Ground:
    """OANDA v20."""
    server = OandaServer(symbols=FOREX, home=home_of(name="oanda", home=home), secret=SECRET)
    server.start()
    config = VenueConfig(
        tenant=TENANT,
        venue="OAN1",
        kind="oanda",
        symbols=FOREX_MAPPINGS,
        rest_url=f"http://{server.address}",
        stream_url=f"http://{server.address}",
        account=server.account,
        secret=SECRET,
    )
    return Ground(server=server, config=config, session_class=OandaSession)


def alpaca(home: Path) -> Ground:
    """Alpaca: one level of depth, shares in lots of a hundred."""
    server = AlpacaServer(symbols=SHARES, home=home_of(name="alpaca", home=home), key=KEY, secret=SECRET)
    server.start()
    config = VenueConfig(
        tenant=TENANT,
        venue="ALP1",
        kind="alpaca",
        symbols=SHARES_MAPPINGS,
        rest_url=f"http://{server.address}",
        stream_url=f"ws://{server.address}",
        settings={"data_url": f"ws://{server.address}"},
        key=KEY,
        secret=SECRET,
        depth=1,
    )
    return Ground(server=server, config=config, session_class=AlpacaSession)


def ccxt(home: Path) -> Ground:
    """An exchange through ccxt: its own Binance, sent to ours."""
    server = BinanceServer(symbols=CRYPTO, home=home_of(name="ccxt", home=home), key=KEY, secret=SECRET)
    server.start()
    config = VenueConfig(
        tenant=TENANT,
        venue="CCX1",
        kind="ccxt",
        symbols=(
            SymbolMapping(symbol="BTCUSD", venue_symbol="BTC/USDT", units_per_lot=Decimal(1)),
            SymbolMapping(symbol="ETHUSD", venue_symbol="ETH/USDT", units_per_lot=Decimal(1)),
        ),
        rest_url=f"http://{server.address}",
        settings={
            "exchange": "binance",
            "options": '{"fetchMarkets":{"types":["spot"]},"fetchMargins":false}',
            "requests_per_s": "200",
        },
        key=KEY,
        secret=SECRET,
        depth=10,
    )
    return Ground(server=server, config=config, session_class=CcxtSession)


def generic(home: Path) -> Ground:
    """A venue that its mapping file describes."""
    server = ToyServer(symbols=CRYPTO, home=home_of(name="generic", home=home), key=KEY, secret=SECRET)
    server.start()
    config = VenueConfig(
        tenant=TENANT,
        venue="TOY1",
        kind="generic",
        symbols=CRYPTO_MAPPINGS,
        rest_url=f"http://{server.address}",
        settings={"mapping": MAPPING.read_text(), "requests_per_s": "200"},
        key=KEY,
        secret=SECRET,
    )
    return Ground(server=server, config=config, session_class=GenericSession)


GROUNDS: dict[str, Callable[[Path], Ground]] = {
    "binance": binance,
    "binance_usdm": binance_usdm,
    "oanda": oanda,
    "alpaca": alpaca,
    "ccxt": ccxt,
    "generic": generic,
}
