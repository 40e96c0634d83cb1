"""Best execution live: the policy in force at the next order, measured markouts, venues on trial and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.test import Client

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode, Venue
from piggy.core.orders import Side
from piggy.core.verdicts import packed
from piggy.messaging import codec, streams
from tests.apps import records
from tests.apps.trading.test_admin import staff
from tests.core.floor import Floor

NOW = datetime(2030, 1, 1, 12, 0, 30, tzinfo=UTC)


@pytest.fixture
def desk(acorn: Any, redis_server: Any, as_tenant: Any) -> Any:
    from apps.liquidity import services

    with as_tenant("acorn"):
        for number, name in enumerate(("LP1", "LP2", "LP3")):
            services.add_provider(tenant="acorn", name=name, port=9101 + number, symbols=[], by="test")
        yield redis_server


def told(kind: type) -> list[Any]:
    from apps.outbox.models import OutboxCommand

    commands = [codec.decode_envelope(bytes(row.payload)).command for row in OutboxCommand.objects.order_by("id")]
    return [command for command in commands if isinstance(command, kind)]


def publish(server: Any, *, at: datetime = NOW, **changes: Any) -> None:
    """Put scorecards where the engine puts them."""
    markouts = [
        {"after_ms": after, "mean_bps": "1.234", "error_bps": "0.1", "samples": 40}
        for after in (100, 1_000, 10_000, 60_000, 300_000)
    ]
    none = {"p50": None, "p95": None, "samples": 0}
    card = {
        "venue": "LP1", "state": "ready", "up_percent": "100.00", "disconnects": 0, "quote_age_ms": 12, "unread": 987,
        "orders": 50, "fills": 40, "rejects": 3, "reject_rate": "0.06", "fill_ratio": "0.9", "rejects_in_a_row": 0,
        "trading_state": "active", "latency_ms": {"p50": "4.1", "p95": "9", "samples": 50}, "hold_ms": none,
        "markouts": markouts, "cost_markout_bps": "0", **changes,
    }  # fmt: skip
    cards = {"at_us": int(at.timestamp() * 1_000_000), "venues": [card]}
    server.set(streams.scorecards_key(tenant="acorn"), json.dumps(cards))


def project(floor: Floor) -> None:
    from piggy import projector

    records.write(*[each.event for each in floor.log], first=1)
    while projector.catch_up(tenant="acorn", name="liquidity"):
        pass


def test_a_weight_changed_in_the_admin_decides_the_next_order(desk: Any, as_tenant: Any) -> None:
    """Cost model, weights and priorities: the admin's form, the outbox, the desk, one order later."""
    from apps.liquidity.models import ExecutionPolicy

    floor = Floor()
    floor.do(
        cmd.ConfigureVenue(
            venue=Venue(name="LP1", priority=1, quote_age_ms_max=600_000, commission_per_million=Decimal(50))
        )
    )
    floor.place("a1", Side.BUY, "0.01")
    assert [leg.venue for leg in floor.children()] == ["LP1"]
    browser = staff("dealer")
    form = {
        "fee": "1", "reject_bps": "0", "unfilled_bps": "0", "latency_bps_per_s": "0", "markout": "1",
        "markout_after_ms": "10000", "markout_samples_min": "30", "canary_fills_min": "50",
        "canary_worse_bps_max": "0.5", "rules-TOTAL_FORMS": "1", "rules-INITIAL_FORMS": "0", "rules-0-name": "big",
        "rules-0-priority": "1", "rules-0-enabled": "on", "rules-0-book_mode": "B", "rules-0-a_book_percent": "100",
        "rules-0-internal_cross": "on", "rules-0-accounts": "[]", "rules-0-groups": "[]",
        "rules-0-symbols": '["EURUSD"]', "rules-0-lots_min": "5",
    }  # fmt: skip
    answer = browser.post("/admin/liquidity/executionpolicy/add/", form)
    assert answer.status_code == 302, answer.content.decode()[:3_000]
    assert browser.get("/admin/liquidity/executionpolicy/add/").status_code == 403, "one a broker"
    with as_tenant("acorn"):
        (command,) = told(cmd.ConfigureRouting)
        assert ExecutionPolicy.objects.get().version == command.policy.version == 1
    floor.do(command)
    floor.fill(floor.children()[0], "1.1001")
    floor.place("a1", Side.BUY, "0.01")
    assert [leg.venue for leg in floor.children()] == ["LP2"], "LP1's commission now counts"
    (big,) = [e for e in floor.place("a1", Side.BUY, "6") if isinstance(e, ev.OrderAccepted)]
    assert (big.routing.rule, big.routing.mode) == ("rule big", "B")


