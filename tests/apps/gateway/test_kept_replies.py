"""What a client is told of his requests is kept before it is noted that he was told: nothing of it is lost."""

from __future__ import annotations

import errno
import os
import resource
import socket
import threading
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from piggy.adapters.fix_clients.config import Kind, Terms


@pytest.fixture
def link(acorn: Any, as_tenant: Any) -> Any:
    """A session whose line says nothing, with an answer and a refusal that wait for their numbers."""
    from apps.gateway.models import FixClient
    from apps.gateway.worker import client_link
    from apps.gateway.worker.requests import Done, Reply

    with as_tenant("acorn"):
        made: Any = object.__new__(client_link.ClientLink)
        made._client = FixClient.objects.create(comp_id="C1", kind=Kind.DROP_COPY, every_account=True, incoming=7)
        made._tenant, made._open, made._replies, made._done, made._is_cut = "acorn", True, deque(), 0, False
        made.thread, made._told, made._resends, made._look_at = threading.current_thread(), threading.Event(), [], 1e12
        made._stopping, made._tell_copies, made._tell_prices = threading.Event(), lambda: None, lambda: None
        made._session = SimpleNamespace(tick=lambda **_: [], said=lambda **_: None, expected=9)
        made._wire = SimpleNamespace(ring=lambda: None, close=lambda: None, send=lambda **_: None)
        made._requests = SimpleNamespace(stop=lambda: None, is_idle=False)
        for each in (Reply("3", "first", refuses=7), Done(7), Reply("j", "second"), Done(8)):
            made._reply(each)
        yield made


def kept(link: Any) -> tuple[list[str], int]:
    """Return the texts that are kept, by their numbers, and the number that the client's next message should have."""
    from apps.tenants.services import in_tenant

    with in_tenant("acorn"):  # Whose line has ended leaves its thread without a broker.
        link._client.refresh_from_db()
        return list(link._client.sent.order_by("number").values_list("body", flat=True)), link._client.incoming


