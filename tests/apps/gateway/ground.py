"""The real engine in a thread, and two kinds of FIX clients: QuickFIX, and a bare socket that may be out of step."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
import time
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import quickfix as fix
import redis
from msgspec import structs

from piggy.adapters.fix.dictionary import installed_path
from piggy.adapters.fix.messages import SOH, fields, stamp
from piggy.adapters.fix.messages import message as text_of
from piggy.adapters.fix_clients.session import Frames, frame
from piggy.core import commands as cmd
from piggy.core.accounts import Account, BookMode, Group, Venue
from piggy.core.clearance import Permissions
from piggy.core.commands import Envelope
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.market import Level, VenueQuote, VenueState, VenueStatus
from piggy.messaging import streams
from piggy.messaging.client import Client, command_id_of

PASSWORD = "canary-fix-client-4711"
PATIENCE_S = 40.0


def wait(condition: Any, *, seconds: float = PATIENCE_S, what: Any = str) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what()
        time.sleep(0.02)


def wait_until_open(port: int) -> None:
    def answers() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            return False
        return True

    wait(answers, what=lambda: "the door did not open")


class Clock:
    """A clock that only waiting puts on."""

    def __init__(self) -> None:
        self.waited_s = 0.0

    def monotonic(self) -> float:
        return 1_000 + self.waited_s

    def wait(self, seconds: float) -> None:
        self.waited_s += seconds


class HeldUp(threading.Event):
    """Says when somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.held_up = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.held_up.set()
        return super().wait(timeout)