def test_a_measured_markout_reaches_the_cost_model_once_its_sample_is_large_enough(desk: Any) -> None:
    from apps.liquidity import services
    from apps.liquidity.models import VenueScorecard

    few = [{"after_ms": 10_000, "mean_bps": "9", "error_bps": "1", "samples": 29}]
    publish(desk, markouts=few)
    assert services.keep_scorecards(tenant="acorn", now=NOW) == 0
    publish(desk)
    assert services.keep_scorecards(tenant="acorn", now=NOW) == 1
    assert told(cmd.ScoreVenue) == [cmd.ScoreVenue(venue="LP1", markout_bps=Decimal("1.23"))]
    publish(desk, cost_markout_bps="1.23")
    assert services.keep_scorecards(tenant="acorn", now=NOW + timedelta(seconds=2)) == 0, "as the desk has it"
    publish(desk, cost_markout_bps="5")
    assert services.keep_scorecards(tenant="acorn", now=NOW + timedelta(minutes=5)) == 0, "an engine that is away"
    assert VenueScorecard.objects.count() == 1, "once a minute"


def test_the_desk_and_the_back_office_see_the_scorecards_and_nobody_else_does(desk: Any, as_tenant: Any) -> None:
    from apps.liquidity import services

    publish(desk)
    services.keep_scorecards(tenant="acorn", now=NOW)
    dealer = staff("dealer")
    shown = dealer.get("/desk/scorecards").json()
    assert shown["venues"][0]["markouts"][0]["samples"] == 40
    page = dealer.get("/admin/liquidity/venuescorecard/").content.decode()
    assert "10 s: 1.234 (40)" in page
    for figure in ("12", "987", "0.9"):
        assert f'<span class="figure">{figure}</span>' in page, "right, under the others"
    for screen in ("routequote", "stagechange", "executionpolicy", "liquidityprovider"):
        assert dealer.get(f"/admin/liquidity/{screen}/").status_code == 200
    assert Client(headers={"host": "acorn.localhost"}).get("/desk/scorecards").status_code == 403
    with as_tenant("acorn"):
        user = records.client()
    stranger = Client(headers={"host": "acorn.localhost"})
    with as_tenant("acorn"):
        stranger.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert stranger.get("/desk/shadow-report").status_code == 403


def test_a_shadow_is_compared_with_what_was_chosen(desk: Any) -> None:
    """LP1 offers 1.10010, a point better than LP2's 1.10011, and is a shadow."""
    from apps.liquidity import selectors

    floor = Floor()
    shadow = Venue(name="LP1", priority=1, quote_age_ms_max=600_000, shadow=True)
    floor.do(cmd.ConfigureVenue(venue=shadow))
    for _ in range(3):
        floor.place("a1", Side.BUY, "1")
        floor.fill(floor.children()[0], "1.10012")
    project(floor)
    project_again = selectors.comparisons()
    (found,) = project_again
    assert (found.venue, found.decisions, found.first_percent) == ("LP1", 3, Decimal("100.00"))
    assert found.saved_bps == (Decimal("0.00001") / Decimal("1.10011") * 10_000).quantize(Decimal("0.001"))
    assert Decimal(found.saved["EURUSD"]) == Decimal("0.00003"), "three lots, a point each, in quote currency a unit"
    cost = selectors.execution_cost(venues=["LP2"], since=None)
    assert cost.fills == 3
    assert abs(cost.bps - Decimal("0.00001") / Decimal("1.10011") * 10_000) < Decimal("0.0001")
    report = staff("dealer").get("/desk/shadow-report").json()
    assert report["asked"]["LP2"]["fills"] == 3 or report["asked"] == {}


def test_fills_count_once_in_the_latest_offer_whatever_the_batches(desk: Any) -> None:
    """An order of two legs at a time, some given back and routed anew; event by event, all at once, and all again."""
    from apps.liquidity.models import RouteQuote
    from piggy import projector

    def offers() -> list[Any]:
        columns = ("seq", "last_seq", "venue", "order_id", "filled", "notional", "fills")
        return list(RouteQuote.objects.order_by("seq", "venue").values_list(*columns))

    def from_the_start(*, rows_max: int) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute("update projection_cursor set seq = 0 where name = 'liquidity'")
        while projector.catch_up(tenant="acorn", name="liquidity", rows_max=rows_max):
            pass
        return offers()

    floor = Floor()
    for quantity in ("1", "2"):
        floor.place("a1", Side.BUY, quantity)
        leg = floor.children()[0]
        floor.fill(leg, "1.10012", "0.4")
        floor.reject(leg)
        floor.fill(floor.children()[0], "1.10013")
    project(floor)
    once = offers()
    counted = [row for row in once if row[-1]]
    fills = [each.event for each in floor.log if isinstance(each.event, ev.ChildOrderFilled)]
    assert sum(row[-1] for row in counted) == len(fills) == 4
    assert sum(row[4] for row in counted) == sum(fill.quantity for fill in fills)
    assert from_the_start(rows_max=4_000) == once, "told again it changes nothing"
    RouteQuote.objects.all().delete()
    assert from_the_start(rows_max=1) == once