def test_inv_02_replies_that_wait_when_the_database_stops_are_kept_once_it_is_back(
    link: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.gateway.worker import client_link

    with monkeypatch.context() as away:
        away.setattr(client_link.services, "number", _refuse)
        with pytest.raises(OperationalError):
            link._answer()
    assert kept(link) == ([], 7)
    link.end()
    assert kept(link) == (["first", "second"], 9), "the line is gone: he misses their numbers when he is back"


def test_inv_02_what_could_not_be_kept_is_asked_of_the_client_again(link: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.gateway.worker import client_link

    with monkeypatch.context() as away:
        away.setattr(client_link.services, "number", _refuse)
        link.end()
    assert kept(link) == ([], 7)


def test_a_reply_is_kept_under_one_number_though_the_line_breaks_under_it(link: Any) -> None:
    def broken(**_: Any) -> None:
        raise BrokenPipeError

    link._wire.send = broken
    with pytest.raises(BrokenPipeError):
        link._answer()
    link.end()
    assert kept(link) == (["first", "second"], 9)


def test_a_request_is_noted_with_its_reply_kept_and_not_between(link: Any) -> None:
    """The thread that carries requests out may be through with one just after the last reply was taken."""
    from apps.gateway.worker.requests import Reply

    noted: list[int] = []

    class JustThrough:
        @property
        def is_idle(self) -> bool:
            link._replies.append(Reply("j", "third"))
            return True

        def note_incoming(self, expected: int) -> None:
            noted.append(expected)

    link._requests = JustThrough()
    link._look_after()
    assert (kept(link)[0], noted) == (["first", "second"], [])
    link._requests = SimpleNamespace(is_idle=True, note_incoming=noted.append)
    link._look_after()
    assert (kept(link)[0], noted) == (["first", "second", "third"], [9])


def test_to_who_is_gone_no_more_is_kept_than_may_wait_and_he_is_asked_for_the_rest(
    link: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INV-26"""
    from apps.gateway.worker import client_link
    from apps.gateway.worker.requests import Done, Reply

    monkeypatch.setattr(client_link, "REPLIES_MAX", 6)
    link._requests.stop = lambda: [link._reply(each) for each in (*(Reply("8", "more") for _ in range(9)), Done(9))]
    link.end()
    assert kept(link) == (["first", "second", "more", "more"], 9), "9 is not all answered"


def test_a_request_is_done_behind_its_replies_and_not_where_nothing_is_known_of_it(
    acorn: Any, as_tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.gateway.models import FixClient
    from apps.gateway.worker.requests import Done, Requests

    with as_tenant("acorn"):
        client = FixClient.objects.create(comp_id="C1", kind=Kind.DROP_COPY, every_account=True)
    said: list[Any] = []
    terms = Terms(kind=Kind.DROP_COPY, accounts=("A1",), units={})
    one = Requests(tenant="acorn", client=client, terms=terms, reply=said.append)
    carry_out = one._carry_out
    monkeypatch.setattr(one, "_carry_out", lambda values: _refuse() if values["34"] == "2" else carry_out(values))
    one.start()
    for number in ("1", "2", "3"):
        one.take(int(number), {"35": "D", "34": number, "11": number})
    one.stop()
    assert [each.number if isinstance(each, Done) else each.body[:5] for each in said] == [
        "45=1\x01", 1, "45=2\x01", "45=3\x01", 3,
    ]  # fmt: skip


def test_a_line_past_the_thousandth_file_is_heard_too() -> None:
    from apps.gateway.worker.wire import Wire

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2_000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(2_000, hard), hard))
    ours, theirs = socket.socketpair()
    high = socket.socket(fileno=os.dup2(ours.fileno(), 1_500))
    ours.close()
    wire = Wire(high, "C1", "ACORN")
    theirs.sendall(b"x")
    assert wire.read(wait_s=5) == b"x"
    wire.ring()
    assert wire.read(wait_s=5) == b""
    assert wire.read(wait_s=0) == b"", "the bell rang once"
    theirs.close()
    assert wire.read(wait_s=5) is None
    wire.close()


def test_a_door_with_no_file_for_one_more_line_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """INV-26: those before it wait, and come in when there is room."""
    from apps.gateway.worker import door as module

    line, _ = pair = socket.socketpair()
    steps = deque([OSError(errno.EMFILE, "no file"), OSError(errno.ECONNABORTED, "gone"), (line, ("9.9.9.9", 1))])
    served: list[str] = []

    class Server:
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: Any) -> None:
            served.append("closed")

        def settimeout(self, _: float) -> None: ...
        def getsockname(self) -> tuple[str, int]:
            return "", 0

        def accept(self) -> Any:
            step = steps.popleft() if steps else OSError(errno.EBADF, "the door itself")
            if isinstance(step, OSError):
                raise step
            return step

    monkeypatch.setattr(module.socket, "create_server", lambda _: Server())
    monkeypatch.setattr(module, "RETRY_S", 0)
    door = module.Door(host="127.0.0.1", port=0)
    monkeypatch.setattr(door, "_serve", lambda _, address: served.append(address))
    with pytest.raises(OSError, match="the door itself"):
        door._accept()
    assert sorted(served) == ["9.9.9.9", "closed"]
    for each in pair:
        each.close()


def test_whose_session_found_no_thread_for_its_requests_may_log_on_again(
    link: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.gateway.worker import door as module
    from apps.gateway.worker.requests import Requests

    def full(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    link.name = ("acorn", "C1")
    terms = Terms(kind=Kind.DROP_COPY, accounts=(), units={})
    link._requests = Requests(tenant="acorn", client=link._client, terms=terms, reply=link._reply)
    door = module.Door(host="127.0.0.1", port=0)
    door._links[link.name] = link
    monkeypatch.setattr(door, "_log_on", lambda *_: link)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        door._serve(server.accept()[0], "9.9.9.9")
    assert not door._links


def _refuse(**_: Any) -> int:
    raise OperationalError("the database is away")
