"""Policies out as CSV and in again: what went out says nothing new, a bad row names itself, nothing is half done."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.instruments import selectors as symbols
from apps.instruments import services as instruments
from apps.liquidity import services as liquidity
from apps.policies import selectors, services
from apps.policies.models import Kind, Policy
from apps.risk import selectors as risk
from apps.risk.models import GroupLimits
from apps.tenants.services import in_tenant
from piggy.core.instruments import CrossKind, CrossTerms
from piggy.core.quotefilter import QuoteFilter
from tests.apps import records
from tests.apps.dealing.desk_floor import symbol
from tests.apps.policies.test_policies import BODIES, FULL, OWNERS, approve, staff, told


@pytest.fixture
def broker(acorn: Any, redis_server: Any) -> Iterator[None]:
    with in_tenant("acorn"):
        records.client()
        for name in ("EURUSD", "GBPUSD"):
            instruments.set_up_instrument(tenant="acorn", instrument=symbol(name), by="test")
        liquidity.add_provider(tenant="acorn", name="LP1", port=9101, symbols=[], by="test")
        yield


def bring(kind: str, text: str) -> services.Brought:
    return services.bring(kind=kind, text=text, by="dora", reason="a new year")


def faults_of(kind: str, text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(services.UnableToImport) as refused:
        bring(kind, text)
    return [tuple(each) for each in refused.value.faults]  # type: ignore[misc]


def faults(kind: str, text: str) -> list[tuple[int, str, str]]:
    found = faults_of(kind, text)
    assert not Policy.objects.exists(), "nothing is written where a row is wrong"
    return found


@pytest.mark.parametrize("kind", list(Kind))
def test_what_was_taken_away_comes_back_and_says_nothing_new(broker: None, kind: str) -> None:
    group, name, body, _ = BODIES[kind]
    row = Policy(kind=kind, group=group, symbol=name, owner=OWNERS.get(Kind(kind), ""), reason="a new day")
    row.body = FULL.get(kind, body)
    approve(services.save_draft(policy=row, by="dora"))
    live = selectors.live_rows(kind=kind)
    assert bring(kind, services.as_table(kind=kind, policies=live)) == ([], len(live))
    assert Policy.objects.count() == 1


def test_each_row_becomes_a_draft_and_a_second_import_of_it_none(broker: None) -> None:
    text = (
        "symbol,timezone,sessions.0.opens,sessions.0.closes,holidays,reason\n"
        "EURUSD,Europe/London,Sun 22:00,Sun 24:00,2026-12-25;2027-01-01,\n"
        "GBPUSD,UTC,Mon 00:00,7200,,from the exchange\n"
    )
    made = bring(Kind.CALENDAR, text).drafts
    assert [(each.symbol, each.state, each.reason) for each in made] == [
        ("EURUSD", "draft", "a new year"),
        ("GBPUSD", "draft", "from the exchange"),
    ]
    assert made[0].body["sessions"] == [{"opens": 9_960, "closes": 10_080}]
    assert made[0].body["holidays"] == ["2026-12-25", "2027-01-01"]
    assert made[1].body == {"timezone": "UTC", "sessions": [{"opens": 0, "closes": 7_200}]}
    assert bring(Kind.CALENDAR, text) == ([], 2)


def test_a_bad_row_is_named_with_its_field_and_limit_and_nothing_is_written(broker: None) -> None:
    text = "group,symbol,percent\nb-book,EURUSD,10\nb-book,NOTHING,10\nb-book,*,-4\nnobody,*,much\nb-book,*,7\n"
    found = faults(Kind.MARGIN, text)
    assert [(row, field) for row, field, _ in found] == [
        (3, "symbol"),
        (4, "percent"),
        (5, "group"),
        (6, "group, symbol"),
    ]
    assert "below zero" in found[1][2], "the limit is said"
    assert "row 4" in found[3][2]


@pytest.mark.parametrize(
    ("kind", "text", "fault"),
    [
        (Kind.HEDGING, "symbol,threshold\nEURUSD,much\n", (2, "threshold")),
        (Kind.PRICING, "group,symbol,bands.0.bid,bands.0.ask\nb-book,*,3,wide\n", (2, "bands.0.ask")),
        (Kind.HEDGING, "symbol,treshold\nEURUSD,1\n", (1, "treshold")),
        (Kind.HEDGING, "threshold\n1\n", (1, "symbol")),
        (Kind.HEDGING, "symbol,threshold\nEURUSD\n", (2, "row")),
        (Kind.PRICING, "group,symbol,bands.900.bid\nb-book,*,3\n", (1, "bands.900.bid")),
        (Kind.RESTRICTED, 'owner,symbols\n,"EURUSD,NOTHING"\n', (2, "symbols")),
        (Kind.HEDGING, "symbol,threshold\nEUR\0USD,1\n", (2, "file")),
        (Kind.HEDGING, 'symbol,threshold\n"EURUSD', (2, "file")),
        (Kind.HEDGING, f"symbol,threshold\n{'a' * 140_000},1\n", (2, "file")),
        (Kind.PRICING, "group,symbol,bands.0.bid,bands.0.ask\nb-book,*,3,--5\n", (2, "bands.0.ask")),
        (Kind.PRICING, "group,symbol,bands.0.bid,bands.0.ask\nb-book,*,3,²\n", (2, "bands.0.ask")),
        (Kind.PRICING, f"group,symbol,bands.0.bid,bands.0.ask\nb-book,*,3,{'9' * 5_000}\n", (2, "bands.0.ask")),
        (Kind.PRICING, "group,symbol,build.mode,build.size_lots\nb-book,*,vwap,\n", (2, "build.size_lots")),
        (Kind.PRICING, "group,symbol,build.mode,build.size_lots\nb-book,*,vwap,-1\n", (2, "build.size_lots")),
        (Kind.PRICING, "group,symbol,build.mode,build.size_lots\nb-book,*,midpoint,1\n", (2, "build.size_lots")),
        (Kind.PRICING, "group,symbol,build.mode,build.thin\nb-book,*,best,reject\n", (2, "build.thin")),
        (Kind.PRICING, "group,symbol,build.mode,build.size_lots\nb-book,*,mean,1\n", (2, "build.mode")),
        (Kind.PRICING, "group,symbol,build.size_lots\nb-book,*,1\n", (2, "build.mode")),
        (Kind.PRICING, "group,symbol,spread.min_points,spread.max_points\nb-book,*,3,2\n", (2, "spread.min_points")),
        (Kind.PRICING, "group,symbol,spread.action\nb-book,*,reject\n", (2, "spread.action")),
    ],
    ids=range(21),
)
def test_every_fault_has_its_place(broker: None, kind: str, text: str, fault: tuple[int, str]) -> None:
    assert [each[:2] for each in faults(kind, text)] == [fault]


def test_no_cell_is_a_formula_and_what_was_made_safe_is_read_as_it_was(broker: None) -> None:
    body = {"rules": [{"name": "=HYPERLINK()", "priority": 1, "book_mode": "A"}]}
    approve(services.save_draft(policy=Policy(kind=Kind.ROUTING, body=body, reason="-1+1"), by="dora"))
    text = services.as_table(kind=Kind.ROUTING, policies=selectors.live_rows(kind=Kind.ROUTING))
    assert "'=HYPERLINK()" in text and "'-1+1" in text
    assert bring(Kind.ROUTING, text).drafts == []


def test_limits_go_live_in_the_groups_own_record(broker: None) -> None:
    (made,) = bring(Kind.LIMITS, "group,position_net_max_lots,collar_percent.gold\nb-book,40,2.5\n").drafts
    assert not GroupLimits.objects.exists(), "a draft is nobody's"
    approve(made)
    limits = risk.limits_of(group="b-book")
    assert limits is not None
    assert (str(limits.position_net_max_lots), str(limits.collar_percent["gold"])) == ("40", "2.5")  # type: ignore[index]
    shown = {name: (value, source) for name, _, value, source in selectors.effective_limits(group="b-book")}
    assert shown["position_net_max_lots"] == ("40", "limits of b-book v1")
    assert shown["window_s"] == ("60", "house")
    assert shown["order_value_max"][1] == "group b-book v1"


def test_groups_and_symbols_go_out_come_back_changed_and_name_their_faults(broker: None) -> None:
    text = services.as_table(kind=Kind.GROUP, policies=selectors.live_rows(kind=Kind.GROUP))
    head, row = text.splitlines()[:2]
    assert row.startswith("b-book,") and "ask_markup_points" in head
    wide = dict(zip(head.split(","), row.split(","), strict=True)) | {"ask_markup_points": "5000"}
    ((number, field, said),) = faults(Kind.GROUP, f"{head}\n{','.join(wide.values())}\n")
    assert (number, field) == (2, "ask_markup_points") and "at most 1000" in said
    short = wide | {"ask_markup_points": "9", "book_mode": ""}
    assert faults(Kind.GROUP, f"{head}\n{','.join(short.values())}\n")[0][:2] == (2, "book_mode")
    (made,) = bring(Kind.GROUP, f"{head}\n{','.join((short | {'book_mode': 'A'}).values())}\n").drafts
    approve(made)
    (now,) = selectors.live_rows(kind=Kind.GROUP)
    assert (now.body["book_mode"], now.body["ask_markup_points"]) == ("A", 9)
    symbols = services.as_table(kind=Kind.INSTRUMENT, policies=selectors.live_rows(kind=Kind.INSTRUMENT))
    moved = symbols.replace(",100000,", ",1000,", 1)
    assert [each[:2] for each in faults_of(Kind.INSTRUMENT, moved)] == [(2, "contract_size")]


def test_a_cross_is_a_draft_of_two_people_out_of_a_table_and_its_faults_name_their_cells(broker: None) -> None:
    """EURGBP = EURUSD / GBPUSD; the engine hears it after its legs, and whatever would not fit them is no draft."""
    rows = services.as_table(kind=Kind.INSTRUMENT, policies=selectors.live_rows(kind=Kind.INSTRUMENT)).splitlines()
    pound = dict(zip(rows[0].split(","), rows[1].split(","), strict=True)) | {"symbol": "EURGBP", "quote": "GBP"}
    legs = {"cross.first": "EURUSD", "cross.second": "GBPUSD", "cross.kind": "divide"}

    def table(**cells: str) -> str:
        wide = pound | legs | {name.replace("_", "."): cell for name, cell in cells.items()}
        return ",".join(wide) + "\n" + ",".join(wide.values()) + "\n"

    for name, cell in (("cross_first", "EURCHF"), ("cross_second", "EURUSD"), ("cross_kind", "minus")):
        ((number, field, _),) = faults(Kind.INSTRUMENT, table(**{name: cell}))
        assert (number, field) == (2, name.replace("_", "."))
    assert faults(Kind.INSTRUMENT, table(cross_kind=""))[0][0] == 2
    (made,) = bring(Kind.INSTRUMENT, table()).drafts
    approve(made)
    row = symbols.all_instruments().get(symbol="EURGBP")
    assert row.to_core().cross == CrossTerms(first="EURUSD", second="GBPUSD", kind=CrossKind.DIVIDE)
    assert told()[-1].instrument == row.to_core()
    live = selectors.live_rows(kind=Kind.INSTRUMENT)
    assert bring(Kind.INSTRUMENT, services.as_table(kind=Kind.INSTRUMENT, policies=live)) == ([], 3)
    instruments.sync_engine(tenant="acorn", by="test", mark="-again")
    assert [command.instrument.symbol for command in told()[-3:]] == ["EURUSD", "GBPUSD", "EURGBP"]
    option = {"underlying": "EURUSD", "kind": "call", "strike": "1.1", "expires_at_us": 1_800_000_000_000_000}
    body = {name: value for name, value in made.body.items() if name != "cross"}
    body |= {"base": "GBP", "quote": "USD", "asset_class": "option", "option": option}
    with pytest.raises(ValidationError, match="EURGBP is made of it") as refused:
        services.save_draft(policy=Policy(kind=Kind.INSTRUMENT, symbol="GBPUSD", body=body, reason="x"), by="dora")
    assert list(refused.value.message_dict) == ["symbol"]
    with pytest.raises(ValidationError, match="cross.first"):
        set_up = symbol("EURJPY")
        set_up.cross_first, set_up.cross_second, set_up.cross_kind = "EURCHF", "USDJPY", "multiply"
        instruments.set_up_instrument(tenant="acorn", instrument=set_up, by="test")
    with pytest.raises(ValidationError, match="all three"):
        set_up.cross_second = ""
        set_up.full_clean()


def test_a_symbols_filter_of_quotes_comes_out_of_a_table_and_its_faults_name_their_cells(broker: None) -> None:
    rows = services.as_table(kind=Kind.INSTRUMENT, policies=selectors.live_rows(kind=Kind.INSTRUMENT)).splitlines()
    euro = dict(zip(rows[0].split(","), rows[1].split(","), strict=True))

    def table(**cells: str) -> str:
        wide = euro | {f"quote_filter.{name}": cell for name, cell in cells.items()}
        return ",".join(wide) + "\n" + ",".join(wide.values()) + "\n"

    wrong = [("spike_bps_max", cell) for cell in ("0", "NaN", f"0.{'1' * 11}")] + [("good_ticks", "1001")]
    for name, cell in wrong:
        assert [each[:2] for each in faults(Kind.INSTRUMENT, table(**{name: cell}))] == [(2, f"quote_filter.{name}")]
    (made,) = bring(Kind.INSTRUMENT, table(spike_bps_max="25.5")).drafts
    approve(made)
    row = symbols.all_instruments().get(symbol=euro["symbol"])
    assert row.to_core().quote_filter == QuoteFilter(spike_bps_max=Decimal("25.5"))
    assert told()[-1].instrument == row.to_core()
    live = selectors.live_rows(kind=Kind.INSTRUMENT)
    assert bring(Kind.INSTRUMENT, services.as_table(kind=Kind.INSTRUMENT, policies=live)).drafts == []
    row.filter_good_ticks = None
    with pytest.raises(ValidationError, match="all three"):
        row.full_clean()
    fresh = symbol("EURJPY")
    fresh.filter_spike_bps_max, fresh.filter_reference_age_ms_max, fresh.filter_good_ticks = Decimal(1), 0, 1
    with pytest.raises(ValidationError, match="quote_filter.reference_age_ms_max"):
        instruments.set_up_instrument(tenant="acorn", instrument=fresh, by="test")


@pytest.mark.parametrize(("cell", "means"), [("TRUE", True), ("yes", True), ("False", False), ("0", False)])
def test_yes_and_no_are_read_as_people_and_spreadsheets_write_them(broker: None, cell: str, means: bool) -> None:
    text = f"symbol,scope,key,threshold,enabled\nEURUSD,currency,EUR,5,{cell}\n"
    (made,) = bring(Kind.HEDGING, text).drafts
    assert made.body["enabled"] is means


@pytest.mark.parametrize(
    ("name", "cell", "said"),
    [
        ("enabled", "perhaps", "write yes or no, not “perhaps”."),
        ("venue_lots_max", "LP1=5;LP2:7", "write pairs of a name and a value, not “LP1=5;LP2:7”."),
    ],
)
def test_what_is_no_answer_to_a_cell_is_refused_and_not_taken_for_a_no(
    broker: None, name: str, cell: str, said: str
) -> None:
    """A bound that nobody read would be none, and what is switched off by a typing error is off."""
    text = f"symbol,scope,key,threshold,{name}\nEURUSD,currency,EUR,5,{cell}\n"
    assert faults(Kind.HEDGING, text) == [(2, name, said)]


def upload(browser: Client, text: str) -> Any:
    table = SimpleUploadedFile("swaps.csv", text.encode(), content_type="text/csv")
    return browser.post("/admin/policies/swappolicy/import/", {"table": table, "reason": "new rates"})


def test_the_back_office_takes_a_file_or_says_what_is_wrong_with_it(broker: None) -> None:
    dealer = staff("dealer", "dora")
    wrong = upload(dealer, "symbol,long,short\nEURUSD,-6.2,much\n")
    assert wrong.status_code == 400
    assert "Nothing was written" in wrong.content.decode() and "<td>short</td>" in wrong.content.decode()
    assert upload(dealer, "symbol,long,short\nEURUSD,-6.2,1.1\n").status_code == 302
    with in_tenant("acorn"):
        made = Policy.objects.get()
        assert (made.body["long"], made.reason, made.written_by) == ("-6.2", "new rates", "dora")
        approve(made)
    assert "EURUSD" in dealer.get("/admin/policies/swappolicy/export/").content.decode()
    page = dealer.get(f"/admin/policies/swappolicy/{made.pk}/change/").content.decode()
    assert "v1 live" in page and "long: – → -6.2" in page, "history shows the difference"