def test_a_fill_taken_back_is_no_longer_counted_in_the_offer_it_was_of(desk: Any) -> None:
    """Busted after the order was offered anew: the row of the fill goes down, not the latest; told again, once."""
    from apps.liquidity.models import RouteQuote
    from piggy import projector

    floor = Floor()
    floor.place("a1", Side.BUY, "1")
    leg = floor.children()[0]
    floor.fill(leg, "1.10012", "0.4")
    floor.reject(leg)
    floor.fill(floor.children()[0], "1.10013")
    taken = next(each.event for each in floor.log if isinstance(each.event, ev.ChildOrderFilled))
    floor.do(
        cmd.RecordVenueBust(
            venue=taken.venue, cl_ord_id=taken.cl_ord_id, report_id="B1", ref_fill_id=taken.fill_id,
            occurred_at_us=taken.occurred_at_us, text="bust",
        )
    )  # fmt: skip
    # Its venue is offered the rest again, after the fill and before the bust.
    later = 1 + next(each.seq for each in floor.log if each.event is taken)
    RouteQuote.objects.create(
        seq=later, last_seq=later, venue=taken.venue, order_id=taken.order_id, symbol="EURUSD", sign=1, asked=True,
        lots=1, price=1, size=1, cost=0, best_price=1, best_cost=0, decided_at=NOW,
    )  # fmt: skip
    project(floor)
    by = ("seq", "venue", "filled", "fills")
    rows = RouteQuote.objects.filter(asked=True).order_by("seq", "venue").values_list(*by)
    told_of = list(rows.all())
    first, again = (row for row in told_of if row[1] == taken.venue)
    assert (first[2:], again) == ((0, 0), (later, taken.venue, 0, 0))
    assert sum(row[2] for row in told_of) == Decimal("0.6")
    with connection.cursor() as cursor:
        cursor.execute("update projection_cursor set seq = 0 where name = 'liquidity'")
    while projector.catch_up(tenant="acorn", name="liquidity"):
        pass
    assert list(rows.all()) == told_of


def test_what_venues_offered_for_an_order_that_rested_first_is_told_whatever_the_batches(desk: Any) -> None:
    """INV-09: event by event it is what all at once makes, and making all anew changes nothing."""
    from apps.liquidity.models import RouteQuote
    from piggy import projector

    def offers(*, rows_max: int) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute("update projection_cursor set seq = 0")
        RouteQuote.objects.all().delete()
        while projector.catch_up(tenant="acorn", rows_max=rows_max):
            pass
        return list(RouteQuote.objects.order_by("seq", "venue").values_list("seq", "venue", "order_id", "symbol"))

    asked = next(each for each in records_of_a_reroute() if isinstance(each, ev.OrderAccepted))
    records.write(*records_of_a_reroute())
    once = offers(rows_max=4_000)
    assert {(order_id, symbol) for _, _, order_id, symbol in once} == {(asked.order_id, asked.terms.symbol)}
    assert offers(rows_max=1) == once


def records_of_a_reroute() -> list[ev.AnyEvent]:
    """An order that no venue was asked for as it came, and then one was."""
    accepted = records.accepted("O1")
    best = ev.VenueConsidered("LP1", Decimal("1.1001"), Decimal(5), None, Decimal(0), 0, rank=1)
    to_venue = msgspec.structs.replace(
        accepted.routing, a_quantity=Decimal(1), b_quantity=Decimal(0), venues=packed(considered=[best])
    )
    return [accepted, ev.OrderRerouted(order_id="O1", routing=to_venue)]


