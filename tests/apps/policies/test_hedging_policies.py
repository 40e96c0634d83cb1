"""Hedging policies in the back office: what the engine would refuse, or let another one undo, is told to the writer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from apps.instruments import services as instruments
from apps.policies.models import Kind, Policy
from apps.policies.services import save_draft
from apps.tenants.services import in_tenant
from tests.apps import records
from tests.apps.dealing.desk_floor import symbol
from tests.apps.policies.test_policies import approve


@pytest.fixture
def broker(acorn: Any, redis_server: Any) -> Iterator[None]:
    with in_tenant("acorn"):
        records.client()
        for name in ("EURUSD", "EURUSX", "GBPUSD"):
            instruments.set_up_instrument(tenant="acorn", instrument=symbol(name), by="test")
        yield


def covers(key: str, name: str, **changes: Any) -> Policy:
    """Write the draft by which a currency is covered in a symbol."""
    body = {"key": key, "scope": "currency", "threshold": "100000"} | changes
    return save_draft(policy=Policy(kind=Kind.HEDGING, symbol=name, body=body, reason="a new day"), by="dora")


def test_a_currency_that_the_symbol_is_not_dealt_in_is_refused(broker: None) -> None:
    with pytest.raises(ValidationError, match="EURUSD is not dealt in JPY"):
        covers("JPY", "EURUSD")


def test_a_currency_is_covered_in_one_symbol(broker: None) -> None:
    """To the engine the later one would take the place of the one before, which the back office goes on showing."""
    approve(covers("USD", "EURUSD"))
    with pytest.raises(ValidationError, match="EURUSD's policy covers USD already"):
        covers("USD", "GBPUSD")
    approve(covers("USD", "EURUSD", enabled=False))
    assert approve(covers("USD", "GBPUSD")).state == "live"


def test_another_live_policy_that_cannot_be_read_any_more_stands_in_nobodys_way(broker: None) -> None:
    old = approve(covers("EUR", "EURUSD"))
    Policy.objects.filter(pk=old.pk).update(body={"threshold": "of before"})
    assert covers("USD", "EURUSX").state == "draft"


def test_policies_that_would_undo_each_other_are_refused(broker: None) -> None:
    approve(covers("EUR", "EURUSD"))
    with pytest.raises(ValidationError, match="USD in EURUSX, EUR in EURUSD would undo each other"):
        covers("USD", "EURUSX")
