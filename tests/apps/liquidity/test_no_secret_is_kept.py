"""E-06: sessions log on with secrets that afterwards are in no file, log, stream, table or environment of ours.

The LP of the range opens the same sealed credential, so no file with passwords is needed on either side. Beside it the
same worker lets an agent of MetaTrader in by a secret, and runs a TWS gateway that was given one it has no use for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from piggy.adapters.fix.session import FixSession
from piggy.core.market import VenueState, VenueStatus
from piggy.messaging import codec, streams
from piggy.simulator.certification.fix_ground import free_ports
from piggy.simulator.certification.grounds import CASH, CASH_MAPPINGS, METALS, METALS_MAPPINGS
from piggy.simulator.ibkr import TwsServer
from piggy.simulator.mt5 import Mt5Server
from tests.apps import canaries
from tests.apps.liquidity.test_worker import LP, Engine
from tests.apps.liquidity.worker_process import WorkerProcess
from tests.simulator.lp_range import MAPPINGS, Hearer, LpRange, wait

CANARIES = {
    "LP1": ("password", "canary-5d1c44e0-password"),
    "MT51": ("api_secret", "canary-77ab03f1-agent-secret"),
    "IBKR1": ("api_secret", "canary-90ee12c8-gateway"),
}


@pytest.fixture
def lp_range(acorn: Any, tmp_path: Path) -> Iterator[LpRange]:
    the_range = LpRange(
        home=tmp_path / "range", lps=(LP,), PIGGY_LP_VAULT="1", DJANGO_SETTINGS_MODULE="piggy.settings.test"
    )
    the_range.start()
    yield the_range
    the_range.stop()


@pytest.fixture
def venues(lp_range: LpRange, as_tenant: Any, tmp_path: Path) -> Iterator[None]:
    """One LP over FIX, a terminal with its agent, a gateway; each with a canary that two people let in."""
    from apps.liquidity import services
    from apps.liquidity.models import LiquidityProvider, LpSymbol
    from apps.users.services import create_staff, sync_roles

    url = f"ws://127.0.0.1:{free_ports(1)}"
    agent = Mt5Server(
        symbols=METALS, home=tmp_path / "mt5", url=f"{url}/agents/acorn/MT51", secret=CANARIES["MT51"][1]
    ).start()
    gateway = TwsServer(symbols=CASH, home=tmp_path / "ibkr")
    gateway.start()
    with as_tenant("acorn"):
        sync_roles()
        ann, ben = (create_staff(username=n, password="long enough", role="admin") for n in ("ann", "ben"))
        terms = [services.SymbolTerms(m.symbol, m.venue_symbol, m.units_per_lot) for m in MAPPINGS]
        lp = services.add_provider(tenant="acorn", name="LP1", port=lp_range.port_base, symbols=terms, by="test")
        bridge = LiquidityProvider(name="MT51", kind="mt5", stream_url=url)
        tws = LiquidityProvider(
            name="IBKR1", kind="ibkr", stream_url=f"tcp://{gateway.address}", account=gateway.account
        )
        for row, mappings in ((bridge, METALS_MAPPINGS), (tws, CASH_MAPPINGS)):
            services.save_provider(tenant="acorn", provider=row, by="test")
            for each in mappings:
                named = {"symbol": each.symbol, "venue_symbol": each.venue_symbol}
                LpSymbol.objects.create(provider=row, units_per_lot=each.units_per_lot, **named)
        for row in (lp, bridge, tws):
            kind, secret = CANARIES[row.name]
            asked = services.request_credential(tenant="acorn", provider=row, kind=kind, secret=secret, by=ann)
            services.approve_credential(tenant="acorn", change_id=asked.pk, by=ben, at=datetime.now(UTC))
    yield
    agent.stop()
    gateway.stop()


def test_canary_secrets_open_the_sessions_and_are_found_nowhere(
    lp_range: LpRange, venues: None, as_tenant: Any, redis_server: Any, tmp_path: Path
) -> None:
    stranger = FixSession(config=lp_range.session(lp="LP1", home=tmp_path / "s", password="wrong"), listener=Hearer())
    stranger.start()
    wait(lambda: "Wrong password" in lp_range.log("LP1"))
    stranger.stop()
    home = tmp_path / "ours"
    home.mkdir()
    worker = WorkerProcess(home=home)
    try:
        engine = Engine(redis_server)
        wait_ready(engine, worker)
        engine.order("e6-LP1-1")
        engine.wait(lambda: engine.settled("e6-LP1-1"), lives=worker)
        with as_tenant("acorn"):
            secrets = [secret for _, secret in CANARIES.values()]
            assert canaries.found(*secrets, redis=redis_server, folders=[home], processes=[worker.pid]) == []
            seen = canaries.found("e6-LP1-1", redis=redis_server, folders=[home])
            assert {"acorn.liquidity_venueorder", "acorn.liquidity_venuereport"} <= set(seen), "what is kept is found"
        worker.kill()
    finally:
        worker.stop()
    files = [path for path in home.rglob("*") if path.is_file()]
    assert any("|35=A|" in path.read_text(errors="replace") for path in files), "the logon is in the log, masked"


def wait_ready(engine: Engine, worker: WorkerProcess) -> None:
    """Return once every session is ready: its secret has opened it."""
    ready: set[str] = set()
    with engine._redis.pubsub() as listener:
        listener.subscribe(streams.quotes_channel(tenant="acorn"))

        def all_ready() -> bool:
            message = listener.get_message(timeout=1)
            if message and message["type"] == "message":
                batch = codec.decode_market_data(message["data"])
                states = [each for each in batch if isinstance(each, VenueStatus)]
                ready.update(each.venue for each in states if each.state is VenueState.READY)
            return ready == set(CANARIES)

        engine.wait(all_ready, lives=worker)
