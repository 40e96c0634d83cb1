"""Listens for clients, lets in who proves who it is, and copies the log for those who are to hear of it.

One worker of a shard listens: it holds a lock in PostgreSQL, and the others wait for it.
"""

from __future__ import annotations

import errno
import socket
import threading
import time

import msgspec
import structlog
from django.conf import settings
from django.db import connection
from django.db.utils import Error

from apps.gateway import selectors, services
from apps.gateway.models import FixClient
from apps.gateway.worker import tls
from apps.gateway.worker.client_link import ClientLink
from apps.gateway.worker.waiting import Waiting
from apps.gateway.worker.wire import Wire
from apps.tenants.selectors import active_schemas, is_suspended
from apps.tenants.services import in_tenant
from piggy.adapters.fix.messages import SOH, fields
from piggy.adapters.fix_clients.config import HEARTBEAT_S_MAX, HEARTBEAT_S_MIN, LOGON_S_MAX
from piggy.adapters.fix_clients.market import Pair
from piggy.adapters.fix_clients.session import Frames, UnableToFrame, count_of, faults
from piggy.messaging import codec, streams
from piggy.messaging.client import Client, UnableToTell
from piggy.messaging.subscriber import Subscriber

POLL_S = 0.5
RETRY_S = 1.0
ASK_S = 1.0
STOP_S_MAX = 8.0
# Of one line, or of a moment: the door itself is as it was.
CROWDED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED)
LOCK = "select pg_try_advisory_lock(hashtext('fix-clients'), hashtext(%s))"

log = structlog.get_logger(__name__)