class Engine:
    """The real engine, in a thread, and an LP whose quotes never grow old."""

    def __init__(self) -> None:
        from piggy.engine.config import EngineConfig
        from piggy.engine.status import Status
        from piggy.local import processes

        # A home of its own: what the database is emptied of between tests has not been lost.
        home = os.path.join(os.environ["PIGGY_HOME"], f"engine-{uuid.uuid4().hex}")
        env = {**os.environ, "PIGGY_EDGE_PORT": str(processes.free_port()), "PIGGY_HOME": home}
        self._config, self._status = EngineConfig.from_env(env), Status()
        self._client = Client(redis_url=os.environ["REDIS_URL"])
        self._redis = redis.Redis.from_url(os.environ["REDIS_URL"])
        self._stopped = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._threads = [threading.Thread(target=self._run), threading.Thread(target=self._quote)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        wait(lambda: self._status.state == "ACTIVE", what=lambda: self._status.state)
        for number, command in enumerate(opening()):
            self.tell(command, f"opening{number}")
        wait(self._shows_a_price, what=lambda: "no price of EURUSD came to the desk")

    def _shows_a_price(self) -> bool:
        """Whether a client who is quick would be dealt with: his order needs an LP's price."""
        found = self._redis.get(streams.desk_snapshot_key(tenant="acorn", panel="quotes"))
        rows = json.loads(found)["rows"] if found else {}
        return bool((rows.get("EURUSD") or {}).get("ask"))

    def stop(self) -> None:
        self._stopped.set()
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
        for thread in self._threads:
            thread.join(20)
        self._client.close()
        self._redis.close()

    def tell(self, command: cmd.AnyCommand, name: str) -> None:
        envelope = Envelope(command_id=command_id_of("test", name), command=command, principal="test")
        self._client.tell(tenant="acorn", envelope=envelope)

    def _run(self) -> None:
        from piggy.engine.clock import Clock
        from piggy.engine.term import Term, serve

        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.create_task(serve(term=Term(config=self._config, clock=Clock(), status=self._status)))
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

        asyncio.run(main())

    def _quote(self) -> None:
        bid, ask = (Level(price=Decimal(price), size=Decimal(100)) for price in ("1.10000", "1.10010"))
        while not self._stopped.wait(0.2):
            now_us = time.time_ns() // 1_000
            quote = VenueQuote(
                venue="LP1", symbol="EURUSD", bids=(bid,), asks=(ask,), venue_at_us=now_us, received_at_us=now_us
            )
            status = VenueStatus(venue="LP1", state=VenueState.READY, text="", at_us=now_us)
            self._client.publish_market_data(tenant="acorn", batch=[status, quote])


def opening() -> list[cmd.AnyCommand]:
    eurusd = Instrument(
        symbol="EURUSD",
        asset_class=AssetClass.FX_MAJOR,
        base="EUR",
        quote="USD",
        contract_size=Decimal(100_000),
        price_digits=5,
        tick_size=Decimal("0.00001"),
    )
    accounts = [Account(account_id=name, group="b-book", owner_id=name, currency="USD") for name in ("A1", "A2")]
    return [
        cmd.SignReview(signed_by="compliance", reference="review", signed_at_us=time.time_ns() // 1_000),
        cmd.ConfigureInstrument(instrument=eurusd),
        cmd.ConfigureGroup(group=Group(name="b-book", book_mode=BookMode.B, order_notional_max=Decimal(10_000_000))),
        cmd.ConfigureLimits(group="b-book", limits=structs.replace(HOUSE_LIMITS, disconnect_grace_s=1)),
        cmd.ConfigureVenue(venue=Venue(name="LP1")),
        *(cmd.ConfigureAccount(account=account, clearance=Permissions.granted()) for account in accounts),
        *(cmd.CreditAccount(account_id=each, amount=Decimal(1_000_000), reference=each) for each in ("A1", "A2")),
    ]


class Trader(fix.Application):
    """A client as it comes from elsewhere: QuickFIX, its own store, the standard's dictionary unloosened."""

    def __init__(self, *, home: Path, port: int, password: str = PASSWORD, sender: str = "C1") -> None:
        super().__init__()
        self.heard: list[dict[str, str]] = []
        self.admin: list[dict[str, str]] = []
        self._password = password
        rows = {
            "ConnectionType": "initiator", "BeginString": "FIX.4.4", "SenderCompID": sender, "TargetCompID": "ACORN",
            "SocketConnectHost": "127.0.0.1", "SocketConnectPort": port, "HeartBtInt": 5, "ReconnectInterval": 1,
            "NonStopSession": "Y", "UseDataDictionary": "Y", "DataDictionary": installed_path(),
            "FileStorePath": home / sender,
        }  # fmt: skip
        path = home / f"{sender}.cfg"
        path.write_text("[DEFAULT]\n[SESSION]\n" + "".join(f"{name}={value}\n" for name, value in rows.items()))
        self._id = fix.SessionID("FIX.4.4", sender, "ACORN")
        self._settings = fix.SessionSettings(str(path))
        self._store = fix.FileStoreFactory(str(home / sender))
        self._initiator = fix.SocketInitiator(self, self._store, self._settings)

    def start(self) -> None:
        self._initiator.start()
        wait(self.is_logged_on, what=lambda: self.admin)

    def is_logged_on(self) -> bool:
        return bool(fix.Session.lookupSession(self._id).isLoggedOn())

    def stop(self) -> None:
        self._initiator.stop()
        del self._initiator

    def onCreate(self, _: Any) -> None: ...
    def onLogon(self, _: Any) -> None: ...
    def onLogout(self, _: Any) -> None: ...
    def toApp(self, *_: Any) -> None: ...

    def toAdmin(self, message: fix.Message, _: Any) -> None:
        if message.getHeader().getField(35) == "A":
            message.setField(554, self._password)

    def fromAdmin(self, message: fix.Message, _: Any) -> None:
        self.admin.append(fields(message.toString()))

    def fromApp(self, message: fix.Message, _: Any) -> None:
        self.heard.append(fields(message.toString()))

    def say(self, kind: str, **values: Any) -> None:
        body = "".join(f"{tag[1:]}={value}{SOH}" for tag, value in values.items())
        fix.Session.sendToTarget(fix.Message(text_of(kind, body), False), self._id)

    def order(self, cl_ord_id: str, **changes: Any) -> None:
        now = stamp(time.time_ns() // 1_000)
        values = {"t11": cl_ord_id, "t55": "EURUSD", "t54": 1, "t38": 10_000, "t40": 1, "t59": 3, "t60": now} | changes
        self.say("D", **values)

    def reports(self, cl_ord_id: str) -> list[dict[str, str]]:
        return [each for each in list(self.heard) if each.get("11") == cl_ord_id]

    def kinds(self, cl_ord_id: str) -> list[str]:
        return [each.get("150", each["35"]) for each in self.reports(cl_ord_id)]

    def wait(self, cl_ord_id: str, *kinds: str) -> list[dict[str, str]]:
        wait(
            lambda: self.kinds(cl_ord_id) == list(kinds),
            what=lambda: f"{cl_ord_id}: {self.reports(cl_ord_id)}, {self.heard[-2:]}, {self.admin[-2:]}",
        )
        return self.reports(cl_ord_id)


class Line:
    """A client of our own making, which may be out of step."""

    def __init__(self, port: int, sender: str, target: str = "ACORN") -> None:
        self._names = {"sender": sender, "target": target}
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._frames = Frames()
        self._found: list[str] = []
        self._last: list[str] = []
        self.closed = False

    def say(self, kind: str, number: int, body: str = "") -> None:
        sent = stamp(time.time_ns() // 1_000)
        raw = frame(kind=kind, number=number, sent=sent, body=body.replace("|", SOH), **self._names)
        self._socket.sendall(raw)

    def log_on(self, number: int, password: str = PASSWORD) -> None:
        self.say("A", number, f"98=0|108=30|554={password}|")

    def read(self, count: int = 1) -> list[dict[str, str]]:
        while len(self._found) < count and not self.closed:
            try:
                data = self._socket.recv(65_536)
            except TimeoutError as silence:
                raise AssertionError(f"nothing came after {self._last[-2:]}") from silence
            self.closed = not data
            self._found += self._frames.feed(data)
        found, self._found = self._found[:count], self._found[count:]
        self._last = found or self._last
        return [fields(each) for each in found]

    def close(self) -> None:
        self._socket.close()
