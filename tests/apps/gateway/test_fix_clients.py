"""Clients over FIX against the real door and engine; the client's side is QuickFIX or a bare socket."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password

from piggy.adapters.fix.messages import stamp
from piggy.adapters.fix_clients.config import Kind
from tests.apps import canaries, records
from tests.apps.gateway.ground import PASSWORD, Engine, Line, Trader, wait


@pytest.fixture
def port(acorn: Any, birch: Any, as_tenant: Any, redis_server: Any, owner_sql: Any) -> Iterator[int]:
    """The door of two brokers with their clients; alice trades A1 at acorn, and bob's A2 is not hers."""
    from apps.gateway import services
    from apps.gateway.models import FixClient
    from apps.gateway.worker.door import Door
    from apps.instruments.models import Instrument as Row
    from piggy.local import processes

    for tenant in ("birch", "acorn"):
        with as_tenant(tenant):
            alice = records.client(tenant=tenant)
            records.client(name="bob", account_id="A2", tenant=tenant)
            Row.objects.create(
                symbol="EURUSD", asset_class="fx_major", base="EUR", quote="USD", contract_size=100_000,
                price_digits=5, tick_size=Decimal("0.00001"),
            )  # fmt: skip
            named = [
                FixClient(comp_id="C1", kind=Kind.ORDERS, user=alice, cancel_on_disconnect=True),
                FixClient(comp_id="COPY1", kind=Kind.DROP_COPY, user=alice),
                FixClient(comp_id="REGULATOR", kind=Kind.DROP_COPY, every_account=True),
            ]
            for client in named if tenant == "acorn" else [FixClient(comp_id="B1", kind=Kind.ORDERS, user=alice)]:
                client.full_clean(exclude=["password"])
                client.password = make_password(PASSWORD)
                client.save()
                services.begin_here(tenant=tenant, client=client)
    engine, port = Engine(), processes.free_port()
    door = Door(host="127.0.0.1", port=port)
    engine.start()
    door.start()
    try:
        yield port
    finally:
        door.stop()
        engine.stop()
        owner_sql("delete from public.engine_lease")