class Door:
    """Threads: one listens, one copies the log, one hands prices on, and one each connection.

    With a `certificate` (chain and key in PEM files) the line is TLS from its first byte, else in clear.
    """

    def __init__(self, *, host: str, port: int, certificate: tuple[str, str] | None = None) -> None:
        self._address = (host, port)
        self._tls = tls.context_of(certificate=certificate)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._links: dict[tuple[str, str], ClientLink] = {}
        self._waiting = Waiting()
        self._threads = [
            threading.Thread(target=self._listen, name="fix-clients-door", daemon=True),
            threading.Thread(target=self._copy, name="fix-clients-copies", daemon=True),
            threading.Thread(target=self._price, name="fix-clients-prices", daemon=True),
        ]

    def start(self) -> None:
        """Open, as soon as no other worker of the shard has it open."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Close, and log everybody out."""
        self._stopping.set()
        with self._lock:
            links = list(self._links.values())
        for link in links:
            link.stop()
        for thread in (*self._threads, *(link.thread for link in links)):
            if thread is not None:
                thread.join(STOP_S_MAX)

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                with connection.cursor() as cursor:
                    cursor.execute(LOCK, [settings.PIGGY_SHARD])
                    if cursor.fetchone()[0]:
                        self._accept()
            except (Error, OSError) as error:
                log.warning("fix_door_waits", error=str(error))
                connection.close()
            except Exception:
                # As no thread for one more line: a door that fell shut would stay so.
                log.exception("fix_door_failed")
                connection.close()
            self._stopping.wait(RETRY_S)
        connection.close()

    def _accept(self) -> None:
        with socket.create_server(self._address) as server:
            server.settimeout(POLL_S)
            log.info("fix_door_open", port=server.getsockname()[1])
            while not self._stopping.is_set():
                try:
                    line, address = server.accept()
                except TimeoutError:
                    continue
                except OSError as error:
                    if error.errno not in CROWDED:
                        raise
                    # To close the door would hang up on those who wait before it, and make no room.
                    log.warning("fix_door_is_crowded", error=str(error))
                    self._stopping.wait(RETRY_S)
                    continue
                threading.Thread(target=self._serve, args=(line, address[0]), name="fix-client", daemon=True).start()

    def _serve(self, line: socket.socket, address: str) -> None:
        link: ClientLink | None = None
        try:
            with line:
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                line.settimeout(LOGON_S_MAX)
                with tls.sealed(line=line, context=self._tls) as spoken:
                    try:
                        self._waiting.come(line=spoken, address=address)
                        link = self._log_on(tls.shaken(line=spoken), address)
                    finally:
                        self._waiting.go(line=spoken)
                    if link is not None:
                        link.run()
        except (OSError, UnableToFrame, services.LostSession) as error:
            log.info("fix_client_gone", address=address, error=str(error))
        except Exception:
            log.exception("fix_client_failed", address=address)
        finally:
            if link is not None:
                self._let_go(link)
            connection.close()

    def _let_go(self, link: ClientLink) -> None:
        """Whatever fails of its end, as where it never had a thread for its requests, the client may come again."""
        try:
            link.end()
        except Exception:
            log.exception("fix_client_not_ended", tenant=link.name[0], comp_id=link.name[1])
        finally:
            with self._lock:
                self._links.pop(link.name, None)

    def _log_on(self, line: socket.socket, address: str) -> ClientLink | None:
        """Read a Logon and let it in; who is not let in hears nothing that would help to guess."""
        frames = Frames()
        found: list[str] = []
        until = time.monotonic() + LOGON_S_MAX
        while not found and (left_s := until - time.monotonic()) > 0:
            line.settimeout(left_s)
            data = line.recv(4_096)
            if not data:
                return None
            found = frames.feed(data)
        values = fields(found[0]) if found else {}
        try:
            with self._waiting.turn(line=line, address=address):
                return self._admit(line, address, values, frames, found)
        except services.UnableToAdmit as error:
            log.warning("fix_logon_refused", address=address, comp_id=values.get("49", "")[:40], reason=str(error))
            return None

    def _admit(
        self, line: socket.socket, address: str, values: dict[str, str], frames: Frames, found: list[str]
    ) -> ClientLink:
        """Return the session of who proves to be its client. Raises UnableToAdmit, and the address waits for it."""
        try:
            tenant = _tenant_of(found[0] if found else "", values)
            with in_tenant(tenant):
                client = services.admit(comp_id=values.get("49", ""), password=values.get("554", ""), address=address)
            wire = Wire(line, client.comp_id, tenant.upper())
            self._require_open(tenant, client, wire)
            return self._link(tenant, client, wire, frames, found)
        except services.UnableToAdmit:
            self._waiting.refused(address=address)
            raise

    def _require_open(self, tenant: str, client: FixClient, wire: Wire) -> None:
        """Tell a client of a suspended broker, who has proven to be it, why it is not let in. Raises UnableToAdmit."""
        with self._lock:
            is_here = (tenant, client.comp_id) in self._links
        if is_here or not is_suspended(schema=tenant):
            return
        with in_tenant(tenant):
            number = services.number(client=client)
        wire.send(kind="5", number=number, body=f"58={selectors.SUSPENDED}{SOH}")
        raise services.UnableToAdmit(selectors.SUSPENDED)

    def _link(self, tenant: str, client: FixClient, wire: Wire, frames: Frames, found: list[str]) -> ClientLink:
        link = ClientLink(tenant=tenant, client=client, wire=wire, frames=frames, first=found)
        with self._lock:
            if link.name in self._links or self._stopping.is_set():
                raise services.UnableToAdmit("it is logged on already")
            self._links[link.name] = link
        return link

    def _copy(self) -> None:
        """Copy what happened of every broker that has FIX clients, and wake who may have to hear of it."""
        subscriber: Subscriber | None = None
        tenants: list[str] = []
        while not self._stopping.is_set():
            try:
                found = [each for each in active_schemas(shard=settings.PIGGY_SHARD) if self._is_wanted(each)]
                if found != tenants or subscriber is None:
                    tenants = found
                    channels = [streams.committed_channel(tenant=tenant) for tenant in tenants]
                    subscriber = Subscriber(redis_url=settings.REDIS_URL, channels=channels or ["none"])
                for tenant in tenants:
                    self._copy_one(tenant)
                subscriber.wait(timeout_s=POLL_S)
            except Error as error:
                log.warning("fix_copies_wait_for_database", error=str(error))
                connection.close()
                self._stopping.wait(RETRY_S)
            except Exception:
                log.exception("fix_copies_failed")
                connection.close()
                self._stopping.wait(RETRY_S)
        connection.close()

    def _price(self) -> None:
        """Ask for the prices that clients wait for, and hand them on as they come."""
        client, subscriber = Client(redis_url=settings.REDIS_URL), None
        tenants: list[str] = []
        ask_at = 0.0
        while not self._stopping.is_set():
            wanted = self._wanted()
            if subscriber is None or not set(wanted) <= set(tenants):
                tenants = sorted({*tenants, *wanted})
                channels = [streams.client_prices_channel(tenant=tenant) for tenant in tenants]
                subscriber = Subscriber(redis_url=settings.REDIS_URL, channels=channels or ["none"])
                ask_at = 0.0
            try:
                if time.monotonic() >= ask_at:
                    ask_at = time.monotonic() + ASK_S
                    for tenant, pairs in wanted.items():
                        client.want_prices(tenant=tenant, pairs=pairs, now_s=time.time())
                if (heard := subscriber.wait(timeout_s=POLL_S)) is not None:
                    self._hand_on(streams.tenant_of(key=heard[0]), codec.decode_client_prices(heard[1]))
            except (UnableToTell, msgspec.DecodeError) as error:
                log.warning("fix_prices_wait", error=str(error))
                self._stopping.wait(RETRY_S)
        client.close()

    def _wanted(self) -> dict[str, set[Pair]]:
        with self._lock:
            links = list(self._links.values())
        wanted: dict[str, set[Pair]] = {}
        for link in links:
            if pairs := link.wanted:
                wanted[link.name[0]] = wanted.get(link.name[0], set()) | pairs
        return wanted

    def _hand_on(self, tenant: str, prices: codec.ClientPrices) -> None:
        with self._lock:
            links = [link for name, link in self._links.items() if name[0] == tenant]
        for link in links:
            if link.wanted:
                link.show(prices)

    def _is_wanted(self, tenant: str) -> bool:
        with in_tenant(tenant):
            return selectors.has_clients()

    def _copy_one(self, tenant: str) -> None:
        while not self._stopping.is_set():
            with in_tenant(tenant):
                read = services.copy_log(tenant=tenant)
            if not read:
                return
            with self._lock:
                links = [link for name, link in self._links.items() if name[0] == tenant]
            for link in links:
                link.wake()


def _tenant_of(text: str, values: dict[str, str]) -> str:
    """Return the broker that a Logon is for. Raises UnableToAdmit where it is no Logon that could be let in."""
    tenants = {schema.upper(): schema for schema in active_schemas(shard=settings.PIGGY_SHARD)}
    tenant, heartbeat = tenants.get(values.get("56", "")), count_of(values.get("108", ""))
    if values.get("35") != "A" or tenant is None:
        raise services.UnableToAdmit("no Logon to a broker of ours")
    if fault := faults(text=text):
        raise services.UnableToAdmit(fault.text)
    if heartbeat is None or not HEARTBEAT_S_MIN <= heartbeat <= HEARTBEAT_S_MAX:
        raise services.UnableToAdmit(f"HeartBtInt (108): {HEARTBEAT_S_MIN} to {HEARTBEAT_S_MAX}")
    if count_of(values.get("34", "")) is None:
        raise services.UnableToAdmit("MsgSeqNum (34) is missing")
    if values.get("141") == "Y":
        raise services.UnableToAdmit("ResetSeqNumFlag (141): numbers begin anew only by agreement")
    return tenant
