"""Whose a socket's session is: nobody's once it is over, or what it was signed in with is not that person's now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.plugins.otp_totp.models import TOTPDevice

from apps.common.sockets import people_of
from apps.users.models import User
from apps.users.services import create_staff
from piggy.bench.desk_ground import seat_staff


@pytest.fixture
def key(acorn: Any, as_tenant: Any) -> Any:
    """The session of somebody who gave a password and a code."""
    made = seat_staff(tenant="acorn", role="dealer", username="dora")
    with as_tenant("acorn"):
        yield made


def put(key: str, name: str, value: str) -> None:
    session = SessionStore(key)
    session[name] = value
    session.save()


def it_ran_out(key: str) -> None:
    Session.objects.filter(session_key=key).update(expire_date=timezone.now() - timedelta(seconds=1))


def its_person_left(key: str) -> None:
    User.objects.update(is_active=False)


def the_password_is_another(key: str) -> None:
    dora = User.objects.get(username="dora")
    dora.set_password("another one, said by nobody")
    dora.save()


def it_came_by_a_way_that_is_shut(key: str) -> None:
    put(key, BACKEND_SESSION_KEY, "somewhere.else.Backend")


@pytest.mark.parametrize(
    "change", [it_ran_out, its_person_left, the_password_is_another, it_came_by_a_way_that_is_shut]
)
def test_a_session_that_is_over_is_nobodys(key: str, change: Callable[[str], None]) -> None:
    assert {found: str(user) for found, (user, _) in people_of({key, ""}).items()} == {key: "dora"}
    change(key)
    assert people_of({key}) == {}


def the_code_was_anothers(key: str) -> None:
    """Somebody who could write into a session puts a factor of their own there."""
    other = create_staff(username="olga", password="long enough for a test", role="dealer")
    put(key, DEVICE_ID_SESSION_KEY, TOTPDevice.objects.get(user=other).persistent_id)


def the_code_was_of_no_factor(key: str) -> None:
    """Whatever has the same key as they have."""
    put(key, DEVICE_ID_SESSION_KEY, f"users.user/{User.objects.get(username='dora').pk}")


def the_factor_was_taken_away(key: str) -> None:
    TOTPDevice.objects.all().delete()


@pytest.mark.parametrize("change", [the_code_was_anothers, the_code_was_of_no_factor, the_factor_was_taken_away])
def test_a_second_factor_counts_while_it_is_its_persons_own(key: str, change: Callable[[str], None]) -> None:
    assert people_of({key})[key][1] is True
    change(key)
    user, is_verified = people_of({key})[key]
    assert (str(user), is_verified) == ("dora", False)