@pytest.mark.timeout(300)
def test_clients_trade_and_others_hear_copies(
    port: int, as_tenant: Any, redis_server: Any, owner_sql: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One story, as the servers under it are dear: orders, changes, refusals, copies, gaps, walls and the last word."""
    caplog.set_level("INFO")
    trader = Trader(home=tmp_path, port=port)
    trader.start()
    try:
        _trade(trader)
        _change(trader)
        _trails(trader)
        _prices(trader)
        _refuse(trader)
        _walls(port)
        _copies(port, trader)
        _suspended(trader, owner_sql)
        trader.order("rests-on", t40=2, t44="1.0995", t59=1)
        trader.wait("rests-on", "0")
    finally:
        trader.stop()
    _goes_with_its_line(port)
    _no_secret(as_tenant, redis_server, caplog)


def _trade(trader: Trader) -> None:
    trader.order("fills")
    new, fill = trader.wait("fills", "0", "F")
    assert (new["1"], new["38"], fill["32"], fill["31"], fill["39"], fill["151"]) == (
        "A1", "10000", "10000", "1.1001", "2", "0",
    )  # fmt: skip
    trader.order("fills")
    assert trader.wait("fills", "0", "F", "I")[-1]["39"] == "2", "the same again is one order, and told as it stands"
    trader.order("fills", t38=20_000)
    assert trader.wait("fills", "0", "F", "I", "8")[-1]["103"] == "6", "another order under its id is refused"


def _change(trader: Trader) -> None:
    trader.order("rests", t40=2, t44="1.0995", t59=1, t38=30_000)
    trader.wait("rests", "0")
    now = stamp(time.time_ns() // 1_000)
    same = {"t55": "EURUSD", "t54": 1, "t60": now}
    trader.say("G", t11="moved", t41="rests", t38=20_000, t40=2, t44="1.0996", **same)
    (moved,) = trader.wait("moved", "5")
    assert (moved["41"], moved["38"], moved["44"], moved["39"]) == ("rests", "20000", "1.0996", "0")
    trader.say("H", t11="moved", t55="EURUSD", t54=1)
    assert trader.wait("moved", "5", "I")[-1]["151"] == "20000"
    trader.say("G", t11="moved", t41="rests", t38=20_000, t40=2, t44="1.0996", **same)
    assert trader.wait("moved", "5", "I", "I")[-1]["39"] == "0", "the same again is one change, told as it stands"
    for tag, other in (("54", 2), ("40", 1)):
        asked = {**same, "t40": 2, f"t{tag}": other}
        trader.say("G", t11=f"other-{tag}", t41="moved", t38=10_000, t44="1.0", **asked)
        (refused,) = trader.wait(f"other-{tag}", "9")
        assert (refused["39"], refused["434"], refused["102"], refused["58"][:2]) == ("0", "2", "2", tag)
    trader.say("F", t11="rests", t41="moved", **same)
    (used,) = (each for each in trader.wait("rests", "0", "9") if each["35"] == "9")
    assert (used["39"], used["102"]) == ("0", "6"), "the order works on, and that is what is told of it"
    trader.say("AF", t584="all", t585=7)
    wait(lambda: [each for each in trader.heard if each.get("584") == "all"])
    assert [(each["11"], each["911"], each["912"]) for each in trader.heard if each.get("584") == "all"] == [
        ("moved", "1", "Y")
    ]
    trader.say("F", t11="gone", t41="moved", **same)
    (gone,) = trader.wait("gone", "4")
    assert (gone["41"], gone["39"], gone["151"]) == ("moved", "4", "0")
    trader.say("F", t11="again", t41="gone", **same)
    (late,) = trader.wait("again", "9")
    assert (late["35"], late["39"], late["434"]) == ("9", "4", "1")
    trader.say("F", t11="nothing", t41="never", **same)
    assert trader.wait("nothing", "9")[0]["37"] == "NONE"
    trader.say("H", t11="never", t55="EURUSD", t54=1)
    (unknown,) = trader.wait("never", "I")
    assert (unknown["39"], unknown["103"]) == ("8", "5")


def _trails(trader: Trader) -> None:
    """A replacement that names its distance leaves its stop; one that names another begins at the market anew."""
    trader.order("trails", t40="P", t18="a", t211="0.0050", t59=1, t38=40_000)
    (new,) = trader.wait("trails", "0")
    assert (new["40"], new["18"], new["211"]) == ("P", "a", "0.005")
    asked = {"t55": "EURUSD", "t54": 1, "t40": "P", "t18": "a", "t60": stamp(time.time_ns() // 1_000), "t41": "trails"}
    trader.say("G", t11="trails-on", t38=30_000, t211="0.0050", t59=6, t126="20991231-12:00:00", **asked)
    (less,) = trader.wait("trails-on", "5")
    assert (less["38"], less["99"], less["211"]) == ("30000", new["99"], "0.005")
    assert (less["59"], less["126"]) == ("6", "20991231-12:00:00.000")
    trader.say("G", t11="trails-less", t38=30_000, t211="0.01", **asked | {"t41": "trails-on"})
    (far,) = trader.wait("trails-less", "5")
    assert far["211"] == "0.01" and float(far["99"]) != float(new["99"]) and far["59"] == "6"
    trader.say("F", t11="trails-end", t41="trails-less", **{name: asked[name] for name in ("t55", "t54", "t60")})
    trader.wait("trails-end", "4")


def _prices(trader: Trader) -> None:
    """What may be traded, and the client's own prices: his group's markup is in them, and he deals at what he sees."""
    trader.say("x", t320="list", t559=4)
    wait(lambda: [each for each in trader.heard if each["35"] == "y"])
    listed = next(each for each in trader.heard if each["35"] == "y")
    assert (listed["320"], listed["55"], listed["561"], listed["560"]) == ("list", "EURUSD", "1000", "0")
    trader.say("V", t262="md", t263=1, t264=1, t265=1, t267=1, t269=1, t146=1, t55="EURUSD")
    wait(lambda: [each for each in trader.heard if each["35"] == "W"], what=lambda: trader.heard[-3:])
    book = next(each for each in trader.heard if each["35"] == "W")
    assert (book["262"], book["269"], book["270"], book["271"]) == ("md", "1", "1.1001", "10000000")
    trader.order("as-shown", t38=12_000)  # Another quantity: P-13 may still hold the first.
    assert trader.wait("as-shown", "0", "F")[-1]["31"] == book["270"]
    trader.say("V", t262="deep", t263=1, t264=5, t265=1, t267=1, t269=1, t146=1, t55="EURUSD")
    wait(lambda: [each for each in trader.heard if each["35"] == "Y"])
    assert next(each for each in trader.heard if each["35"] == "Y")["281"] == "5"
    trader.say("V", t262="md", t263=2, t264=1, t267=1, t269=1, t146=1, t55="EURUSD")


def _refuse(trader: Trader) -> None:
    trader.order("huge", t38=10**12)
    (denied,) = trader.wait("huge", "8")
    assert (denied["39"], denied["151"]) == ("8", "0")
    assert denied["58"], "the gate's reasons"
    for number, (changes, tag) in enumerate([({"t1": "A2"}, "1"), ({"t55": "NOBODY"}, "55"), ({"t38": "1e3"}, "38")]):
        before = len(trader.admin)
        trader.order(f"bad{number}", **changes)
        wait(lambda: [each for each in trader.admin[before:] if each["35"] == "3"])  # noqa: B023
        assert next(each for each in trader.admin[before:] if each["35"] == "3")["371"] == tag
    trader.say("R", t131="q1", t146=1, t55="EURUSD")
    wait(lambda: [each for each in trader.heard if each["35"] == "j"])
    assert next(each for each in trader.heard if each["35"] == "j")["380"] == "3"


def _walls(port: int) -> None:
    """A session of one broker is nobody at another; a wrong password and a second line hear nothing at all."""
    for sender, target, password in (
        ("C1", "BIRCH", PASSWORD),
        ("B1", "ACORN", PASSWORD),
        ("COPY1", "ACORN", "x" * 12),
    ):
        line = Line(port, sender, target)
        line.log_on(1, password)
        assert line.read() == []
        assert line.closed, (sender, target)
    second = Line(port, "C1")
    second.log_on(1)
    assert second.read() == []
    assert second.closed


def _copies(port: int, trader: Trader) -> None:
    """Every report of A1 without a gap, nothing taken, and what was lost comes again from the log."""
    told = [each for each in trader.heard if each["35"] == "8" and each["17"] != "0"]
    copy = Line(port, "COPY1")
    copy.log_on(1)
    found = copy.read(1 + len(told))
    assert (found[0]["35"], found[0]["34"]) == ("A", "1")
    reports = found[1:]
    assert [each["34"] for each in reports] == [str(number) for number in range(2, 2 + len(told))]
    same = ("11", "17", "37", "150", "39", "14", "151", "6")
    assert [[each.get(tag) for tag in same] for each in reports] == [[each.get(tag) for tag in same] for each in told]
    copy.say("D", 2, "11=x|55=EURUSD|54=1|38=1|40=1|60=20260101-00:00:00|")
    (refused,) = copy.read()
    assert (refused["35"], refused["380"]) == ("j", "6")
    copy.close()
    wait(lambda: _hears_again(port), seconds=20)


def _suspended(trader: Trader, owner_sql: Any) -> None:
    """F-33: logged out with the reason, told it again at each Logon, and let in once the broker is."""

    def reasons() -> list[dict[str, str]]:
        return [each for each in trader.admin if each["35"] == "5" and "suspended" in each.get("58", "")]

    turn = "update public.tenants_tenant set suspended_at = {} where schema_name = 'acorn'"
    owner_sql(turn.format("now()"))
    try:
        wait(lambda: len(reasons()) >= 3, what=lambda: trader.admin[-3:])
    finally:
        owner_sql(turn.format("null"))
    numbers = [int(each["34"]) for each in reasons()]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "each takes its number, so nothing is missing"
    wait(trader.is_logged_on, what=lambda: trader.admin[-3:])
    trader.order("after", t38=13_000)
    trader.wait("after", "0", "F")


def _hears_again(port: int) -> bool:
    """Log on anew and ask for all of it: the reports come as they were, session messages as a gap fill."""
    line = Line(port, "COPY1")
    line.log_on(3)
    if not (logon := line.read()):
        line.close()
        return False
    assert logon[0]["35"] == "A"
    line.say("2", 4, "7=1|16=0|")
    found = line.read(3)
    assert (found[0]["35"], found[0]["34"], found[0]["36"], found[0]["43"]) == ("4", "1", "2", "Y")
    assert (found[1]["35"], found[1]["34"], found[1]["43"], found[1]["150"]) == ("8", "2", "Y", "0")
    assert found[1]["122"] <= found[1]["52"]
    rest = line.read(int(logon[0]["34"]) - 3)
    assert rest[-1]["36"] == str(int(logon[0]["34"]) + 1), "up to the Logon of this line"
    line.close()
    return True


def _goes_with_its_line(port: int) -> None:
    """Cancel on disconnect: the order that rested is gone, and the regulator hears of every account's."""
    line = Line(port, "REGULATOR")
    line.log_on(1)
    heard: list[dict[str, str]] = []
    while not any(each.get("11") == "rests-on" and each.get("150") == "4" for each in heard):
        found = line.read()
        assert found, heard
        heard += found
    line.close()


def _no_secret(as_tenant: Any, redis: Any, caplog: pytest.LogCaptureFixture) -> None:
    """E-06: the password is in no table, key, log or environment; only its hash is."""
    with as_tenant("acorn"):
        assert canaries.found(PASSWORD, redis=redis, processes=[os.getpid()]) == []
    assert "fix_client_logged_on" in caplog.text, "what happened at the door is in the log"
    assert PASSWORD not in caplog.text
