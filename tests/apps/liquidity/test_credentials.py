"""Credentials of LPs: two people, one broker, no screen that shows them, keys that turn over under traffic."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import Error, IntegrityError, connection, transaction

from apps.common import sealing
from piggy.adapters.vault.keyring import LocalKeys
from tests.apps.trading.test_admin import staff

ROOT = Path(__file__).resolve().parents[3]
CANARY = "canary-7f3a9b-password"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
ROOTS = {"test": b"\x7e" * 32, "next": b"\x11" * 32}
RECORDS = int(os.environ.get("PIGGY_TEST_ROTATED_RECORDS", "240"))


@pytest.fixture
def provider(acorn: Any, as_tenant: Any) -> Any:
    from apps.liquidity import services

    with as_tenant("acorn"):
        yield services.add_provider(tenant="acorn", name="LP1", port=9101, symbols=[], by="test")


@pytest.fixture
def people(acorn: Any, as_tenant: Any) -> tuple[Any, Any]:
    from apps.users.services import create_staff, sync_roles

    with as_tenant("acorn"):
        sync_roles()
        names = (("ann", "dealer"), ("ben", "admin"))
        return tuple(create_staff(username=n, password="long enough for a test", role=r) for n, r in names)


@pytest.fixture
def use_keys(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def use(current: str, *names: str) -> None:
        held = LocalKeys(roots={name: ROOTS[name] for name in names or ROOTS}, current=current)
        monkeypatch.setattr(sealing, "keys", lambda: held)

    return use


def changed(provider: Any, people: tuple[Any, Any], secret: str = CANARY) -> Any:
    from apps.liquidity import services

    asked = services.request_credential(tenant="acorn", provider=provider, kind="password", secret=secret, by=people[0])
    return services.approve_credential(tenant="acorn", change_id=asked.pk, by=people[1], at=NOW)


def test_a_credential_needs_two_people(provider: Any, people: tuple[Any, Any]) -> None:
    """E-07, T-16: nobody lets in what they wrote, whatever roles they have; the database holds it too."""
    from apps.liquidity import selectors, services
    from apps.liquidity.models import Credential, CredentialChange

    for secret in ("", "x" * (services.SECRET_CHARACTERS_MAX + 1)):
        with pytest.raises(services.UnableToRequestCredential, match="between 1 and 4096"):
            changed(provider, people, secret)
    asked = services.request_credential(tenant="acorn", provider=provider, kind="password", secret=CANARY, by=people[1])
    with pytest.raises(services.UnableToDecideCredential, match="second pair of eyes"):
        services.approve_credential(tenant="acorn", change_id=asked.pk, by=people[1], at=NOW)
    with pytest.raises(services.UnableToDecideCredential):
        services.reject_credential(change_id=asked.pk, by=people[1], at=NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        CredentialChange.objects.filter(pk=asked.pk).update(decided_by=people[1])
    assert selectors.password_of(tenant="acorn", venue="LP1") == ""
    credential = services.approve_credential(tenant="acorn", change_id=asked.pk, by=people[0], at=NOW)
    assert selectors.password_of(tenant="acorn", venue="LP1") == CANARY
    assert (credential.changed_by, credential.approved_by) == (people[1], people[0])
    assert CredentialChange.objects.get().sealed is None, "a decided change keeps no secret"
    with pytest.raises(IntegrityError), transaction.atomic():
        Credential.objects.update(approved_by=people[1])
    with pytest.raises(services.UnableToDecideCredential, match="decided already"):
        services.approve_credential(tenant="acorn", change_id=asked.pk, by=people[0], at=NOW)


def test_a_newer_request_withdraws_the_older_and_each_version_is_sealed_apart(
    provider: Any, people: tuple[Any, Any]
) -> None:
    from apps.liquidity import selectors, services
    from apps.liquidity.models import Credential, CredentialChange

    old = services.request_credential(tenant="acorn", provider=provider, kind="password", secret="old", by=people[0])
    first = changed(provider, people, "one")
    assert CredentialChange.objects.get(pk=old.pk).state == "withdrawn"
    before = bytes(first.sealed)
    assert changed(provider, people, "two").version == 2
    Credential.objects.update(sealed=before)
    with pytest.raises(sealing.UnableToOpen):
        selectors.password_of(tenant="acorn", venue="LP1")


def test_a_request_that_was_altered_is_not_let_in(provider: Any, people: tuple[Any, Any]) -> None:
    """T-16: what the second person approves is what the first one wrote."""
    from apps.liquidity import selectors, services
    from apps.liquidity.models import CredentialChange

    asked = services.request_credential(tenant="acorn", provider=provider, kind="password", secret="mine", by=people[0])
    other = sealing.seal(place=selectors.change_place(tenant="acorn", change=asked), secret="theirs")
    CredentialChange.objects.update(sealed=other)
    with pytest.raises(services.UnableToDecideCredential, match="altered"):
        services.approve_credential(tenant="acorn", change_id=asked.pk, by=people[1], at=NOW)


def test_one_brokers_record_never_opens_at_another(
    provider: Any, people: tuple[Any, Any], birch: Any, as_tenant: Any
) -> None:
    """E-01: the same row under the same numbers in the twin's schema stays shut."""
    from apps.liquidity import selectors, services
    from apps.liquidity.models import Credential
    from apps.users.services import create_staff, sync_roles

    copied = {field: getattr(changed(provider, people), field) for field in ("kind", "version", "kek_id", "sealed")}
    with as_tenant("birch"):
        sync_roles()
        twins = [create_staff(username=n, password="long enough for a test", role="dealer") for n in ("ann", "ben")]
        twin = services.add_provider(tenant="birch", name="LP1", port=9101, symbols=[], by="test")
        assert twin.pk
        Credential.objects.create(
            provider=twin, fingerprint="", changed_by=twins[0], approved_by=twins[1], changed_at=NOW, **copied
        )
        Credential.objects.update(provider_id=twin.pk)
        with pytest.raises(sealing.UnableToOpen):
            selectors.password_of(tenant="birch", venue="LP1")
    assert selectors.password_of(tenant="acorn", venue="LP1") == CANARY


