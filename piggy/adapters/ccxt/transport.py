"""How calls reach an exchange through ccxt's own HTTP; its exceptions become statuses. ccxt is imported here, late."""

from __future__ import annotations

import logging
import threading
from decimal import localcontext
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from piggy.adapters.ccxt.bounded import bound
from piggy.adapters.ccxt.streaming import METHODS, Streamer
from piggy.adapters.interface import Request, Response, Stream, VenueConfig
from piggy.adapters.transport import CALL_S_MAX, Channel

# The first class that fits counts: some of ccxt's refusals are kinds of network errors.
_STATUSES = (
    ("RateLimitExceeded", 429),
    ("DDoSProtection", 429),
    ("OrderNotFound", 404),
    ("DuplicateOrderId", 409),
    ("AuthenticationError", 401),
    ("OnMaintenance", 503),
    ("ExchangeNotAvailable", 503),
    ("NetworkError", 0),
    ("ExchangeError", 400),
    ("BaseError", 500),
)


_BROKEN = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)
TEXT_MAX = 400
log = logging.getLogger(__name__)


class CcxtTransport:
    """One exchange object, asked by one thread at a time; numbers come as text."""

    def __init__(self, *, config: VenueConfig) -> None:
        self._config = config
        self._ccxt = import_module("ccxt")
        self._lock = threading.Lock()
        self._exchange = self._made(self._ccxt)
        bound(session=self._exchange.session)
        self._streamer: Streamer | None = None
        if config.rest_url:
            self._exchange.session.trust_env = False

    def call(self, *, request: Request) -> Response:
        """Call the method that the request names."""
        arguments = msgspec.json.decode(request.body)
        try:
            # ccxt rounds halves up, and so would all that its thread reckons from then on.
            with self._lock, localcontext():
                value = self._own(request.url, arguments)
        except _BROKEN as error:
            # ccxt stumbles over an answer that lacks what it expects: whatever was asked may well be done.
            log.warning("ccxt could not read an answer", extra={"asked": request.url, "why": repr(error)})
            return Response(status=0, text=f"ccxt could not read the answer: {error!r}"[:TEXT_MAX])
        except self._ccxt.BaseError as error:
            status = next(status for name, status in _STATUSES if isinstance(error, getattr(self._ccxt, name)))
            if type(error) is self._ccxt.ExchangeError:
                # Words that ccxt does not know: nobody can say whether they are a refusal.
                status = 500
            doc = {"code": type(error).__name__, "msg": str(error)[:400]}
            return Response(status=status, text=msgspec.json.encode(doc).decode())
        return Response(status=200, text=msgspec.json.encode(value, enc_hook=str).decode())

    def open(self, *, stream: Stream) -> Channel:
        """Watch what `stream.url` names, of the symbol in `hello`; a new connection begins with its first stream."""
        if self._streamer is None or self._streamer.ended:
            self._streamer = Streamer(make=self._made)
        return self._streamer.channel(method=stream.url, symbol=next(iter(stream.hello), ""))

    def close(self) -> None:
        """Close ccxt's HTTP session."""
        self._exchange.session.close()

    def _made(self, ccxt: Any) -> Any:
        """Return a new exchange object of ccxt or ccxt.pro."""
        config = self._config
        # Signed requests carry the exchange's own time, as far as ccxt can ask for it.
        options = {"adjustForTimeDifference": True} | msgspec.json.decode(config.settings.get("options", "{}"))
        made = getattr(ccxt, config.settings["exchange"])(
            {"apiKey": config.key, "secret": config.secret, "timeout": int(CALL_S_MAX * 1_000), "options": options}
        )
        made.number = str
        # Currencies need rights that a trading key should not have.
        made.has["fetchCurrencies"] = False
        streams = made.urls["api"].get("ws") if isinstance(made.urls["api"], dict) else None
        if config.rest_url:
            made.urls["api"] = _moved(made.urls["api"], config.rest_url)
        if config.stream_url and streams is not None:
            made.urls["api"]["ws"] = _moved(streams, config.stream_url)
        return made

    def _own(self, name: str, arguments: list[Any]) -> Any:
        if name == "markets":
            return self._markets()
        if name == "streams":
            pro = getattr(import_module("ccxt.pro"), self._config.settings["exchange"], None)
            has = pro().has if pro is not None else {}
            return [method for method, named in METHODS.items() if has.get(named)]
        if name == "positions":
            # Of spot there are balances only, and an exchange that has both is not asked for the other's positions.
            held = [one for one in arguments[0] if self._exchange.markets[one].get("contract")]
            return self._exchange.fetch_positions(held) if held and self._exchange.has.get("fetchPositions") else []
        return getattr(self._exchange, name)(*arguments)

    def _markets(self) -> dict[str, Any]:
        markets = self._exchange.load_markets(True)
        kept = ("symbol", "active", "precision", "limits")
        rows = {name: {field: market.get(field) for field in kept} for name, market in markets.items()}
        return {"mode": self._exchange.precisionMode, "markets": rows}


def _moved(urls: Any, base: str) -> Any:
    """Return addresses with another scheme and host, their paths kept."""
    if isinstance(urls, dict):
        return {name: _moved(url, base) for name, url in urls.items()}
    there = urlsplit(base)
    return urlunsplit(urlsplit(str(urls))._replace(scheme=there.scheme, netloc=there.netloc))
