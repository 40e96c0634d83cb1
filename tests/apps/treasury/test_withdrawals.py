"""A withdrawal: asked for by one person, approved by another who repeats it, booked or refused by the engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.outbox.models import OutboxCommand
from apps.treasury import selectors, services
from apps.treasury.models import Deposit, Withdrawal
from apps.users.models import User
from apps.users.services import create_staff
from piggy import projector
from piggy.core.commands import DebitAccount
from piggy.core.events import AccountDebited, CommandRefused
from piggy.messaging import codec
from tests.apps import records
from tests.apps.policies.test_policies import staff

ASKED = {"account_id": "A1", "amount": Decimal(100), "currency": "USD", "reference": "W-1", "reason": "asked by mail"}


@pytest.fixture
def books(acorn: Any, as_tenant: Any, redis_server: Any) -> Any:
    with as_tenant("acorn"):
        records.client()
        records.write(records.credited())
        projector.catch_up(tenant="acorn")
        OutboxCommand.objects.all().delete()
        yield acorn


@pytest.fixture
def asked(books: Any) -> tuple[Withdrawal, Any, Any]:
    """What was asked for, who asked, and who else there is."""
    tess, adam = (create_staff(username=name, password="a password of theirs", role="treasury") for name in ("t", "a"))
    return services.request_withdrawal(**ASKED, by=tess), tess, adam  # type: ignore[arg-type]


def approve(asked: Withdrawal, by: Any, confirm: str = "pay 100 USD") -> Withdrawal:
    return services.approve_withdrawal(
        tenant="acorn", withdrawal_id=asked.pk, confirm=confirm, by=by, at=timezone.now()
    )


def test_it_is_told_once_another_person_repeats_what_is_paid(asked: Any) -> None:
    made, tess, adam = asked
    for by, confirm, words in ((tess, "pay 100 USD", "second pair"), (adam, "pay 1000 USD", "pay 100 USD")):
        with pytest.raises(services.UnableToDecideWithdrawal, match=words):
            approve(made, by, confirm)
    assert not OutboxCommand.objects.exists()
    told = approve(made, adam)
    (row,) = OutboxCommand.objects.all()
    command = codec.decode_envelope(bytes(row.payload)).command
    assert command == DebitAccount(account_id="A1", amount=Decimal(100), reference=f"withdrawal:{made.pk}")
    assert (str(row.command_id), row.principal, row.reason) == (told.command_id, "a", "asked by mail")
    with pytest.raises(services.UnableToDecideWithdrawal, match="decided already"):
        approve(made, adam)
    with pytest.raises(IntegrityError, match="four_eyes"), transaction.atomic():
        Withdrawal.objects.filter(pk=made.pk).update(decided_by=tess)


def test_inv_29_of_many_who_approve_at_once_one_pays(asked: Any, as_tenant: Any) -> None:
    made, _, adam = asked
    others = [create_staff(username=f"p{number}", password="a password of theirs", role="treasury") for number in "123"]
    together = Barrier(len(others) + 1)

    def decide(by: Any) -> bool:
        try:
            with as_tenant("acorn"):
                together.wait(timeout=60)
                approve(made, by)
        except services.UnableToDecideWithdrawal:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(len(others) + 1) as people:
        assert sorted(people.map(decide, [adam, *others])) == [False, False, False, True]
    assert OutboxCommand.objects.count() == 1


@pytest.mark.parametrize(
    ("event", "state", "note", "owed"),
    [
        (
            AccountDebited(
                account_id="A1", amount=Decimal(100), currency="USD", reference="withdrawal:1", kind="withdrawal"
            ),
            "booked",
            "",
            900,
        ),
        (CommandRefused(code="FUNDS_NOT_FREE", field="amount", text="50 is free"), "refused", "50 is free", 1000),
    ],
)
def test_only_what_the_engine_booked_is_booked(asked: Any, event: Any, state: str, note: str, owed: int) -> None:
    made, _, adam = asked
    told = approve(made, adam)
    records.write(CommandRefused(code="X", field="", text="of another"), command_id=str(uuid4()))
    records.write(event, command_id=str(told.command_id))
    projector.catch_up(tenant="acorn")
    made.refresh_from_db()
    assert (made.state, made.note) == (state, note)
    assert selectors.client_balance(account_id="A1") == owed


def test_what_the_log_said_first_of_a_withdrawal_stands(asked: Any) -> None:
    """One that was paid is not said to be refused by what comes of its command later."""
    made, _, adam = asked
    told = approve(made, adam)
    for refusal in ("", "50 is free"):
        services.settle_withdrawal(command_id=told.command_id, refusal=refusal)
        made.refresh_from_db()
        assert (made.state, made.note) == ("booked", "")


def test_a_refused_or_foreign_wish_names_its_field(asked: Any) -> None:
    made, tess, adam = asked
    for wrong, field in (({"account_id": "A9"}, "account_id"), ({"currency": "EUR"}, "currency")):
        with pytest.raises(services.UnableToRequestWithdrawal, match=field):
            services.request_withdrawal(**{**ASKED, "reference": "W-2", **wrong}, by=tess)  # type: ignore[arg-type]
    services.reject_withdrawal(withdrawal_id=made.pk, by=adam, at=timezone.now())
    with pytest.raises(services.UnableToDecideWithdrawal, match="decided already"):
        approve(made, adam)


def test_the_back_office_asks_for_it_to_be_repeated_and_lets_nobody_else_near(books: Any, as_tenant: Any) -> None:
    tess, adam, dealer = staff("treasury", "tess"), staff("admin", "adam"), staff("dealer", "dora")
    page, form = "/admin/treasury/withdrawal/", {name: str(value) for name, value in ASKED.items()}
    assert [dealer.get(page + each).status_code for each in ("", "add/")] == [403, 403]
    assert "kept in USD" in tess.post(f"{page}add/", form | {"currency": "EUR"}).content.decode()
    assert tess.post(f"{page}add/", form).status_code == 302
    with as_tenant("acorn"):
        (made,) = selectors.waiting_withdrawals()
    decision = {"action": "approve", "_selected_action": made.pk}
    shown = adam.post(page, decision).content.decode()
    assert "pay 100 USD" in shown and "asked by mail" in shown and "1,000" in shown
    assert "Confirm with" in adam.post(page, decision | {"confirm": "pay 1 USD"}).content.decode()
    assert adam.post(page, decision | {"confirm": "pay 100 USD"}).status_code == 302
    with as_tenant("acorn"):
        assert Withdrawal.objects.get().state == "approved"


@pytest.mark.parametrize("kind", ["deposit", "withdrawal"])
def test_who_only_looks_decides_nothing_and_nobody_edits_what_was_asked_for(
    books: Any, as_tenant: Any, kind: str
) -> None:
    tess, adam, looks = staff("treasury", "tess"), staff("admin", "adam"), staff("auditor", "otto")
    page, form = f"/admin/treasury/{kind}/", {name: str(value) for name, value in ASKED.items()}
    for reference in ("W-1", "W-2"):
        assert tess.post(f"{page}add/", form | {"reference": reference}).status_code == 302
    model = Withdrawal if kind == "withdrawal" else Deposit
    with as_tenant("acorn"):
        keys = list(model.objects.order_by("id").values_list("pk", flat=True))
    assert looks.get(page).status_code == 200
    for action in ("approve", "reject"):
        looks.post(page, {"action": action, "_selected_action": keys[0], "confirm": "pay 100 USD"})
    assert adam.post(f"{page}{keys[0]}/change/", form | {"amount": "900"}).status_code == 403
    if kind == "withdrawal":
        told = adam.post(page, {"action": "approve", "_selected_action": keys, "confirm": "pay 100 USD"}, follow=True)
        assert "Choose one" in told.content.decode()
    with as_tenant("acorn"):
        assert set(model.objects.values_list("state", "amount")) == {("requested", Decimal(100))}


def test_one_s_own_request_is_refused_in_words_on_its_screen(books: Any, as_tenant: Any) -> None:
    """INV-29."""
    browser = staff("treasury", "tess")
    with as_tenant("acorn"):
        tess = User.objects.get(username="tess")
        made = services.request_withdrawal(**ASKED, by=tess)  # type: ignore[arg-type]
        paid = {name: ASKED[name] for name in ("account_id", "amount", "currency", "reference")}
        came = services.request_deposit(**paid, by=tess)  # type: ignore[arg-type]
    for screen, pk, action in (("deposit", came.pk, "approve"), ("deposit", came.pk, "reject"),
                               ("withdrawal", made.pk, "reject")):  # fmt: skip
        sent = {"action": action, "_selected_action": pk}
        page = browser.post(f"/admin/treasury/{screen}/", sent, follow=True)
        assert (page.status_code, "needs a second pair of eyes" in page.content.decode()) == (200, True), (
            screen,
            action,
        )
    with as_tenant("acorn"):
        assert {each.state for model in (Deposit, Withdrawal) for each in model.objects.all()} == {"requested"}
