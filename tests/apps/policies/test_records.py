"""Drafts of what has a record of its own: groups, symbols, terms of LPs."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from apps.accounts import selectors as accounts
from apps.instruments import selectors as symbols
from apps.liquidity import selectors as lps
from apps.outbox.selectors import setting_history
from apps.policies import selectors, services
from apps.policies.models import Kind, Policy
from tests.apps.policies.test_policies import BODIES, approve, broker, draft, told

__all__ = ["broker"]


def test_a_group_and_a_symbol_change_their_records_and_say_what_they_were(broker: None) -> None:
    made = approve(draft(Kind.GROUP))
    group = accounts.all_groups().get(name="b-book")
    assert (group.version, group.ask_markup_points, made.replaced["ask_markup_points"]) == (2, 7, 0)
    (told_last, *_) = setting_history(reference="group:b-book")
    assert (told_last.by, told_last.reason) == ("rick", "a new day")
    ((_, changes),) = selectors.history(policy=made)
    assert changes == [("ask_markup_points", 0, 7)], "against what set-up wrote"
    assert selectors.effective(group="b-book")[0]["values"]["ask markup"] == ("7 points", "group b-book v2")
    approve(draft(Kind.INSTRUMENT))
    assert [str(each.margin_percent.normalize()) for each in symbols.all_instruments()] == ["4"]


def test_the_terms_of_an_lp_change_its_record_its_symbols_and_its_stage(broker: None) -> None:
    made = approve(draft(Kind.VENUE))
    assert made.replaced["stage"] == "live" and made.replaced["symbols"] == []
    as_it_was = Policy(kind=Kind.VENUE, owner="LP1", body=made.replaced, reason="as it was")
    services.check_draft(policy=as_it_was)
    (command,) = told()
    assert (command.venue.name, command.venue.canary_percent, command.venue.symbols) == ("LP1", 10, ("EURUSD",))
    lp = lps.providers().get(name="LP1")
    (stage,) = lp.stage_changes.all()
    assert (stage.before, stage.after, stage.by, stage.reason) == ("live", "canary", "rick", "a new day")
    assert lp.port == 9101, "how it is reached is not the draft's"


def test_a_new_group_and_a_new_symbol_come_by_drafts_too(broker: None) -> None:
    """Nothing that is needed is filled up with a default that nobody wrote."""
    body = {name: value for name, value in BODIES[Kind.GROUP][2].items() if name != "book_mode"}
    new = Policy(kind=Kind.GROUP, group="vip", body=body, reason="a new desk")
    with pytest.raises(ValidationError, match="book_mode: this has to be written"):
        services.save_draft(policy=new, by="dora")
    new.body = body | {"book_mode": "A"}
    approve(services.save_draft(policy=new, by="dora"))
    assert accounts.all_groups().get(name="vip").book_mode == "A"
    for name, fault in (("GBP/USD", "symbol"), ("", "symbol")):
        with pytest.raises(ValidationError) as refused:
            body = BODIES[Kind.INSTRUMENT][2]
            services.save_draft(policy=Policy(kind=Kind.INSTRUMENT, symbol=name, body=body, reason="x"), by="dora")
        assert list(refused.value.message_dict) == [fault]


def test_a_draft_that_cannot_be_used_any_more_stays_one(broker: None) -> None:
    body = BODIES[Kind.INSTRUMENT][2]
    small, large = (
        services.save_draft(
            policy=Policy(kind=Kind.INSTRUMENT, symbol="GBPUSD", body=body | {"contract_size": size}, reason="new"),
            by="dora",
        )
        for size in ("1000", "100000")
    )
    approve(small)
    with pytest.raises(services.UnableToDecidePolicy, match="This stays 1000"):
        approve(large)
    large.refresh_from_db()
    assert large.state == "draft"
