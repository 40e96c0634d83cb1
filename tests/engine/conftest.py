"""Real PostgreSQL and Valkey for the engine's tests, and an engine that runs inside the test."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from piggy.core import commands as cmd
from piggy.core.accounts import Account, Group, Strategy, Venue
from piggy.core.clearance import Permissions
from piggy.core.commands import Envelope
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderTerms, Side
from piggy.engine.clock import Clock
from piggy.engine.config import EngineConfig
from piggy.engine.status import Status
from piggy.engine.term import Term, serve
from piggy.local.services import LocalServices
from tests.engine.ground import Ground


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with LocalServices(tmp_path_factory.mktemp("engine"), fast=True) as services:
        made = Ground(services=services)
        made.prepare()
        yield made


@pytest.fixture
def shard() -> str:
    return f"shard-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def tenant(ground: Ground, shard: str) -> str:
    return ground.add_tenant(shard=shard)


@pytest.fixture
async def connect(ground: Ground) -> AsyncIterator[Any]:
    """Return a function that opens a connection as the application's role."""
    opened: list[psycopg.AsyncConnection[Any]] = []

    async def open_one() -> psycopg.AsyncConnection[Any]:
        opened.append(await psycopg.AsyncConnection.connect(ground.services.database_url, autocommit=True))
        return opened[-1]

    yield open_one
    for connection in opened:
        await connection.close()


@asynccontextmanager
async def running_engine(ground: Ground, shard: str, holder: str = "here") -> AsyncIterator[Term]:
    """Run an engine in this process until the block ends; entered when it is ACTIVE."""
    async with running(ground.config(shard=shard, holder=holder)) as term:
        yield term


@asynccontextmanager
async def running(config: EngineConfig, clock: Clock | None = None) -> AsyncIterator[Term]:
    """Run an engine with these settings in this process; entered when it is ACTIVE."""
    term = Term(config=config, clock=clock or Clock(), status=Status())
    task = asyncio.create_task(serve(term=term))
    try:
        await until(lambda: term.status.state == "ACTIVE", task=task)
        yield term
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Any, *, seconds: float = 30, task: asyncio.Task[Any] | None = None) -> None:
    """Wait for a condition; fails with the task's error where it ended first."""
    async with asyncio.timeout(seconds):
        while not condition():
            if task is not None and task.done():
                task.result()
            await asyncio.sleep(0.01)


def envelope(command: cmd.Command, *, command_id: str = "", body: str = "body") -> Envelope:
    return Envelope(command_id=command_id or str(uuid.uuid4()), command=command, principal="tess", request_hash=body)


def buy(quantity: str = "0.10", *, account: str = "anna") -> cmd.PlaceOrder:
    terms = OrderTerms(account_id=account, symbol="EURUSD", side=Side.BUY, quantity=Decimal(quantity))
    return cmd.PlaceOrder(terms=terms)


def opening_commands() -> list[cmd.Command]:
    """What a desk must know before anna may trade EURUSD, herself or by the strategy `mean`."""
    eurusd = Instrument(
        symbol="EURUSD",
        asset_class=AssetClass.FX_MAJOR,
        base="EUR",
        quote="USD",
        contract_size=Decimal(100_000),
        price_digits=5,
        tick_size=Decimal("0.00001"),
    )
    anna = Account(account_id="anna", group="retail", owner_id="anna", currency="USD")
    return [
        cmd.SignReview(signed_by="head of compliance", reference="review", signed_at_us=time.time_ns() // 1_000),
        cmd.ConfigureInstrument(instrument=eurusd),
        cmd.ConfigureGroup(group=Group(name="retail", order_notional_max=Decimal(10_000_000)), limits=HOUSE_LIMITS),
        cmd.ConfigureVenue(venue=Venue(name="LP1")),
        cmd.ConfigureAccount(account=anna, clearance=Permissions.granted()),
        cmd.ConfigureStrategy(strategy=Strategy(strategy_id="mean", account_id="anna")),
        cmd.CreditAccount(account_id="anna", amount=Decimal(1_000_000), reference="first"),
    ]
