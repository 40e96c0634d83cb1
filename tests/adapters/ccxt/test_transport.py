"""What ccxt's own errors mean: only a refusal that it knows the words of is one; all else may well have been done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ccxt
import pytest

from piggy.adapters.ccxt.transport import CcxtTransport
from piggy.adapters.interface import Request, VenueConfig
from piggy.adapters.transport import CALL_S_MAX
from tests.adapters.ccxt.test_ccxt import CONFIG

ORDER = Request(method="POST", url="create_order", body="[]", places_order=True)


@pytest.fixture
def transport() -> CcxtTransport:
    config: VenueConfig = CONFIG
    return CcxtTransport(config=config)


def raising(error: Exception) -> Callable[..., Any]:
    def asked(*_: Any) -> Any:
        raise error

    return asked


@pytest.mark.parametrize(
    ("error", "status"),
    [
        *((kind("a field is missing"), 0) for kind in (KeyError, IndexError, TypeError, ValueError, AttributeError)),
        (ArithmeticError("no number"), 0),
        (ccxt.RequestTimeout("late"), 0),
        (ccxt.ExchangeError("words of nobody"), 500),
        (ccxt.InsufficientFunds("known"), 400),
        (ccxt.InvalidOrder("known"), 400),
        (ccxt.OrderNotFound("known"), 404),
        (ccxt.DuplicateOrderId("known"), 409),
        (ccxt.RateLimitExceeded("known"), 429),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else str(each),
)
def test_an_error_is_a_refusal_only_where_ccxt_knows_its_words(
    error: Exception, status: int, transport: CcxtTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INV-03: an order taken for refused that lives at the exchange would be dealt a second time elsewhere."""
    monkeypatch.setattr(transport, "_own", raising(error))
    answer = transport.call(request=ORDER)
    assert (answer.status, answer.left) == (status, True)


def test_ccxt_waits_no_longer_than_other_venues_do(transport: CcxtTransport) -> None:
    assert transport._exchange.timeout == CALL_S_MAX * 1_000
