"""Recorded payloads of real venues, and conversations played from them without a network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest

from piggy.adapters.interface import Request, Response, Steps, SymbolMapping, VenueConfig, VenueSession
from piggy.core.events import ChildOrderCreated
from piggy.core.orders import Side

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "exchange-api"
T = TypeVar("T")
S = TypeVar("S", bound=VenueSession)


def recorded(path: str) -> Any:
    """Return a recorded document; skips the test where the recordings are not beside the project."""
    if not (FOLDER / path).exists():
        pytest.skip("recorded payloads (../shared/data/exchange-api) are not here")
    return json.loads((FOLDER / path).read_text())


def play(steps: Steps[T], answers: Sequence[Any]) -> tuple[T, list[Request]]:
    """Play a conversation: each answer is a document, a Response, or (status, document); return value and requests."""
    requests: list[Request] = []
    left = list(answers)
    response: Response | None = None
    while True:
        try:
            requests.append(next(steps) if response is None else steps.send(response))
        except StopIteration as stop:
            assert not left, f"never asked for {left}"
            return stop.value, requests
        response = response_of(left.pop(0))


def response_of(answer: Any) -> Response:
    if isinstance(answer, Response):
        return answer
    status, doc = answer if isinstance(answer, tuple) else (200, answer)
    return Response(status=status, text=json.dumps(doc))


def knowing(session: S, *markets: Any) -> S:
    """Return a session that was told the terms of its symbols: without them it sends nothing."""
    play(session.symbols(now_us=1), markets)
    return session


def config_of(kind: str, mappings: dict[str, tuple[str, str]], **more: Any) -> VenueConfig:
    """Return a config with mappings our symbol -> (venue's, units in a lot)."""
    symbols = tuple(
        SymbolMapping(symbol=ours, venue_symbol=theirs, units_per_lot=Decimal(units))
        for ours, (theirs, units) in mappings.items()
    )
    return VenueConfig(tenant="acorn", venue="V1", kind=kind, symbols=symbols, **{"key": "k", "secret": "s"} | more)


def child_of(symbol: str, *, lots: str = "1", price: str = "1", **more: Any) -> ChildOrderCreated:
    fields: dict[str, Any] = {"cl_ord_id": "o1-V1-1", "side": Side.BUY, "time_in_force": "ioc"} | more
    return ChildOrderCreated(
        order_id="o1",
        venue="V1",
        symbol=symbol,
        quantity=Decimal(lots),
        limit_price=Decimal(price),
        attempt=1,
        **fields,
    )
