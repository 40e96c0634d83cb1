"""INV-26: to look at a password takes long on purpose, so nobody has that done without end by making names up."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.backends import ModelBackend
from django.core.cache import cache
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice
from redis.exceptions import ConnectionError as RedisAway

from apps.common.throttles import Logins
from apps.tenants.services import in_tenant
from apps.users import services


def test_past_so_many_logins_of_an_address_no_password_is_looked_at(
    acorn: Any, birch: Any, redis_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []
    look = ModelBackend.authenticate

    def counted(self: Any, request: Any, username: Any = None, **given: Any) -> Any:
        looked_at.append(username)
        return look(self, request, username, **given)

    def log_in(name: str, *, at: str = "acorn", address: str = "9.9.9.9", **headers: str) -> bool:
        web = Client(headers={"host": f"{at}.localhost"} | headers, REMOTE_ADDR=address)
        answer = web.post("/admin/login/", {"username": name, "password": "a guess"})
        assert answer.status_code == 200 or (answer.status_code, 1 <= int(answer["Retry-After"]) <= 60) == (429, True)
        return answer.status_code == 200

    monkeypatch.setattr(Logins, "THROTTLE_RATES", {"login": "2/min"})
    monkeypatch.setattr(ModelBackend, "authenticate", counted)
    assert [log_in(name) for name in ("a", "b", "c")] == [True, True, False]
    assert not log_in("d", **{"x-forwarded-for": "8.8.8.8"}), "what he says of where he is does not count"
    assert looked_at == ["a", "b"]
    many = [log_in(name, address=f"2001:db8::{name}") for name in ("a", "b", "c")]
    assert many == [True, True, False], "whoever has one of these has all of its network"
    assert log_in("e", address="2001:db8:0:1::a") and log_in("e", address="9.9.9.8"), "nobody else waits"
    assert log_in("f", at="birch")

    def away(*_: Any) -> None:
        raise RedisAway

    monkeypatch.setattr(cache, "get", away)
    assert log_in("g"), "and nobody is kept out by a Redis that is away"


@pytest.mark.parametrize(
    "named", ["", "users.user/1", "sessions.session/1", "otp_totp.totpdevice/0", "a.b.c/1", "x", "OWN", "UNCONFIRMED"]
)
def test_the_code_is_that_of_ones_own_authenticator_whatever_device_is_named(
    acorn: Any, redis_server: Any, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def verify(self: TOTPDevice, token: str) -> bool:
        asked.append(self.pk)
        return token == "123456"

    monkeypatch.setattr(TOTPDevice, "verify_token", verify)
    with in_tenant("acorn"):
        user = services.create_staff(username="dealer", password="long enough for a test", role="dealer")
        own = TOTPDevice.objects.get(user=user)
        begun = TOTPDevice.objects.create(user=user, confirmed=False)
    device = {"OWN": own.persistent_id, "UNCONFIRMED": begun.persistent_id}.get(named, named)
    web = Client(headers={"host": "acorn.localhost"})
    said = {"username": "dealer", "password": "long enough for a test", "otp_device": device}
    assert web.post("/admin/login/", said | {"otp_token": "000000"}).status_code == 200
    assert web.post("/admin/login/", said | {"otp_token": "123456"}).status_code == 302
    assert asked == [own.pk, own.pk]
