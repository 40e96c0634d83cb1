"""Policies: drafted by one person, live by another, told to the engine, and every version kept."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone

from apps.instruments import services as instruments
from apps.liquidity import services as liquidity
from apps.outbox.models import OutboxCommand
from apps.outbox.services import SET_UP
from apps.policies import selectors, services
from apps.policies.admin.body import BodyField, gathered, nodes_of, read_body
from apps.policies.models import STRUCTS, Kind, Policy
from apps.tenants.services import in_tenant
from piggy.bench.desk_ground import seat_staff
from piggy.core import commands as cmd
from piggy.core.accounts import Group
from piggy.messaging import codec
from tests.apps import records
from tests.apps.dealing.desk_floor import symbol
from tests.flows.back_office import Form

BODIES: dict[str, tuple[str, str, dict[str, Any], type]] = {
    Kind.PRICING: (
        "b-book",
        "*",
        {
            "bands": [{"bid": "3", "ask": "4"}],
            "guaranteed_stops": {"premium_points": "12", "distance_points_min": "80"},
            "build": {"mode": "vwap", "size_lots": "5", "thin": "reject"},
            "spread": {"min_points": 3, "max_points": 20, "action": "absorb"},
        },
        cmd.ConfigurePricing,
    ),
    Kind.MARGIN: ("b-book", "EURUSD", {"percent": "10"}, cmd.ConfigureMargin),
    Kind.SWAPS: ("", "EURUSD", {"long": "-6.2", "short": "1.1", "triple_weekday": 2}, cmd.ConfigureSwaps),
    Kind.SWAP_FREE: ("b-book", "", {"grace_days": 5, "fee_per_lot": "2"}, cmd.ConfigureSwapFree),
    Kind.HEDGING: ("", "EURUSD", {"threshold": "10", "target": "2"}, cmd.ConfigureHedging),
    Kind.CALENDAR: (
        "",
        "EURUSD",
        {"sessions": [{"opens": 1_320, "closes": 7_200}], "timezone": "Europe/London", "holidays": ["2026-12-25"]},
        cmd.ConfigureCalendar,
    ),
    Kind.ROUTING: ("", "", {"rules": [{"name": "vip", "priority": 1, "book_mode": "A"}]}, cmd.ConfigureRouting),
    Kind.LIMITS: (
        "b-book",
        "",
        {"position_net_max_lots": "40", "collar_percent": {"fx_major": "2"}},
        cmd.ConfigureLimits,
    ),
    Kind.OPTIONS: (
        "",
        "EURUSD",
        {
            "volatility": "0.12",
            "stress": {"price_range_percent": "8", "volatility_range_points": "4", "delta_percent": "5"},
        },
        cmd.ConfigureOptionModel,
    ),
    Kind.CLEARANCE: ("", "", {"trading_enabled": True, "kyc_passed": True}, cmd.ConfigurePermissions),
    Kind.RESTRICTED: ("", "", {"symbols": ["EURUSD"]}, cmd.ConfigureRestrictions),
    Kind.GROUP: (
        "b-book",
        "",
        selectors.body_of(made=Group(name="b-book", ask_markup_points=7, order_notional_max=Decimal(10_000_000))),
        cmd.ConfigureGroup,
    ),
    Kind.INSTRUMENT: (
        "",
        "EURUSD",
        selectors.body_of(made=symbol("EURUSD").to_core()) | {"margin_percent": "4", "contract_size": "100000"},
        cmd.ConfigureInstrument,
    ),
    Kind.VENUE: (
        "",
        "",
        {
            "enabled": True,
            "priority": 5,
            "stage": "canary",
            "canary_percent": "10",
            "quote_age_ms_max": 500,
            "answer_ms_max": 900,
            "messages_per_s_max": 50,
            "commission_per_million": "3.5",
            "symbols": [{"symbol": "EURUSD", "venue_symbol": "EUR/USD", "units_per_lot": "100000", "enabled": True}],
        },
        cmd.ConfigureVenue,
    ),
    Kind.AUCTIONS: ("", "EURUSD", {"dynamic_bps": 50, "static_bps": 200}, cmd.ConfigureAuctions),
    Kind.ACCOUNT: (
        "",
        "",
        {
            "group": "b-book",
            "category": "professional",
            "category_evidence": "statement, vault 12",
            "category_evidenced_on": "2026-01-02",
        },
        cmd.ConfigureAccount,
    ),
}
OWNERS = {Kind.CLEARANCE: "A1", Kind.RESTRICTED: "C-alice", Kind.VENUE: "LP1", Kind.ACCOUNT: "A1"}


@pytest.fixture
def broker(acorn: Any, redis_server: Any) -> Iterator[None]:
    with in_tenant("acorn"):
        records.client()
        instruments.set_up_instrument(tenant="acorn", instrument=symbol("EURUSD"), by="test")
        liquidity.add_provider(tenant="acorn", name="LP1", port=9101, symbols=[], by="test")
        yield


def draft(kind: str, by: str = "dora", **changes: Any) -> Policy:
    group, name, body, _ = BODIES[kind]
    owner = OWNERS.get(Kind(kind), "")
    policy = Policy(kind=kind, group=group, symbol=name, owner=owner, body=body | changes, reason="a new day")
    return services.save_draft(policy=policy, by=by)


def approve(policy: Policy, by: str = "rick") -> Policy:
    return services.approve(tenant="acorn", policy_id=policy.pk, by=by, at=timezone.now())


def told() -> list[Any]:
    rows = (
        OutboxCommand.objects.exclude(reason=SET_UP).exclude(kind="ConfigureAccount", principal="test").order_by("id")
    )
    return [codec.decode_envelope(bytes(row.payload)).command for row in rows]


@pytest.mark.parametrize("kind", list(Kind))
def test_a_draft_is_live_and_told_once_another_person_approved_it(broker: None, kind: str) -> None:
    made = draft(kind)
    assert told() == [], "a draft is nobody's"
    with pytest.raises(services.UnableToDecidePolicy, match="second pair"):
        approve(made, by="dora")
    assert approve(made).state == "live"
    (command,) = told()
    assert type(command) is BODIES[kind][3]
    with pytest.raises(services.UnableToDecidePolicy, match="no draft"):
        approve(made)


def test_the_next_version_replaces_the_one_before_and_both_are_kept(broker: None) -> None:
    approve(draft(Kind.HEDGING))
    second = approve(draft(Kind.HEDGING, threshold="20"))
    assert list(Policy.objects.order_by("version").values_list("version", "state")) == [(1, "replaced"), (2, "live")]
    assert [(each.policy.version, each.policy.threshold) for each in told()] == [(1, Decimal(10)), (2, Decimal(20))]
    assert selectors.live_version(kind=Kind.HEDGING, group="", symbol="EURUSD") == second
    assert services.sync_engine(tenant="acorn", by="test", mark="-again") == 1


@pytest.mark.parametrize(
    ("kind", "changes", "field"),
    [
        (Kind.HEDGING, {"threshold": "1", "target": "2"}, "body"),
        (Kind.HEDGING, {"treshold": "1"}, "body"),
        (Kind.SWAPS, {"long": "much"}, "body"),
        (Kind.PRICING, {"bands": [{"bid": "1", "ask": "1", "from_lots": "5"}]}, "body"),
        (Kind.ROUTING, {"rules": [{"name": "a", "priority": 1}]}, "body"),
        (Kind.CALENDAR, {"timezone": "Nowhere/Land"}, "body"),
        (Kind.CALENDAR, {"sessions": [{"opens": 10, "closes": 10}]}, "body"),
        (Kind.AUCTIONS, {"dynamic_bps": 0}, "body"),
        (Kind.GROUP, {"ask_markup_points": 5_000}, "body"),
        (Kind.GROUP, {"stop_out_percent": "100"}, "body"),
        (Kind.INSTRUMENT, {"contract_size": "1"}, "body"),
        (Kind.INSTRUMENT, {"lot_min": "0.015"}, "body"),
        (Kind.VENUE, {"canary_percent": "101"}, "body"),
        (Kind.VENUE, {"symbols": [{"symbol": "NOTHING", "venue_symbol": "X", "units_per_lot": "1"}]}, "body"),
    ],
)
def test_what_the_engine_would_refuse_is_refused_when_it_is_written(
    broker: None, kind: str, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        draft(kind, **changes)
    assert list(refused.value.message_dict) == [field]


def test_a_policy_of_nobodys_group_or_symbol_is_refused(broker: None) -> None:
    for group, name in (("nobody", "*"), ("b-book", "NOTHING"), ("", "*"), ("b-book", "")):
        with pytest.raises(ValidationError):
            services.save_draft(policy=Policy(kind=Kind.PRICING, group=group, symbol=name, reason="x"), by="dora")


def test_the_database_too_wants_two_people_and_one_live_version(broker: None) -> None:
    made = approve(draft(Kind.SWAPS))
    with pytest.raises(IntegrityError, match="two_people"):
        Policy.objects.filter(pk=made.pk).update(decided_by="dora")
    other = draft(Kind.SWAPS)
    with pytest.raises(IntegrityError, match="one_live"):
        Policy.objects.filter(pk=other.pk).update(state="live")


def test_a_withdrawn_draft_stays_in_the_history(broker: None) -> None:
    made = services.withdraw(policy_id=draft(Kind.SWAPS).pk, by="dora", at=timezone.now())
    assert (made.state, told()) == ("withdrawn", [])


def test_each_effective_value_says_where_it_comes_from(broker: None) -> None:
    (row,) = selectors.effective(group="b-book")
    assert row["values"]["bid markup"] == ("0 points", "group b-book v1")
    for kind in (Kind.PRICING, Kind.MARGIN, Kind.SWAPS, Kind.HEDGING):
        approve(draft(kind))
    (row,) = selectors.effective(group="b-book")
    assert row["values"]["bid markup"] == ("3 points", "pricing b-book * v1")
    assert row["values"]["price"] == ("average of 5 lots, none while there are fewer", "pricing b-book * v1")
    assert row["values"]["spread"] == ("at least 3 points, past 20 points: absorb", "pricing b-book * v1")
    assert row["values"]["margin"] == ("at least 10 %", "margin b-book EURUSD v1")
    assert row["values"]["hedging"] == ("past 10 lots", "hedging EURUSD v1")
    approve(draft(Kind.SWAP_FREE))
    assert selectors.effective(group="b-book")[0]["values"]["swap"][0] == "swap-free"


SCREENS = (
    "priceprofilepolicy",
    "marginpolicy",
    "swappolicy",
    "swapfreepolicy",
    "hedgingpolicy",
    "routingrules",
    "calendarpolicy",
    "limitspolicy",
    "optionpolicy",
    "clearancepolicy",
    "restrictedpolicy",
    "grouppolicy",
    "instrumentpolicy",
    "auctionpolicy",
    "venuepolicy",
    "accountpolicy",
)
COMPLIANCE = ("clearancepolicy", "restrictedpolicy")


def staff(role: str, username: str) -> Client:
    browser = Client(headers={"host": "acorn.localhost"})
    browser.cookies[settings.SESSION_COOKIE_NAME] = seat_staff(tenant="acorn", role=role, username=username)
    return browser


@pytest.mark.parametrize("screen", SCREENS)
def test_every_screen_opens(broker: None, screen: str) -> None:
    writer = staff("compliance", "carl") if screen in COMPLIANCE else staff("dealer", "dora")
    for page in ("", "add/", "import/", "export/", "effective/?group=b-book"):
        assert writer.get(f"/admin/policies/{screen}/{page}").status_code == 200, page
    for page in ("add/", "import/"):
        assert staff("treasury", f"tess-{page[0]}").get(f"/admin/policies/{screen}/{page}").status_code == 403
    if screen in COMPLIANCE:
        assert staff("dealer", "dora").get(f"/admin/policies/{screen}/add/").status_code == 403


def test_the_form_writes_a_draft_and_shows_what_the_linter_says(broker: None) -> None:
    dealer = staff("dealer", "dora")
    rules = [{"name": "all", "priority": 1, "book_mode": "A"}, {"name": "never", "priority": 2, "book_mode": "B"}]
    form = {"body": codec.msgspec.json.encode({"rules": rules}).decode(), "reason": "a new day"}
    answer = dealer.post("/admin/policies/routingrules/add/", form)
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    with in_tenant("acorn"):
        made = Policy.objects.get()
    assert (made.kind, made.state, made.written_by) == ("routing", "draft", "dora")
    page = dealer.get(f"/admin/policies/routingrules/{made.pk}/change/").content.decode()
    assert "shadowed" in page and "is taken by all before it" in page
    wrong = dealer.post("/admin/policies/routingrules/add/", form | {"body": '{"rules": 3}'})
    assert wrong.status_code == 200 and "rules" in wrong.content.decode()


def test_a_draft_waits_on_the_first_page_and_is_decided_on_its_own(broker: None) -> None:
    dealer, second = staff("dealer", "dora"), staff("admin", "anna")
    assert "Drafts of swap rates" not in second.get("/admin/").content.decode()
    form = {"symbol": "EURUSD", "body": '{"long": "-6.2", "short": "1.1"}', "reason": "a new day"}
    assert dealer.post("/admin/policies/swappolicy/add/", form).status_code == 302
    with in_tenant("acorn"):
        made = Policy.objects.get()
    assert "Drafts of swap rates" in second.get("/admin/").content.decode()
    path, approve = f"/admin/policies/swappolicy/{made.pk}/change/", 'value="approve"'
    assert approve not in dealer.get(path).content.decode()
    assert approve in second.get(path).content.decode()
    decision = {"_selected_action": made.pk, "action": "approve"}
    looked = second.post("/admin/policies/swappolicy/", decision).content.decode()
    assert "<td>long</td>" in looked and Form(looked).fields[f"seen-{made.pk}"] == made.digest, "nobody approves unseen"
    second.post("/admin/policies/swappolicy/", decision | {f"seen-{made.pk}": made.digest})
    with in_tenant("acorn"):
        made.refresh_from_db()
    assert (made.state, made.decided_by) == (Policy.State.LIVE, "anna")
    assert approve not in second.get(path).content.decode()


FULL: dict[str, dict[str, Any]] = {
    Kind.PRICING: {
        "bands": [{"bid": "3", "ask": "-4.5"}, {"bid": "1", "ask": "1", "from_lots": "10", "unit": "bps"}],
        "schedules": [
            {
                "windows": [{"weekdays": [0, 4], "start_minute": 0, "end_minute": 60, "zone": "Europe/London"}],
                "bands": [{"bid": "9", "ask": "9"}],
            }
        ],
        "commission": {"basis": "per_lot", "rate": "3", "tiers": [{"from_turnover": "1000000", "rate": "2"}]},
    },
    Kind.HEDGING: {"threshold": "10", "venues": ["LP1", "LP2"], "venue_lots_max": {"LP1": "5"}, "automatic": False},
    Kind.ROUTING: {
        "rules": [
            {
                "name": "vip",
                "priority": 1,
                "book_mode": "MIXED",
                "a_book_percent": "40",
                "conditions": {"groups": ["a", "b"], "lots_min": "2.5", "from_minute": 60, "to_minute": 90},
                "dealer": {"timeout_s": 20, "passes_on": True},
                "enabled": False,
            }
        ],
        "cost_model": {"fee": "1", "latency_bps_per_s": "0.2"},
    },
    Kind.CALENDAR: {
        "sessions": [{"opens": 0, "closes": 1_440}, {"opens": 8_640, "closes": 10_080}],
        "holidays": ["2026-12-25", "2027-01-01"],
    },
    Kind.MARGIN: {
        "percent": "10",
        "news": [
            {"symbol": "EURUSD", "from_us": 1_893_456_000_000_000, "until_us": 1_893_456_000_000_001, "percent": "50"}
        ],
    },
    Kind.LIMITS: {
        "position_net_max_lots": "40",
        "collar_percent": {"fx_major": "2", "gold": "3.5"},
        "locate_required": ["share"],
        "alert_percents": ["50", "80", "100"],
        "close_on_stale_price": True,
        "window_s": 30,
    },
}


def inputs(nodes: list[dict[str, Any]]) -> dict[str, str]:
    """What a browser would send of a form as it is shown."""
    sent: dict[str, str] = {}
    for node in nodes:
        if node["kind"] == "group":
            sent |= inputs(node["nodes"])
        elif node["kind"] == "rows":
            for row in node["rows"]:
                sent |= inputs(row)
        else:
            sent[node["path"]] = node["value"]
    return sent


@pytest.mark.parametrize("kind", list(Kind))
def test_a_form_that_nobody_touched_says_what_it_was_filled_with(kind: str) -> None:
    given = FULL.get(kind) or BODIES[kind][2]
    sent = inputs(nodes_of(struct=STRUCTS[kind], body=given, path="body"))
    assert gathered(struct=STRUCTS[kind], data=sent, path="body") == given


def test_a_form_is_sent_input_by_input_and_a_bad_one_is_named(broker: None) -> None:
    dealer = staff("dealer", "dora")
    page = dealer.get("/admin/policies/routingrules/add/").content.decode()
    assert 'name="body-rules-0-conditions-lots_min"' in page and "lower is asked first" in page
    form = {
        "reason": "a new day",
        "body-rules-0-name": "vip",
        "body-rules-0-priority": "1",
        "body-rules-0-book_mode": "A",
        "body-rules-0-conditions-groups": "b-book, other",
        "body-rules-1-name": "",
        "body-rules-1-book_mode": "",
    }
    wrong = dealer.post("/admin/policies/routingrules/add/", form | {"body-rules-0-a_book_percent": "140"})
    assert "between 0 and 100" in wrong.content.decode()
    assert 'value="140"' in wrong.content.decode(), "what was typed stays"
    wrong = dealer.post("/admin/policies/routingrules/add/", form | {"body-rules-0-priority": "first"}).content.decode()
    said = 'id="fault-body-rules-0-priority">Write a whole number, not “first”.'
    assert said in wrong and 'aria-describedby="fault-body-rules-0-priority"' in wrong, "beside its own input"
    answer = dealer.post("/admin/policies/routingrules/add/", form)
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    with in_tenant("acorn"):
        made = Policy.objects.get()
    conditions = {"groups": ["b-book", "other"]}
    assert made.body == {"rules": [{"name": "vip", "priority": 1, "book_mode": "A", "conditions": conditions}]}


def test_a_pasted_body_that_nests_without_end_is_no_json() -> None:
    for text in ("[" * 100_000, '{"a": "\\ud800A"}'):
        assert read_body(text=text) == {}
        with pytest.raises(ValidationError):
            BodyField(struct=STRUCTS[Kind.ROUTING]).to_python(text)
