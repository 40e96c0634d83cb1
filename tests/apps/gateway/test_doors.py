"""Who may open a session: two people let its password in, and a line from elsewhere is sealed."""

from __future__ import annotations

import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ImproperlyConfigured
from msgspec import structs

from piggy.adapters.fix_clients.config import REFUSED_S, REQUESTS_MAX, WAITING_MAX, Kind, Terms
from piggy.adapters.fix_clients.session import UnableToFrame
from piggy.settings.readers import Environment
from tests.apps import records
from tests.apps.gateway.ground import PASSWORD, Clock, HeldUp, Line, wait, wait_until_open

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_password_is_let_in_by_a_second_person_only(acorn: Any, as_tenant: Any) -> None:
    """E-07: asked for by one, let in by another, replaced by a newer request, and then forgotten but for its hash."""
    from apps.gateway import services
    from apps.gateway.models import FixClient, PasswordChange
    from apps.users.services import create_staff, sync_roles

    def admits(password: str) -> bool:
        try:
            services.admit(comp_id="C1", password=password, address="127.0.0.1")
        except services.UnableToAdmit:
            return False
        return True

    with as_tenant("acorn"):
        sync_roles()
        ann, ben = (create_staff(username=n, password="long enough", role="admin") for n in ("ann", "ben"))
        assert ann.has_perm("gateway.add_passwordchange")
        client = FixClient.objects.create(comp_id="C1", kind=Kind.DROP_COPY, every_account=True)
        assert not admits(""), "a session without a password lets nobody in"
        with pytest.raises(services.UnableToSetPassword, match="at least 12"):
            services.request_password(client=client, password="short", by=ann)
        older = services.request_password(client=client, password="the older one", by=ann)
        asked = services.request_password(client=client, password=PASSWORD, by=ann)
        assert not admits(PASSWORD), "not before a second person"
        for change, by, words in ((asked, ann, "second pair of eyes"), (older, ben, "decided already")):
            with pytest.raises(services.UnableToSetPassword, match=words):
                services.approve_password(change_id=change.pk, by=by, at=NOW)
        services.approve_password(change_id=asked.pk, by=ben, at=NOW)
        assert admits(PASSWORD)
        other = services.request_password(client=client, password="yet another one", by=ben)
        services.reject_password(change_id=other.pk, by=ann, at=NOW)
        assert admits(PASSWORD)
        assert set(PasswordChange.objects.values_list("state", "password")) == {
            ("withdrawn", ""),
            ("approved", ""),
            ("rejected", ""),
        }


def test_the_screen_takes_a_password_from_one_and_lets_it_in_by_another(acorn: Any, as_tenant: Any) -> None:
    """E-07: no field for the password that is; what is asked for opens nothing before the second person."""
    from django.contrib import admin
    from django.contrib.messages.storage.cookie import CookieStorage
    from django.test import RequestFactory

    from apps.gateway.models import FixClient, PasswordChange
    from apps.users.services import create_staff, sync_roles

    with as_tenant("acorn"):
        sync_roles()
        ann, ben = (create_staff(username=n, password="long enough", role="admin") for n in ("ann", "ben"))
        client = FixClient.objects.create(comp_id="C1", kind=Kind.DROP_COPY, every_account=True)
        request = RequestFactory().post("/")
        request.user, request._messages = ann, CookieStorage(request)  # type: ignore[attr-defined]
        screens = {model: admin.site._registry[model] for model in (FixClient, PasswordChange)}
        assert "password" not in screens[FixClient].get_form(request, client).base_fields
        form = screens[PasswordChange].get_form(request)({"client": client.pk, "new_password": PASSWORD})
        assert form.is_valid(), form.errors
        assert PASSWORD not in form.as_p()
        screens[PasswordChange].save_model(request, form.save(commit=False), form, False)
        for person, let_in in ((ann, False), (ben, True)):
            request.user = person
            screens[PasswordChange].approve(request, PasswordChange.objects.all())
            client.refresh_from_db()
            assert bool(client.password) is let_in, person
        # A change of the row, read before the session numbered on, takes back neither numbers nor the password.
        FixClient.objects.update(incoming=9, outgoing=8, copied_seq=7, password="hash")
        client.enabled = False
        screens[FixClient].save_model(request, client, SimpleNamespace(changed_data=["enabled"]), True)
        client.refresh_from_db()
        kept = (client.incoming, client.outgoing, client.copied_seq, client.password)
        assert (client.enabled, *kept) == (False, 9, 8, 7, "hash")


