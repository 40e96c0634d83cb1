"""Second factors: one at a time, by another person who may, with a reason that stays; and no secret is shown again."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError
from django.test import Client
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from apps.tenants.services import in_tenant
from apps.users import services
from apps.users.models import FactorRemoval, User
from tests.apps.trading.test_admin import staff

LIST = "/admin/otp_totp/totpdevice/"
WHY = {"reason": "lost the telephone"}


@pytest.fixture
def devices(acorn: Any, as_tenant: Any) -> Any:
    """The authenticators of an admin, a dealer and a superuser, by name."""
    with as_tenant("acorn"):
        for role in ("admin", "dealer", "support"):
            staff(role)
        root = services.create_staff(username="root", password="long enough for a test", role="admin")
        User.objects.filter(pk=root.pk).update(is_superuser=True)
        return {device.user.username: device for device in TOTPDevice.objects.select_related("user")}


def browse(role: str) -> Client:
    with in_tenant("acorn"):
        return staff(role)


def take(browser: Client, device: TOTPDevice, **given: str) -> int:
    return browser.post(f"{LIST}{device.pk}/delete/", given).status_code


def test_t_19_another_persons_is_taken_one_at_a_time_with_a_reason_that_stays(devices: Any) -> None:
    browser = browse("admin")
    assert take(browser, devices["dealer"]) == 400, "not without a reason"
    assert take(browser, devices["dealer"], reason="  ") == 400
    assert take(browser, devices["dealer"], **WHY) == 302
    assert WHY["reason"] in browser.get("/admin/users/factorremoval/").content.decode()
    with in_tenant("acorn"):
        assert not TOTPDevice.objects.filter(pk=devices["dealer"].pk).exists()
        row = FactorRemoval.objects.get()
        assert (row.user, row.by, row.reason) == ("dealer", "admin", WHY["reason"])
        for change in ("update users_factorremoval set reason = ''", "delete from users_factorremoval"):
            with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(change)


def test_t_19_nobody_takes_their_own_nor_a_superusers_nor_several_at_once(devices: Any) -> None:
    browser = browse("admin")
    assert take(browser, devices["admin"], **WHY) == 403
    assert take(browser, devices["root"], **WHY) == 403
    assert take(browse("support"), devices["dealer"], **WHY) == 403
    many = {"action": "delete_selected", "_selected_action": [each.pk for each in devices.values()], "post": "yes"}
    browser.post(LIST, many)
    with in_tenant("acorn"):
        assert TOTPDevice.objects.count() == len(devices)
        with pytest.raises(services.UnableToRemoveFactor):
            services.remove_factor(
                device_id=devices["root"].pk, by=devices["admin"].user, reason="x" * 9, at=timezone.now()
            )
        assert not FactorRemoval.objects.exists()


def test_t_19_a_secret_is_shown_until_it_was_used_and_an_authenticator_is_nobody_elses(devices: Any) -> None:
    browser, device = browse("admin"), devices["dealer"]
    page = f"{LIST}{device.pk}/"
    assert [browser.get(f"{page}{each}/").status_code for each in ("config", "qrcode")] == [200, 200]
    with in_tenant("acorn"):
        TOTPDevice.objects.filter(pk=device.pk).update(last_used_at=timezone.now())
    assert [browser.get(f"{page}{each}/").status_code for each in ("config", "qrcode")] == [403, 403]
    shown = browser.get(f"{page}change/").content.decode() + browser.get(LIST).content.decode()
    assert device.key not in shown and "config/" not in shown
    browser.post(f"{page}change/", {"user": devices["admin"].user_id, "name": "x", "confirmed": ""})
    with in_tenant("acorn"):
        kept = TOTPDevice.objects.select_related("user").get(pk=device.pk)
        assert (kept.user.username, kept.confirmed) == ("dealer", True)
    assert browser.get(f"{LIST}add/").status_code == 200
    assert browser.get("/admin/otp_static/staticdevice/").status_code == 404
