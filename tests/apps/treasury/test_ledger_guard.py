"""The database keeps the ledger balanced and unchanged, whoever writes; a deposit needs two people."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.common import bulk
from apps.outbox.models import OutboxCommand
from apps.treasury import projections, services
from apps.treasury.models import Deposit, GlAccount, JournalEntry, Posting
from apps.treasury.projections import UnableToBook
from apps.treasury.selectors import trial_balance
from apps.users.services import create_staff
from piggy import projector
from piggy.core.commands import CreditAccount
from piggy.core.events import Recorded, VenueBooked, VenueBookOpened
from piggy.messaging import codec
from tests.apps import records


@pytest.fixture
def books(acorn: Any, as_tenant: Any) -> Any:
    with as_tenant("acorn"):
        records.client()
        yield acorn


def _lines(*amounts: str) -> list[Posting]:
    return [
        Posting(entry_id=1, line=at, gl_account_id="bank", currency="USD", amount=Decimal(amount))
        for at, amount in enumerate(amounts)
    ]


def test_an_unbalanced_entry_is_refused_by_the_database(books: Any) -> None:
    with pytest.raises(IntegrityError, match="does not balance in USD"), transaction.atomic():
        JournalEntry.objects.create(seq=1, event_type="Test", booked_at=timezone.now())
        Posting.objects.bulk_create(_lines("5", "-4"))
    assert not JournalEntry.objects.exists()


def test_a_balanced_entry_is_kept_and_never_changed(books: Any) -> None:
    JournalEntry.objects.create(seq=1, event_type="Test", booked_at=timezone.now())
    bulk.insert(rows=_lines("5", "-5"))
    with pytest.raises(IntegrityError, match="corrected by new entries"):
        Posting.objects.filter(line=0).update(amount=Decimal(6))


def test_a_line_names_an_entry_and_an_account_that_are_there_and_stay(books: Any) -> None:
    with pytest.raises(IntegrityError, match="names no journal entry"), transaction.atomic():
        bulk.insert(rows=_lines("5", "-5"))
    JournalEntry.objects.create(seq=1, event_type="Test", booked_at=timezone.now())
    elsewhere = _lines("5", "-5")
    elsewhere[1].gl_account_id = "nowhere"
    with pytest.raises(IntegrityError, match="names no account of the ledger"), transaction.atomic():
        bulk.insert(rows=elsewhere)
    with pytest.raises(IntegrityError, match="account bank stays"), transaction.atomic():
        GlAccount.objects.filter(code="bank").update(code="vault")
    with pytest.raises(IntegrityError, match="account bank stays"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("delete from treasury_glaccount where code = 'bank'")


def test_inv_29_a_deposit_needs_a_second_person_and_is_credited_once(books: Any) -> None:
    asking = create_staff(username="tom", password="long enough for a test", role="treasury")
    approving = create_staff(username="ada", password="long enough for a test", role="admin")
    deposit = services.request_deposit(
        account_id="A1", amount=Decimal(250), currency="USD", reference="bank-1", by=asking
    )
    with pytest.raises(services.UnableToDecideDeposit, match="second pair of eyes"):
        services.approve_deposit(tenant="acorn", deposit_id=deposit.pk, by=asking, at=timezone.now())
    services.approve_deposit(tenant="acorn", deposit_id=deposit.pk, by=approving, at=timezone.now())
    with pytest.raises(services.UnableToDecideDeposit, match="decided already"):
        services.approve_deposit(tenant="acorn", deposit_id=deposit.pk, by=approving, at=timezone.now())
    told = OutboxCommand.objects.get(kind="CreditAccount")
    command = codec.decode_envelope(bytes(told.payload)).command
    assert command == CreditAccount(account_id="A1", amount=Decimal(250), reference=f"deposit:{deposit.pk}")
    with pytest.raises(IntegrityError, match="deposit_four_eyes"):
        Deposit.objects.filter(pk=deposit.pk).update(decided_by=asking)


def test_a_deposit_in_another_currency_names_the_field(books: Any) -> None:
    with pytest.raises(services.UnableToRequestDeposit, match="currency: account A1 is kept in USD"):
        services.request_deposit(account_id="A1", amount=Decimal(1), currency="EUR", reference="x", by=None)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"amount": Decimal(0)}, "amount"),
        ({"amount": Decimal(-5)}, "amount"),
        ({"amount": Decimal("1e20")}, "amount"),
        ({"reference": ""}, "reference"),
        ({"reference": "bank-1"}, "reference"),
    ],
)
def test_money_that_cannot_move_is_refused_by_its_field(books: Any, wrong: dict[str, Any], field: str) -> None:
    """A reference is used once: the same payment is not credited, or paid out, a second time."""
    tom = create_staff(username="tom", password="long enough for a test", role="treasury")
    asked: dict[str, Any] = {"account_id": "A1", "amount": Decimal(5), "currency": "USD", "by": tom}
    services.request_deposit(**asked, reference="bank-1")
    services.request_withdrawal(**asked, reference="bank-1", reason="asked by mail")
    for request in (services.request_deposit, partial(services.request_withdrawal, reason="asked by mail")):
        with pytest.raises(ValidationError) as refused, transaction.atomic():
            request(**{**asked, "reference": "bank-2", **wrong})
        assert list(refused.value.message_dict) == [field]


def test_the_projector_books_what_the_engine_credits(books: Any) -> None:
    records.write(records.credited("250"))
    projector.catch_up(tenant="acorn")
    assert JournalEntry.objects.get().event_type == "AccountCredited"


def test_a_fill_of_an_account_that_nobody_knows_is_not_booked_in_no_currency(acorn: Any, as_tenant: Any) -> None:
    """What stands after it is not shown either, until somebody looks."""
    with as_tenant("acorn"):
        records.write(records.credited(), records.accepted(), records.filled())
        with pytest.raises(UnableToBook, match="No such account: A1"):
            projector.catch_up(tenant="acorn")
        assert not JournalEntry.objects.exists()


def test_what_lps_dealt_is_booked_with_them(books: Any) -> None:
    named = {"venue": "LP1", "symbol": "EURUSD", "currency": "USD"}
    events = [
        VenueBookOpened(result=Decimal(7), settled=(("EUR", Decimal(4)),), **named),
        VenueBooked(fill_id="E2", result=Decimal(50), **named),
    ]
    at = {"position": 0, "principal": "", "request_hash": "", "recorded_mono_ns": 0}
    at |= {"occurred_at_us": 1, "recorded_at_us": 1, "command_id": str(uuid4())}
    batch = [Recorded(seq=seq, event=event, **at) for seq, event in enumerate(events, 1)]
    for _ in range(2):
        list(projections.project(tenant="acorn", batch=batch))
    assert list(JournalEntry.objects.order_by("seq").values_list("seq", "reference")) == [(1, ""), (2, "E2")]
    assert trial_balance() == {
        ("lp_settlement", "USD"): 57,
        ("passed_dealing", "USD"): -57,
        ("lp_settlement", "EUR"): -4,
        ("passed_dealing", "EUR"): 4,
    }