def test_t_17_a_session_ends_with_its_switch_its_users_leave_and_its_brokers(
    acorn: Any, as_tenant: Any, owner_sql: Any
) -> None:
    from apps.gateway import selectors
    from apps.gateway.models import FixClient
    from apps.users.models import User

    def reason(client: FixClient) -> str:
        with as_tenant("acorn"):
            return selectors.reason_to_end(tenant="acorn", client=client)

    turn = "update public.tenants_tenant set suspended_at = {} where schema_name = 'acorn'"
    with as_tenant("acorn"):
        user = records.client()
        hers = FixClient.objects.create(comp_id="C1", kind=Kind.ORDERS, user=user)
        copy = FixClient.objects.create(comp_id="COPY1", kind=Kind.DROP_COPY, every_account=True)
    assert (reason(hers), reason(copy)) == ("", "")
    # What is taken from a session is taken from the one that is open too: it heard of every account for good once.
    changes = {"accounts": ["A1"], "every_account": False, "sources": ["10.0.0.1"], "password": "x", "in_lots": True}
    for name, value in changes.items():
        before = getattr(copy, name)
        with as_tenant("acorn"):
            FixClient.objects.filter(pk=copy.pk).update(**{name: value})
        assert (reason(copy), reason(hers)) == (selectors.CHANGED, ""), name
        with as_tenant("acorn"):
            FixClient.objects.filter(pk=copy.pk).update(**{name: before}, incoming=7, outgoing=9, copied_seq=3)
        assert reason(copy) == "", "it is not changed by what it does"
    owner_sql(turn.format("now()"))
    try:
        assert "suspended" in reason(hers) and "suspended" in reason(copy)
    finally:
        owner_sql(turn.format("null"))
    with as_tenant("acorn"):
        User.objects.filter(pk=user.pk).update(is_active=False)
    assert (reason(hers), reason(copy)) == ("the session is closed", "")
    with as_tenant("acorn"):
        FixClient.objects.update(enabled=False)
    assert reason(copy) == "the session is closed"


def test_an_id_that_no_client_could_ask_for_holds_up_nobodys_copies(acorn: Any, as_tenant: Any) -> None:
    """What is in the log is told: over another door an id may have been longer than the table has room for."""
    from apps.gateway import services
    from apps.gateway.models import CopyCursor, OrderCopy

    with as_tenant("acorn"):
        first = records.accepted()
        terms = structs.replace(first.terms, client_order_id="i" * 128)
        records.write(structs.replace(first, terms=terms), records.accepted("O2"))
        CopyCursor.objects.create(pk=1)
        assert services.copy_log(tenant="acorn") == 2
        assert [len(row.cl_ord_id) for row in OrderCopy.objects.order_by("seq")] == [100, 2]


def test_a_crowd_of_silent_lines_keeps_only_itself_out() -> None:
    """The oldest of the address with most of them hears the end; whoever comes from elsewhere has all his time."""
    from apps.gateway.worker.waiting import Waiting

    waiting, pairs = Waiting(), [socket.socketpair() for _ in range(WAITING_MAX + 1)]
    waiting.come(line=pairs[0][0], address="1.1.1.1")
    for ours, _ in pairs[1:]:
        waiting.come(line=ours, address="6.6.6.6")
    for _, theirs in pairs:
        theirs.settimeout(0.01)
    assert pairs[1][1].recv(1) == b""
    for at in (0, 2, WAITING_MAX):
        with pytest.raises(TimeoutError):
            pairs[at][1].recv(1)
    for pair in pairs:
        waiting.go(line=pair[0])
        for each in pair:
            each.close()


