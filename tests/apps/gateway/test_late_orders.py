"""What a client's own engine kept while it was logged out is for another market."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest

from piggy.adapters.fix.messages import fields, stamp
from piggy.adapters.fix_clients.config import ORDER_AGE_S_MAX, Kind, Terms
from piggy.core.answers import Answer
from tests.apps import records


def test_d8_an_order_out_of_a_clients_store_is_taken_while_it_is_fresh(
    acorn: Any, as_tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D8, towards clients: their engine keeps what it is told while logged out, and sends it hours later."""
    from apps.gateway import selectors as gateway
    from apps.gateway.models import Asked, FixClient
    from apps.gateway.worker import requests

    asked: list[str] = []
    said: list[requests.Reply] = []
    now_us = time.time_ns() // 1_000
    monkeypatch.setattr(requests, "time", SimpleNamespace(time_ns=lambda: now_us * 1_000))

    def desk(name: str) -> Any:
        return lambda **_: asked.append(name) or Answer(command_id="c")

    for name in ("place_order", "amend_order", "cancel_order"):
        monkeypatch.setattr(requests.trading, name, desk(name))

    def sent(kind: str, cl_ord_id: str, *, ago_s: float) -> list[str]:
        values = {"11": cl_ord_id, "41": "known", "55": "EURUSD", "54": "1", "38": "10000", "40": "1"}
        values |= {"35": kind, "34": "7", "43": "Y", "60": stamp(now_us), "122": stamp(now_us - int(ago_s * 1_000_000))}
        asked.clear()
        one._carry_out(values)
        return list(asked)

    terms = Terms(kind=Kind.ORDERS, accounts=("A1",), units={"EURUSD": Decimal(100_000)})
    with as_tenant("acorn"):
        client = FixClient.objects.create(comp_id="C1", kind=Kind.ORDERS, user=records.client())
        one = requests.Requests(tenant="acorn", client=client, terms=terms, reply=said.append)
        one._remember("known", requests.Known("O1", "A1", {}))
        fresh, late = ORDER_AGE_S_MAX - 2, ORDER_AGE_S_MAX + 1
        assert sent("D", "new", ago_s=late) == sent("G", "other", ago_s=late) == []
        order, change = (fields(each.body) for each in said)
        assert (order["39"], order["103"], said[0].refuses) == ("8", "4", 7)
        assert (change["434"], change["102"], change["37"]) == ("2", "0", "O1")
        assert sent("F", "gone", ago_s=late) == ["cancel_order"], "a cancel is never too late"
        assert sent("D", "kept", ago_s=fresh) == ["place_order"]
        assert sent("D", "kept", ago_s=late) == ["place_order"], "it was taken then: the desk knows what became of it"
        assert len(said) == 2
        # Written down a while ago, and the desk never heard of it: the database stopped in between.
        long_ago = datetime.fromtimestamp(now_us / 1_000_000, UTC) - timedelta(seconds=requests.STREAM_S_MAX + 1)
        Asked.objects.update(asked_at=long_ago)
        assert sent("D", "kept", ago_s=late) == [] and fields(said[-1].body)["103"] == "4"
        row = Asked.objects.get(cl_ord_id="kept")
        monkeypatch.setattr(gateway, "commands_in_log", lambda *, command_ids: {row.command_id} & set(command_ids))
        assert sent("D", "kept", ago_s=late) == ["place_order"], "the desk does know it"


def test_f_29_an_order_does_not_wait_for_a_database_that_says_nothing(
    acorn: Any, as_tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connection

    from apps.gateway.models import FixClient
    from apps.gateway.worker import requests

    asked: list[str] = []
    said: SimpleQueue[requests.Reply] = SimpleQueue()
    monkeypatch.setattr(requests, "DATABASE_S_MAX", 0.3)
    monkeypatch.setattr(requests.services, "note_asked", lambda **_: connection.cursor().execute("select pg_sleep(29)"))
    monkeypatch.setattr(requests.trading, "place_order", lambda **_: asked.append("placed"))
    values = {"11": "new", "55": "EURUSD", "54": "1", "38": "10000", "40": "1", "35": "D", "34": "7"}
    values["60"] = stamp(time.time_ns() // 1_000)
    terms = Terms(kind=Kind.ORDERS, accounts=("A1",), units={"EURUSD": Decimal(100_000)})
    with as_tenant("acorn"):
        client = FixClient.objects.create(comp_id="C1", kind=Kind.ORDERS, user=records.client())
    one = requests.Requests(tenant="acorn", client=client, terms=terms, reply=said.put)
    one.start()
    try:
        one.take(7, values)
        assert said.get(timeout=25).kind == "j", "nothing is known of it"
    finally:
        one.stop()
    assert not asked