def test_a_canary_in_a_reject_storm_or_dearer_than_the_others_goes_back_to_shadow(desk: Any) -> None:
    """Promotion is a person's, roll-back is automatic: with who, why and when, and the engine told."""
    from apps.liquidity import services
    from apps.liquidity.models import ExecutionPolicy, LiquidityProvider, RouteQuote, StageChange

    ExecutionPolicy.objects.create(canary_fills_min=2, canary_worse_bps_max=Decimal("0.5"))

    def promote() -> None:
        canary = LiquidityProvider.objects.get(name="LP1")
        canary.stage, canary.canary_percent = "canary", Decimal(10)
        canary.save()
        services.set_stage(tenant="acorn", provider=canary, before="shadow", reason="good", by="dealer", now=NOW)

    promote()
    (last,) = [c.venue for c in told(cmd.ConfigureVenue) if c.venue.name == "LP1"][-1:]
    assert (last.shadow, last.canary_percent) == (False, Decimal(10))
    publish(desk)
    assert services.review_canaries(tenant="acorn", now=NOW) == []
    publish(desk, trading_state="halted", rejects_in_a_row=20)
    (change,) = services.review_canaries(tenant="acorn", now=NOW)
    assert (change.after, change.by) == ("shadow", "automatic")
    assert "20 rejects in a row" in change.reason
    assert told(cmd.ConfigureVenue)[-1].venue.shadow
    promote()
    publish(desk)
    fill = {"symbol": "EURUSD", "sign": 1, "asked": True, "lots": 1, "size": 9, "cost": 0, "best_cost": 0}
    fill |= {"best_price": Decimal("1.1"), "price": Decimal("1.1"), "filled": 1, "fills": 1, "decided_at": NOW}
    for seq, (venue, paid) in enumerate((("LP1", "1.1001"), ("LP2", "1.1"), ("LP2", "1.1"), ("LP1", "1.1001"))):
        assert services.review_canaries(tenant="acorn", now=NOW) == []
        RouteQuote.objects.create(
            seq=seq, last_seq=seq, venue=venue, order_id=f"O{seq}", notional=Decimal(paid), **fill
        )
    ExecutionPolicy.objects.update(canary_worse_bps_max=Decimal(1))
    assert services.review_canaries(tenant="acorn", now=NOW) == [], "so much dearer it may be"
    ExecutionPolicy.objects.update(canary_worse_bps_max=Decimal("0.5"))
    (change,) = services.review_canaries(tenant="acorn", now=NOW)
    assert "0.909 bp dearer" in change.reason
    assert StageChange.objects.count() == 4
    assert services.review_canaries(tenant="acorn", now=NOW) == []


def test_an_lps_session_is_changed_with_a_reason_and_its_terms_by_a_draft(desk: Any, as_tenant: Any) -> None:
    from apps.liquidity.models import LiquidityProvider, StageChange
    from apps.outbox.selectors import setting_history

    browser = staff("dealer")
    provider = LiquidityProvider.objects.get(name="LP3")
    address = f"/admin/liquidity/liquidityprovider/{provider.pk}/change/"
    page = browser.get(address)
    assert "Change its terms" in page.content.decode()
    form = {k: v for k, v in page.context["adminform"].form.initial.items() if v is not None}
    form |= {"settings": "{}", "stage": "shadow", "symbols-TOTAL_FORMS": "0", "symbols-INITIAL_FORMS": "0"}
    assert browser.post(address, form).status_code == 200, "without a reason nothing is changed"
    answer = browser.post(address, form | {"reason": "a slow line", "heartbeat_s": "11"})
    assert answer.status_code == 302, answer.content.decode()[:2_000]
    with as_tenant("acorn"):
        assert not StageChange.objects.exists(), "its stage is not this form's"
        assert not told(cmd.ConfigureVenue)[-1].venue.shadow
        assert setting_history(reference="venue:LP3")[0].reason == "a slow line; heartbeat_s: 10 → 11"
    shown = browser.get(address.replace("change/", "history/")).content.decode()
    assert "heartbeat_s: 10 → 11" in shown and "set-up" in shown
    draft = browser.get(address.replace("change/", "write-terms/")).url
    assert 'value="9103"' not in browser.get(draft).content.decode() and "owner=LP3" in draft


def test_a_new_lp_is_off_until_two_people_have_decided_its_terms(desk: Any, as_tenant: Any) -> None:
    form = {
        "name": "LP9",
        "kind": "fix",
        "host": "127.0.0.1",
        "port": "9109",
        "sender_comp_id": "A",
        "target_comp_id": "B",
    }
    form |= {"dialect": "standard", "heartbeat_s": "10", "order_age_ms_max": "1000", "settings": "{}", "reason": "new"}
    form |= {"symbols-TOTAL_FORMS": "0", "symbols-INITIAL_FORMS": "0"}
    answer = staff("dealer").post("/admin/liquidity/liquidityprovider/add/", form)
    assert answer.status_code == 302, answer.content.decode()[:2_000]
    with as_tenant("acorn"):
        assert not told(cmd.ConfigureVenue)[-1].venue.enabled


def test_a_policy_says_what_the_desk_needs(desk: Any) -> None:
    from apps.liquidity.models import ExecutionPolicy, RoutingRule

    policy = ExecutionPolicy.objects.create(version=4, reject_bps=Decimal(2))
    RoutingRule.objects.create(policy=policy, name="r", book_mode="MIXED", a_book_percent=Decimal(30))
    core = policy.to_core()
    assert (core.version, core.cost_model.reject_bps, core.rules[0].book_mode) == (4, Decimal(2), BookMode.MIXED)
    assert msgspec.msgpack.decode(codec.encode(core), type=type(core)) == core