def test_one_line_of_an_address_is_looked_at_at_a_time_and_after_a_refusal_it_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """T-18: looking at a password takes long, and that is nobody's to spend but the address that guesses."""
    from apps.gateway.worker import waiting as room

    clock = Clock()
    monkeypatch.setattr(room, "time", clock)
    waiting, lines = room.Waiting(), [socket.socket() for _ in range(3)]
    waiting._lock.wait = clock.wait  # type: ignore[method-assign]
    for line, address in zip(lines, ("6.6.6.6", "6.6.6.6", "1.1.1.1"), strict=True):
        waiting.come(line=line, address=address)
    with waiting.turn(line=lines[0], address="6.6.6.6"):
        with pytest.raises(ConnectionAbortedError), waiting.turn(line=lines[1], address="6.6.6.6"):
            pass
        with waiting.turn(line=lines[2], address="1.1.1.1"):
            waiting.refused(address="6.6.6.6")
    assert clock.waited_s == room.LOGON_S_MAX
    with waiting.turn(line=lines[1], address="6.6.6.6"):
        assert clock.waited_s == pytest.approx(room.LOGON_S_MAX + REFUSED_S)
    waiting.refused(address="6.6.6.6")
    monkeypatch.setattr(room, "LOGON_S_MAX", REFUSED_S / 2)
    with pytest.raises(ConnectionAbortedError), waiting.turn(line=lines[1], address="6.6.6.6"):
        pass
    for line in lines:
        line.close()


def test_a_line_that_was_hung_up_waits_for_no_turn_any_more() -> None:
    """INV-26: or a crowd of Logons would hold as many threads and files as it likes, beside the sessions of LPs."""
    from apps.gateway.worker.waiting import Waiting

    waiting, pairs = Waiting(), [socket.socketpair() for _ in range(WAITING_MAX + 1)]
    ended: list[str] = []

    def wait_for_turn() -> None:
        try:
            with waiting.turn(line=pairs[0][0], address="6.6.6.6"):
                ended.append("looked at")
        except ConnectionAbortedError:
            ended.append("let go")

    waiting.come(line=pairs[0][0], address="6.6.6.6")
    waiting.come(line=pairs[1][0], address="6.6.6.6")
    with waiting.turn(line=pairs[1][0], address="6.6.6.6"):
        crowded_out = threading.Thread(target=wait_for_turn)
        crowded_out.start()
        for ours, _ in pairs[2:]:
            waiting.come(line=ours, address="6.6.6.6")
        crowded_out.join(60)
        assert ended == ["let go"]
    for pair in pairs:
        for each in pair:
            each.close()


def test_too_many_requests_of_one_session_are_refused_at_once_and_cancels_last() -> None:
    """INV-26"""
    from apps.gateway.worker.requests import Reply, Requests

    said: list[Reply] = []
    client: Any = SimpleNamespace(user=None, incoming=1, comp_id="C1")
    terms = Terms(kind=Kind.ORDERS, accounts=("A1",), units={})
    one = Requests(tenant="acorn", client=client, terms=terms, reply=said.append)
    for number in range(1, REQUESTS_MAX + 2):
        one.take(number, {"35": "D", "34": str(number), "11": "x"})
    assert [(each.kind, f"45={REQUESTS_MAX + 1}\x01" in each.body) for each in said] == [("j", True)]
    one.take(REQUESTS_MAX + 2, {"35": "F", "34": str(REQUESTS_MAX + 2), "11": "y"})
    assert len(said) == 1, "a cancel still finds its place"


def test_inv_02_what_was_refused_is_refused_again_when_a_crash_has_it_sent_again(acorn: Any, as_tenant: Any) -> None:
    """The client asked under another id since: the message that comes with PossDup would be a second order."""
    from apps.gateway import selectors, services
    from apps.gateway.models import FixClient
    from apps.gateway.worker.requests import Reply, Requests

    def requests(said: list[Reply]) -> Requests:
        refused = selectors.refused_numbers(client=client)
        return Requests(tenant="acorn", client=client, terms=terms, reply=said.append, refused=refused)

    terms = Terms(kind=Kind.ORDERS, accounts=("A1",), units={})
    with as_tenant("acorn"):
        client = FixClient.objects.create(comp_id="C1", kind=Kind.DROP_COPY, every_account=True, incoming=7)
        before: list[Reply] = []
        requests(before)._refuse({"35": "D", "34": "9", "11": "x"}, "4", "Too many requests wait.")
        requests(before)._doubt({"35": "D", "34": "8", "11": "w"}, "Not decided yet.")
        for reply in before:
            services.number(client=client, kind=reply.kind, body=reply.body, refuses=reply.refuses)
        after: list[Reply] = []
        again = requests(after)
        for number in (8, 9):
            again.take(number, {"35": "D", "34": str(number), "43": "Y", "11": "x"})
        assert [(each.kind, "45=9" in each.body) for each in after] == [("j", True)], "8 is carried out, 9 is not"
        again.note_incoming(10)
        client.refresh_from_db()
        assert client.incoming == 7, "8 is still under way"
        services.begin_anew(client=client)
        assert selectors.refused_numbers(client=client) == frozenset()


