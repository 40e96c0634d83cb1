"""Drafts of what has a record of its own: groups, symbols, terms of LPs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.accounts import selectors as accounts
from apps.accounts import services as groups
from apps.accounts.models import Account, Group
from apps.instruments import selectors as symbols
from apps.liquidity import selectors as lps
from apps.outbox.models import OutboxCommand
from apps.outbox.selectors import setting_history
from apps.policies import selectors, services
from apps.policies.models import Kind, Policy
from apps.tenants.services import in_tenant
from piggy.core.clearance import Permissions
from piggy.messaging import codec
from tests.apps.policies.test_policies import BODIES, approve, broker, draft, staff, told
from tests.flows.back_office import Form

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


def test_nobody_trades_before_and_after_their_identity_is_established(broker: None) -> None:
    """P-02: the account that the engine holds is open, and cleared, only with the client's approval on record."""
    client = accounts.all_accounts().get(account_id="A1").client
    for approved in (False, True):
        client.kyc_approved = approved
        groups.save_client(tenant="acorn", client=client, by="dora", reason="documents")
        command = accounts.all_accounts().get(account_id="A1").to_command()
        expected = Permissions.granted() if approved else None
        assert (command.account.open, command.clearance) == (approved, expected)
        last = OutboxCommand.objects.filter(reference="account:A1").order_by("-id")[0]
        assert codec.decode_envelope(bytes(last.payload)).command == command
        assert (last.principal, last.reason) == ("dora", "documents")


def test_an_account_goes_to_another_group_and_category_by_two_people(broker: None) -> None:
    """One person's save changes neither; what two decided is in the record, its history, and with the engine."""
    groups.set_up_group(tenant="acorn", group=Group(name="vip", book_mode="A"), by="test")
    account = Account.objects.get(account_id="A1")
    account.group = Group.objects.get(name="vip")
    with pytest.raises(ValidationError, match="another person approves"):
        groups.save_account(tenant="acorn", account=account, by="dora")
    with pytest.raises(ValidationError, match="group: There is no group nobody"):
        draft(Kind.ACCOUNT, group="nobody")
    before = OutboxCommand.objects.count()
    made = draft(Kind.ACCOUNT, group="vip")
    assert OutboxCommand.objects.count() == before, "a draft is nobody's"
    tried = made.to_command()
    assert approve(made).replaced == {"group": "b-book", "category": "retail"}
    (told_last,) = told()
    assert told_last == tried, "what the rule lab tries is what is told"
    assert (told_last.account.group, told_last.account.owner_id, told_last.account.currency) == (
        "vip",
        "C-alice",
        "USD",
    )
    (change, *_) = setting_history(reference="account:A1")
    assert (change.by, change.reason) == ("rick", "a new day")
    assert ("account.group", "b-book", "vip") in change.changes


def test_of_two_who_approve_at_once_one_does_and_the_other_hears_why(broker: None) -> None:
    """Two deciders press at the same moment, of the same draft and of two drafts of one LP; one version is live."""
    first, second = draft(Kind.VENUE), draft(Kind.VENUE, priority=9)
    starts = Barrier(3)

    def press(pk: int, by: str) -> str:
        try:
            with in_tenant("acorn"):
                starts.wait(60)
                services.approve(tenant="acorn", policy_id=pk, by=by, at=timezone.now())
        except services.UnableToDecidePolicy as error:
            return error.code
        finally:
            connection.close()
        return "live"

    with ThreadPoolExecutor(3) as people:
        said = [people.submit(press, *each) for each in ((first.pk, "rick"), (first.pk, "anna"), (second.pk, "carl"))]
        heard = sorted(each.result(120) for each in said)
    assert heard == ["live", "live", "over"]
    states = sorted(Policy.objects.filter(kind=Kind.VENUE).values_list("state", flat=True))
    assert states == ["live", "replaced"]
    assert len(told()) == 2


def test_nobody_lets_in_what_was_changed_after_they_looked_nor_their_own(broker: None) -> None:
    dora, rick, venue = staff("dealer", "dora"), staff("risk", "rick"), "/admin/policies/venuepolicy/"
    made = draft(Kind.VENUE)
    page = f"{venue}{made.pk}/change/"

    def decide(browser: Client, action: str, seen: str) -> int:
        sent = {"action": action, "_selected_action": made.pk, f"seen-{made.pk}": seen}
        return int(browser.post(venue, sent).status_code)

    looked, edited = (Form(each.get(page).content.decode()).fields for each in (rick, dora))
    seen = looked[f"seen-{made.pk}"]
    assert decide(dora, "approve", seen) == 403, "one's own"
    assert dora.post(page, edited | {"body-priority": "7"}).status_code == 302
    assert decide(rick, "approve", seen) == 409, "it is not what was looked at"
    stale = rick.post(page, looked | {"body-priority": "8"})
    assert "dora changed this draft meanwhile" in stale.content.decode()
    with in_tenant("acorn"):
        made.refresh_from_db()
        assert (made.state, made.body["priority"], made.written_by) == ("draft", 7, "dora")
    assert decide(rick, "approve", made.digest) == 302
    assert decide(staff("admin", "anna"), "approve", made.digest) == 409, "it is live already"
    assert decide(dora, "withdraw", "") == 409
    assert dora.post(page, edited).status_code == 403, "what is live is not written over"
    with in_tenant("acorn"):
        again = draft(Kind.VENUE)
        made.pk = again.pk
    assert decide(rick, "withdraw", "") == 302
    with in_tenant("acorn"):
        again.refresh_from_db()
    assert (again.state, again.decided_by) == ("withdrawn", "rick")
