"""E-06: a session logs on with a secret that afterwards is in no file, no log, no stream and no table of ours.

The LP of the range opens the same sealed credential, so no file with passwords is needed on either side.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import connection

from piggy.adapters.fix.session import FixSession
from tests.apps.liquidity.test_worker import LP, Engine, wait_for_quotes
from tests.apps.liquidity.worker_process import WorkerProcess
from tests.simulator.lp_range import MAPPINGS, Hearer, LpRange, wait

CANARY = "canary-5d1c44e0-password"


def test_a_canary_password_opens_the_session_and_is_found_nowhere(
    acorn: Any, as_tenant: Any, redis_server: Any, tmp_path: Path
) -> None:
    from apps.liquidity import services
    from apps.users.services import create_staff, sync_roles

    lp_range = LpRange(
        home=tmp_path / "range", lps=(LP,), PIGGY_LP_VAULT="1", DJANGO_SETTINGS_MODULE="piggy.settings.test"
    )
    lp_range.start()
    home = tmp_path / "ours"
    home.mkdir()
    with as_tenant("acorn"):
        sync_roles()
        ann, ben = (create_staff(username=n, password="long enough", role="admin") for n in ("ann", "ben"))
        terms = [services.SymbolTerms(m.symbol, m.venue_symbol, m.units_per_lot) for m in MAPPINGS]
        lp = services.add_provider(tenant="acorn", name="LP1", port=lp_range.port_base, symbols=terms, by="test")
        asked = services.request_credential(tenant="acorn", provider=lp, kind="password", secret=CANARY, by=ann)
        services.approve_credential(tenant="acorn", change_id=asked.pk, by=ben, at=datetime.now(UTC))
    stranger = FixSession(config=lp_range.session(lp="LP1", home=tmp_path / "s", password="wrong"), listener=Hearer())
    stranger.start()
    wait(lambda: "Wrong password" in lp_range.log("LP1"))
    stranger.stop()
    worker = WorkerProcess(home=home)
    try:
        engine = Engine(redis_server)
        wait_for_quotes(engine)
        engine.order("e6-LP1-1")
        engine.wait(lambda: engine.settled("e6-LP1-1"))
        assert CANARY.encode() not in Path(f"/proc/{worker.pid}/environ").read_bytes()
        worker.kill()
    finally:
        worker.stop()
        lp_range.stop()
    files = [path for path in home.rglob("*") if path.is_file()]
    assert any("|35=A|" in path.read_text(errors="replace") for path in files), "the logon is in the log, masked"
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
    # Compressed, a text would not be found.
    redis_server.config_set("rdbcompression", "no")
    assert [key for key in redis_server.scan_iter("*") if CANARY.encode() in (redis_server.dump(key) or b"")] == []
    with as_tenant("acorn"), connection.cursor() as cursor:
        cursor.execute("select table_name from information_schema.tables where table_schema = 'acorn'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'select count(*) from "{table}" t where t::text like %s', [f"%{CANARY}%"])
            assert cursor.fetchone()[0] == 0, table
            cursor.execute(f'select count(*) from "{table}" t where t::text like %s', [f"%{CANARY.encode().hex()}%"])
            assert cursor.fetchone()[0] == 0, table