def test_a_request_that_thousands_of_messages_answer_waits_for_who_hears_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """INV-26: the states of all orders, asked a thousand times, are not all kept at once."""
    from apps.gateway.worker import client_link
    from apps.gateway.worker.requests import Reply

    monkeypatch.setattr(client_link, "REPLIES_MAX", 3)
    monkeypatch.setattr(client_link.services, "number", lambda **_: 1)
    link: Any = object.__new__(client_link.ClientLink)
    link._replies, link._told, link._open, link._client = deque(), HeldUp(), True, None
    held_up = link._told.held_up
    link._done, link._is_cut = 0, False
    link._wire, link._send = SimpleNamespace(ring=lambda: None), lambda *_: None
    link.thread = threading.current_thread()
    teller = threading.Thread(target=lambda: [link._reply(Reply("8", "")) for _ in range(10)], daemon=True)
    teller.start()
    wait(lambda: held_up.is_set() or not teller.is_alive())
    assert len(link._replies) == 3, "and the fourth waits for who hears them"
    link._reply(Reply("j", "")), link._answer(), link._answer()
    link._open = False
    teller.join(60)
    assert not teller.is_alive(), "who is gone holds nobody up"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for this machine that signs itself, and its key."""
    home, key = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, secret = home / "chain.pem", home / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return str(chain), str(secret)


@pytest.fixture
def sealed_port(acorn: Any, as_tenant: Any, redis_server: Any, certificate: tuple[str, str]) -> Iterator[int]:
    """A door with that certificate and one drop copy."""
    from apps.gateway import services
    from apps.gateway.models import FixClient
    from apps.gateway.worker.door import Door
    from piggy.local import processes

    with as_tenant("acorn"):
        client = FixClient.objects.create(
            comp_id="COPY1", kind=Kind.DROP_COPY, every_account=True, password=make_password(PASSWORD)
        )
        services.begin_here(tenant="acorn", client=client)
    door = Door(host="127.0.0.1", port=(port := processes.free_port()), certificate=certificate)
    door.start()
    yield port
    door.stop()


class SealedLine(Line):
    """The same client over TLS, who checks whom he speaks to."""

    def __init__(self, port: int, chain: str, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        super().__init__(port, "COPY1")
        context = ssl.create_default_context(cafile=chain)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
        self._socket = context.wrap_socket(self._socket, server_hostname="localhost")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_a_line_is_sealed_and_what_is_in_clear_or_too_old_hears_nothing(
    sealed_port: int, certificate: tuple[str, str]
) -> None:
    """E-11: TLS 1.2 at least; two messages in one record are both heard."""
    wait_until_open(sealed_port)
    line = SealedLine(sealed_port, certificate[0])
    line.log_on(1)
    assert line.read()[0]["35"] == "A"
    for number in (2, 3):
        line.say("1", number, f"112=ask{number}|")
    assert [each["112"] for each in line.read(2)] == ["ask2", "ask3"]
    line.close()
    with pytest.raises(ssl.SSLError):
        SealedLine(sealed_port, certificate[0], newest=ssl.TLSVersion.TLSv1_1)
    clear = Line(sealed_port, "COPY1")
    clear.log_on(4)
    with pytest.raises((ConnectionResetError, UnableToFrame, AssertionError)):
        # It is hung up on, perhaps with a word of TLS.
        assert clear.read()
    clear.close()


def test_a_door_to_elsewhere_is_sealed_unless_the_operator_says_what_is_before_it(tmp_path: Path) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_text("x")
    named = {"CHAIN": str(chain), "KEY": str(key)}
    assert Environment({}).certificate("CHAIN", "KEY") is None
    with pytest.raises(ImproperlyConfigured, match="KEY must name a PEM file"):
        Environment(named).certificate("CHAIN", "KEY")
    key.write_text("x")
    assert Environment(named).certificate("CHAIN", "KEY") == (str(chain), str(key))
    with pytest.raises(ImproperlyConfigured, match="not this machine: set CLEAR=1"):
        Environment({}).require_flag("CLEAR", why="not this machine")
    Environment({"CLEAR": "1"}).require_flag("CLEAR", why="not this machine")
