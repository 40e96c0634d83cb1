"""LPs that quote on a session of its own, and whose numbers begin anew: as each logon, or as two sides agreed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from piggy.core.market import VenueState
from tests.adapters.fix.raw_lp import LISTED, RawLp, listing
from tests.adapters.fix.test_words import QUOTED
from tests.apps.trading.test_admin import staff
from tests.simulator.lp_range import wait

UNITS = "100000"


@pytest.fixture
def provider(acorn: Any, redis_server: Any, as_tenant: Any) -> Iterator[Any]:
    """One LP, switched off, in the schema of its broker."""
    from apps.liquidity import services
    from apps.liquidity.models import LiquidityProvider

    with as_tenant("acorn"):
        symbols = [services.SymbolTerms(symbol, symbol, UNITS) for symbol in ("EURUSD", "GBPUSD")]  # type: ignore[arg-type]
        services.add_provider(tenant="acorn", name="LP1", port=9101, symbols=symbols, by="test")
        yield LiquidityProvider.objects.get(name="LP1")


def config_of(provider: Any, **changes: Any) -> Any:
    from apps.liquidity import selectors

    for name, value in changes.items():
        setattr(provider, name, value)
    provider.full_clean()
    provider.save()
    return selectors.session_configs(tenant="acorn", home=Path("home"))["LP1"]


def test_an_lp_that_parts_prices_from_orders_has_two_sessions(provider: Any) -> None:
    assert config_of(provider).quotes is None
    orders = config_of(provider, dialect="ctrader")
    quotes = orders.quotes
    assert (orders.target_sub_id, quotes.target_sub_id) == ("TRADE", "QUOTE")
    assert (quotes.only_quotes, quotes.port, quotes.target_comp_id) == (True, 9101, "LP1")
    assert orders.resets_at_logon and quotes.resets_at_logon and quotes.home != orders.home
    other = {"quotes": "LP1-MD", "quotes_port": "9201", "quotes_sender": "ACORN-MD", "quotes_sub": "MD"}
    orders = config_of(provider, dialect="standard", settings=other | {"sender_sub": "desk", "target_sub": "OM"})
    quotes = orders.quotes
    named = (quotes.sender_comp_id, quotes.target_comp_id, quotes.port, quotes.sender_sub_id, quotes.target_sub_id)
    assert named == ("ACORN-MD", "LP1-MD", 9201, "desk", "MD")
    assert (orders.sender_sub_id, orders.target_sub_id, orders.resets_at_logon) == ("desk", "OM", False)
    assert config_of(provider, account="FX-7").account == "FX-7"
    assert config_of(provider, settings={"resets_at_logon": "yes"}).resets_at_logon
    assert not config_of(provider, dialect="ctrader", settings={"resets_at_logon": "no"}).resets_at_logon


@pytest.mark.parametrize(
    "settings",
    [
        {"quotes_port": "x"},
        {"quotes_port": "٣"},
        {"drop_copy_port": "0"},
        {"resets_at_logon": "Y"},
        {"numbers_begin_at": "17:00"},
        {"numbers_begin_at": "17:00 Nowhere/Zone"},
    ],
)
def test_settings_of_a_session_that_mean_nothing_are_refused_by_name(provider: Any, settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=next(iter(settings))):
        config_of(provider, settings=settings)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account", "7\x0144=9"),
        ("sender_comp_id", "A\nResetOnLogon=Y"),
        ("username", "é"),
        ("settings", {"target_sub": "T\x0138=9"}),
    ],
)
def test_what_would_end_a_field_of_fix_stands_in_none(provider: Any, field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        config_of(provider, **{field: value})


def test_prices_come_on_their_own_session_and_go_with_it(provider: Any, tmp_path: Path) -> None:
    """While it is down nothing is quoted, people see why, and orders at work are looked after all the same."""
    from django.conf import settings
    from msgspec import structs

    from apps.liquidity.worker.fix_link import FixLink

    orders, quotes = RawLp(), RawLp()
    for each in (orders, quotes):
        each.list = lambda lp, asked: lp.say("y", listing(asked["320"], LISTED))
    config = config_of(provider, settings={"quotes_port": str(quotes.port)})
    config = structs.replace(config, port=orders.port, home=tmp_path)
    parted = structs.replace(config.quotes, home=tmp_path / "quotes", port=quotes.port)
    link = FixLink(config=structs.replace(config, quotes=parted), redis_url=settings.REDIS_URL)
    link.start()
    try:
        quotes.wait("V")
        wait(lambda: link.session.ready)
        quotes.say("W", QUOTED)
        wait(lambda: link.changed_quotes())
        assert [len(each.asks) for each in link.all_quotes()] == [1]
        assert orders.of("V") == [] and quotes.of("AF") == [], "each is asked for what it has"
        quotes.say("8", "37=1|17=E1|150=F|39=2|11=x|55=EURUSD|54=1|32=1|31=1|14=1|")
        quotes.at_logon = lambda lp, logon: lp.drop()
        link.status_changed = False
        quotes.drop()
        wait(lambda: link.status_changed and "no prices: logged out" in link.status().text)
        assert link.status().state is VenueState.READY
        assert [(each.bids, each.asks) for each in link.all_quotes()] == [((), ())]
        quotes.at_logon = RawLp._take
        quotes.wait("V", count=2)
        quotes.say("W", QUOTED)
        wait(lambda: [len(each.bids) for each in link.all_quotes()] == [1])
        assert "no prices" not in link.status().text
        orders.at_logon = lambda lp, logon: lp.drop()
        orders.drop()
        wait(lambda: link.status().state is VenueState.DOWN)
        quotes.say("W", QUOTED)
        wait(lambda: link._quotes is not None and link._quotes.session.market_data_messages == 3)
        told = [*link.changed_quotes(), *link.all_quotes()]
        assert {each.bids for each in told} == {()}, "an order at that price would reach nobody"
        orders.at_logon = RawLp._take
        wait(lambda: link.session.ready and [len(each.bids) for each in link.all_quotes()] == [1])
        link.session.tradables.shut = "the LP's market is closed"
        assert [each.bids for each in link.all_quotes()] == [()], "as it is told on the session that takes orders"
    finally:
        link.stop()
        orders.stop()
        quotes.stop()
    from apps.liquidity.models import VenueReport

    assert [each.note for each in VenueReport.objects.filter(kind="parked")] == [
        "quotes: a report on the session that quotes"
    ]


def test_f_10_numbers_begin_anew_by_a_person_once_the_session_is_closed(provider: Any, as_tenant: Any) -> None:
    """An LP that begins anew each week would else never be reached again; a session that ends writes its own."""
    from apps.liquidity import services
    from apps.liquidity.models import FixNumbers
    from apps.liquidity.worker.lease import Leases
    from apps.outbox.selectors import setting_history
    from piggy.adapters.fix.numbers import Next

    for name in ("LP1", services.drop_copy_numbers(venue="LP1"), "LP2"):
        services.fix_numbers(venue=name, first=Next(300, 700))
    browser = staff("dealer")

    def begin_anew() -> str:
        form = {"action": "begin_anew", "_selected_action": [provider.pk]}
        answer = browser.post("/admin/liquidity/liquidityprovider/", form, follow=True)
        assert answer.status_code == 200
        return str(answer.content.decode())

    assert "switch it off first" in begin_anew()
    with as_tenant("acorn"):
        type(provider).objects.update(enabled=False)
    leases = Leases()
    for _ in range(2):
        assert leases.take("acorn/LP1"), "what is held is held once, so that it is given back once"
    assert "its session is still open" in begin_anew()
    with as_tenant("acorn"):
        assert set(FixNumbers.objects.values_list("incoming", "outgoing")) == {(300, 700)}
    leases.give("acorn/LP1")
    begin_anew()
    leases.close()
    with as_tenant("acorn"):
        numbers = {row.venue: (row.incoming, row.outgoing) for row in FixNumbers.objects.all()}
        assert numbers == {"LP1": (1, 1), "~LP1": (1, 1), "LP2": (300, 700)}
        (change, *_) = setting_history(reference="venue:LP1")
        assert "begin anew" in change.reason and change.by
        other = type(provider).objects.create(name="OAN1", kind="oanda", enabled=False)
        with pytest.raises(services.UnableToBeginAnew, match="no FIX session"):
            services.begin_numbers_anew(tenant="acorn", provider=other, by="test")


def test_f_10_numbers_begin_anew_at_the_hour_that_was_agreed(provider: Any, tmp_path: Path) -> None:
    """The session of before ends with its configuration; the next one begins at 1, and goes on with that."""
    from django.conf import settings
    from msgspec import structs

    from apps.liquidity import services
    from apps.liquidity.models import FixNumbers
    from apps.liquidity.worker.fix_link import FixLink
    from piggy.adapters.fix.numbers import Next

    since = config_of(provider, settings={"numbers_begin_at": "17:00 America/New_York"}).numbers_since
    assert timedelta(0) <= datetime.now(UTC) - since < timedelta(days=1, hours=1)
    assert config_of(provider, settings={"drop_copy": "COPY"}).numbers_since is None
    for name in ("LP1", "~LP1", "LP2"):
        services.fix_numbers(venue=name, first=Next(300, 700))
    assert services.fix_numbers(venue="LP1", first=Next(), since=datetime.now(UTC) - timedelta(hours=1)) == (300, 700)
    FixNumbers.objects.filter(venue="LP2").update(begun_at=None)
    lp = RawLp()
    config = config_of(provider, settings={"drop_copy": "COPY", "numbers_begin_at": "17:00 America/New_York"})
    now = datetime.now(UTC)
    copied = structs.replace(config.drop_copy, home=tmp_path / "copy", port=lp.port, numbers_since=now)
    link = FixLink(
        config=structs.replace(config, home=tmp_path, port=lp.port, numbers_since=now, drop_copy=copied),
        redis_url=settings.REDIS_URL,
    )
    assert link._copy is not None and link._copy.begin() == (1, 1)
    link._copy = None
    link.start()
    try:
        assert lp.wait("A")["34"] == "1"
        wait(lambda: link.session.ready)
    finally:
        link.stop()
        lp.stop()
    kept = FixNumbers.objects.get(venue="LP1")
    assert 1 < kept.incoming < 300 and 1 < kept.outgoing < 700
    assert services.fix_numbers(venue="LP2", first=Next(), since=now) == (300, 700), "nobody knows when they began"
    assert services.fix_numbers(venue="LP2", first=Next(), since=datetime.now(UTC) + timedelta(hours=1)) == (1, 1)
