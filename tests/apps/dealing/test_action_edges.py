"""Actions at their edges: keys, an engine or a Redis that is away, what came too late, every field of an amendment."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from apps.common.times import microseconds
from apps.dealing.services import acting, busts
from apps.tenants.services import in_tenant
from apps.trading.models import Fill
from piggy.core.commands import Envelope
from piggy.messaging.client import UnableToTell
from tests.apps.dealing.desk_floor import LEASE, Dealer
from tests.apps.dealing.test_actions import BODIES, dora, entries, floor
from tests.apps.dealing.test_facts import told

__all__ = ["dora", "floor"]


@pytest.mark.parametrize("key", [None, "", "k" * 101, "clé", "a\x7fb"])
def test_an_action_without_a_key_that_could_be_kept_is_400(
    dora: Dealer, floor: list[Envelope], key: str | None
) -> None:
    headers = {} if key is None else {"idempotency-key": key}
    body = json.dumps({"reason": "because of the news"} | BODIES["cover"])
    answer = dora.http.post("/desk/actions/cover", body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (400, "Idempotency-Key")
    assert "1 to 100" in answer.json()["message"]
    assert (entries(), floor) == ([], [])
    assert dora.act("cover", once="k" * 100, **BODIES["cover"]).status_code == 200


def test_what_the_engine_does_not_answer_is_unheard_and_asked_for_again(
    acorn: Any, redis_server: Any, owner_sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "ANSWER_WAIT_S", 0.01)
    dora = Dealer()
    owner_sql(LEASE)
    try:
        first = dora.act("approve-hedge", once="k", **BODIES["approve-hedge"])
        assert (first.status_code, first.json()["state"], first.json()["repeated"]) == (202, "unheard", False)
        again = dora.act("approve-hedge", once="k", **BODIES["approve-hedge"]).json()
        assert (again["state"], again["text"], again["repeated"]) == ("unheard", "", True)
        monkeypatch.setattr(acting, "FRESH_S_MAX", 0.0)
        late = dora.act("approve-hedge", once="k", **BODIES["approve-hedge"]).json()
        assert (late["state"], late["text"]) == ("unheard", "Too late to tell it.")
    finally:
        owner_sql("delete from public.engine_lease where holder = 'test'")
    assert len(entries()) == 1


def test_f_03_a_redis_that_is_away_is_503_and_the_same_key_does_it_later_once(
    dora: Dealer, floor: list[Envelope], monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-03."""

    class Away:
        def ask(self, **_: Any) -> None:
            raise UnableToTell("Redis is away")

    with monkeypatch.context() as lost:
        lost.setattr(acting, "_client", Away)
        answer = dora.act("set-trading-state", once="k", **BODIES["set-trading-state"])
        assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "desk_away", "5")
    done = dora.act("set-trading-state", once="k", **BODIES["set-trading-state"])
    assert (done.status_code, done.json()["repeated"], len(entries())) == (200, True, 1)


def test_every_field_of_an_amendment_reaches_the_core(dora: Dealer, floor: list[Envelope]) -> None:
    sent = {"quantity": None, "limit_price": None, "time_in_force": "gtd", "expires_at": "2030-01-01T01:00:00+01:00"}
    changed = BODIES["amend-order"] | sent | {"no_take_profit": True, "stop_loss": "1.05"}
    assert dora.act("amend-order", **changed).status_code == 200
    (command,) = (each.command for each in floor if each.reply_to)
    assert (command.time_in_force.value, command.take_profit, str(command.stop_loss)) == ("gtd", None, "1.05")
    assert command.expires_at_us == microseconds(datetime(2030, 1, 1, tzinfo=UTC))


def test_more_fills_than_one_bust_takes_are_said(
    dora: Dealer, floor: list[Envelope], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busts, "FILLS_MAX", 0)
    answer = dora.act("bust-window", **BODIES["bust-window"])
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "TOO_MANY", "until")
    assert (entries(), floor) == ([], [])


def test_a_window_that_was_busted_under_a_key_is_not_looked_for_again_under_it(
    dora: Dealer, floor: list[Envelope]
) -> None:
    first = dora.act("bust-window", once="k", **BODIES["bust-window"])
    with in_tenant("acorn"):
        Fill.objects.update(symbol="GBPUSD")
    again = dora.act("bust-window", once="k", **BODIES["bust-window"])
    assert (again.status_code, again.json()["repeated"]) == (200, True)
    assert again.json()["action"] == first.json()["action"]
    assert dora.act("bust-window", **BODIES["bust-window"]).json()["code"] == "NOTHING_TO_BUST"


def test_a_panel_is_its_last_frame_nothing_before_the_first_and_404_where_there_is_none(
    acorn: Any, redis_server: redis.Redis
) -> None:
    dora = Dealer()
    assert dora.http.get("/desk/snapshot/quotes").status_code == 204
    told(redis_server, "quotes", {"EURUSD": {}})
    assert dora.http.get("/desk/snapshot/quotes").json()["rows"] == {"EURUSD": {}}
    assert dora.http.get("/desk/snapshot/secrets").status_code == 404