def test_a_screen_takes_a_secret_and_never_shows_one(provider: Any, redis_server: Any, as_tenant: Any) -> None:
    """E-07, T-15: fingerprint, who and when; the secret is on no page, in no message and in no history."""
    from apps.liquidity.models import Credential, CredentialChange

    asking, approving = staff("dealer"), staff("admin")
    add = "/admin/liquidity/credentialchange/add/"
    form = {"provider": provider.pk, "kind": "password", "secret": CANARY}
    refused = asking.post(add, {**form, "kind": "none"})
    assert refused.status_code == 200
    assert CANARY not in refused.content.decode()
    assert asking.post(add, form).status_code == 302
    with as_tenant("acorn"):
        change = CredentialChange.objects.get()
    decide = {"action": "approve", "_selected_action": str(change.pk)}
    screens = "/admin/liquidity/credentialchange/"
    assert "second pair of eyes" in asking.post(screens, decide, follow=True).content.decode()
    approving.post(screens, decide, follow=True)
    with as_tenant("acorn"):
        credential = Credential.objects.get()
        with connection.cursor() as cursor:
            cursor.execute("select string_agg(django_admin_log::text, '|') from django_admin_log")
            assert CANARY not in (cursor.fetchone()[0] or "")
    for address in (
        screens,
        f"{screens}{change.pk}/change/",
        "/admin/liquidity/credential/",
        f"/admin/liquidity/credential/{credential.pk}/change/",
        f"/admin/liquidity/liquidityprovider/{provider.pk}/change/",
    ):
        page = approving.get(address)
        assert page.status_code == 200, address
        assert CANARY not in page.content.decode()
    shown = approving.get("/admin/liquidity/credential/").content.decode()
    assert credential.fingerprint in shown
    assert "dealer" in shown


def test_keys_turn_over_while_sessions_log_on_and_a_killed_turnover_goes_on(
    provider: Any, people: tuple[Any, Any], as_tenant: Any, use_keys: Callable[..., None]
) -> None:
    """E-04, in small; PIGGY_TEST_ROTATED_RECORDS=10000 is the nightly size."""
    from apps.liquidity import selectors
    from apps.liquidity.models import Credential

    use_keys("test")
    first = changed(provider, people)
    rows = []
    for number in range(RECORDS - 1):
        row = Credential(provider=provider, kind=f"k{number}", version=1, kek_id="test", fingerprint="f")
        row.sealed = sealing.seal(place=selectors.place_of(tenant="acorn", credential=row), secret=f"s{number}")
        row.changed_by, row.approved_by, row.changed_at = people[0], people[1], NOW
        rows.append(row)
    Credential.objects.bulk_create(rows, batch_size=500)
    use_keys("next")
    failures, opened, stopping = [], [0], threading.Event()

    def log_on() -> None:
        with as_tenant("acorn"):
            while not stopping.is_set():
                try:
                    assert len(selectors.open_credentials(tenant="acorn", venue="LP1")) == RECORDS
                    opened[0] += 1
                except (sealing.UnableToOpen, Error, AssertionError) as error:
                    failures.append(error)
        connection.close()

    trading = threading.Thread(target=log_on)
    trading.start()
    with transaction.atomic():  # a row in the middle is held, so that the run cannot end before it is killed
        middle = Credential.objects.order_by("pk")[RECORDS // 2].pk
        Credential.objects.select_for_update().get(pk=middle)
        doomed = rotation(rows=4)
        assert doomed.stderr is not None
        reached = f"acorn: {RECORDS // 2 // 4 * 4}\n"
        assert reached in iter(doomed.stderr.readline, "")  # everything before it is committed, and the next waits
        doomed.send_signal(signal.SIGKILL)
        doomed.wait(20)
    left = Credential.objects.filter(kek_id="test").count()
    assert left == RECORDS - RECORDS // 2 // 4 * 4
    again = rotation(rows=200)
    said, complaints = again.communicate(timeout=120)
    stopping.set()
    trading.join(20)
    assert again.returncode == 0, complaints
    assert f"{left} records sealed anew under next" in said
    assert opened[0] > 1
    assert failures == []
    use_keys("next", "next")
    assert selectors.password_of(tenant="acorn", venue="LP1") == CANARY
    use_keys("test", "test")
    with pytest.raises(sealing.UnableToOpen):
        selectors.password_of(tenant="acorn", venue="LP1")
    assert bytes(Credential.objects.get(pk=first.pk).sealed) != bytes(first.sealed)


def rotation(*, rows: int) -> subprocess.Popen[str]:
    keys = {"current": "next", "keys": {name: root.hex() for name, root in ROOTS.items()}}
    command = [sys.executable, "manage.py", "rotate_keys", "--tenant", "acorn", "--rows", str(rows)]
    return subprocess.Popen(
        command,
        env=os.environ | {"PIGGY_KEKS": json.dumps(keys)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
