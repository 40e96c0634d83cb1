"""Whose host it is, over HTTP and websockets (T-08, T-09, T-13), and what each answer carries (T-24)."""

from __future__ import annotations

from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.core.exceptions import ImproperlyConfigured
from django.core.signing import BadSignature
from django.test import Client

from apps.common import names
from apps.common.sockets import TenantSockets
from apps.tenants import selectors
from apps.users import services as users
from piggy.settings.readers import Environment

PASSWORD = "a long enough password"
OTP_KEY = "3132333435363738393031323334353637383930"


def login(username: str, schema: str) -> Client:
    """Log in through the admin's own door, with a code."""
    from django_otp.oath import TOTP

    client = Client(headers={"host": f"{schema}.localhost"})
    token = f"{TOTP(bytes.fromhex(OTP_KEY)).token():06d}"
    answer = client.post("/admin/login/", {"username": username, "password": PASSWORD, "otp_token": token})
    assert answer.status_code == 302, answer.content[:2_000]
    return client


@pytest.fixture
def dealer(acorn: Any, birch: Any, as_tenant: Any) -> Any:
    selectors.forget_hosts()
    with as_tenant("acorn"):
        return users.create_staff(username="dealer@acorn", password=PASSWORD, role="dealer", otp_key_hex=OTP_KEY)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("acorn.localhost", 200),
        ("ACORN.localhost", 200),
        ("acorn.localhost:8000", 200),
        ("acorn.localhost.", 200),
        ("acorn.localhost:80:80", 404),
        ("acorn.localhost:x", 404),
        ("acorn.localhost:", 404),
        ("nobody.localhost", 404),
        ("localhost", 404),
        ("127.0.0.1", 404),
        ("[::1]:8000", 404),
        ("xn--acrn-5qa.localhost", 404),
        ("acorn.localhost,birch.localhost", 404),
        ("acorn.localhost@birch.localhost", 404),
        ("acorn.localhost\0", 404),
        ("", 404),
    ],
)
def test_a_host_is_a_brokers_or_404(acorn: Any, host: str, status: int) -> None:
    """T-08"""
    answer = Client().get("/brand.css", headers={"host": host, "x-forwarded-host": "acorn.localhost"})
    assert answer.status_code == status
    assert answer["X-Request-Id"]


@pytest.mark.parametrize(
    ("path", "cookie", "status"),
    [
        ("/desk/", 'sessionid="' + "\\000" * 9 + '"', 400),
        ("/internal/tls-permission?domain=acorn.localhost%00", "", 404),
        ("/internal/tls-permission?domain=acorn.localhost", "", 200),
    ],
)
def test_a_zero_byte_is_the_askers_fault_wherever_it_stands(acorn: Any, path: str, cookie: str, status: int) -> None:
    client = Client(headers={"host": "acorn.localhost", "cookie": cookie}, raise_request_exception=False)
    assert client.get(path).status_code == status


def test_only_what_a_page_can_answer_is_answered(acorn: Any) -> None:
    client = Client(headers={"host": "acorn.localhost"})
    assert client.generic("TRACE", "/brand.css").status_code in (403, 405)
    assert client.options("/api/v1/docs").status_code == 405
    assert client.get("/api/v1/docs").status_code == 200


def test_the_brand_is_the_hosts(acorn: Any, birch: Any) -> None:
    pages = [Client(headers={"host": f"{name}.localhost"}).get("/admin/login/") for name in ("acorn", "birch")]
    assert b"Acorn Markets" in pages[0].content
    assert b"Birch Capital" in pages[1].content
    assert b"Acorn Markets" not in pages[1].content


def test_staff_need_the_second_factor(dealer: Any) -> None:
    """T-18: a right password alone, or a session without a code, does not open the back office."""
    client = Client(headers={"host": "acorn.localhost"})
    for code in ("", "000000"):
        answer = client.post("/admin/login/", {"username": "dealer@acorn", "password": PASSWORD, "otp_token": code})
        assert answer.status_code == 200
        assert client.get("/admin/").status_code == 302
    assert login_without_code(dealer).get("/admin/").status_code == 302


def login_without_code(user: Any) -> Client:
    from apps.tenants.services import in_tenant

    client = Client(headers={"host": "acorn.localhost"})
    with in_tenant("acorn"):
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_code_opens_the_back_office_of_its_broker_only(dealer: Any) -> None:
    """T-09: the session of A is anonymous at B."""
    client = login("dealer@acorn", "acorn")
    assert client.get("/admin/").status_code == 200
    assert client.get("/admin/", headers={"host": "birch.localhost"}).status_code == 302
    assert client.cookies["sessionid"]["domain"] == ""


def test_the_content_policy_is_strict_but_for_the_admin(acorn: Any) -> None:
    """T-24"""
    client = Client(headers={"host": "acorn.localhost"})
    strict = client.get("/brand.css")["Content-Security-Policy"]
    assert "script-src 'self';" in strict + ";"
    assert "unsafe" not in strict
    assert "frame-ancestors 'none'" in strict
    assert "'unsafe-eval'" in client.get("/admin/login/")["Content-Security-Policy"]


async def knock(*, host: str, origin: str | None, cookie: str = "") -> dict[str, Any] | None:
    """Return the scope a consumer would get, or None when refused."""
    seen: dict[str, Any] = {}

    async def inner(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.update(scope)
        await send({"type": "websocket.accept"})

    headers = [(b"host", host.encode())]
    headers += [(b"origin", origin.encode())] if origin else []
    headers += [(b"cookie", cookie.encode())] if cookie else []
    caller = WebsocketCommunicator(TenantSockets(inner), "/ws", headers=headers)
    is_open, _ = await caller.connect(timeout=60)
    await caller.disconnect(timeout=60)
    return seen if is_open else None


@pytest.mark.parametrize(
    ("host", "origin", "is_let_in"),
    [
        ("acorn.localhost:8000", "http://acorn.localhost:8000", True),
        ("acorn.localhost", "http://birch.localhost", False),
        ("acorn.localhost", "http://evil.example", False),
        ("acorn.localhost", "null", False),
        ("acorn.localhost", "http://[::1", False),
        ("acorn.localhost", None, False),
        ("nobody.localhost", "http://nobody.localhost", False),
    ],
)
async def test_a_page_of_another_domain_gets_no_socket(
    acorn: Any, birch: Any, host: str, origin: str, is_let_in: bool
) -> None:
    """T-13"""
    assert (await knock(host=host, origin=origin) is not None) is is_let_in


def test_a_socket_knows_its_person_at_their_own_broker_only(dealer: Any) -> None:
    """T-09"""
    from asgiref.sync import async_to_sync

    cookie = f"sessionid={login('dealer@acorn', 'acorn').cookies['sessionid'].value}"
    at_home = async_to_sync(knock)(host="acorn.localhost", origin="http://acorn.localhost", cookie=cookie)
    assert at_home is not None
    assert (at_home["tenant"], at_home["user"].username, at_home["is_verified"]) == ("acorn", "dealer@acorn", True)
    for beside in ("a/b=1", "path=/", "a@b=1", ";;=;"):
        found = async_to_sync(knock)(
            host="acorn.localhost", origin="http://acorn.localhost", cookie=f"{beside}; {cookie}"
        )
        assert found is not None and not found["user"].is_anonymous, (
            f"another's cookie, {beside}, takes no session away"
        )
    odd = 'sessionid="' + "\\000" * 9 + '"'
    nobody = async_to_sync(knock)(host="acorn.localhost", origin="http://acorn.localhost", cookie=odd)
    assert nobody is not None and nobody["user"].is_anonymous
    abroad = async_to_sync(knock)(host="birch.localhost", origin="http://birch.localhost", cookie=cookie)
    assert abroad is not None
    assert abroad["user"].is_anonymous
    assert not abroad["is_verified"]


def test_e_10_a_secret_key_is_turned_over_and_who_is_logged_in_stays_so(dealer: Any, settings: Any) -> None:
    """On pages and at sockets, for as long as the old key is among those of before."""
    from asgiref.sync import async_to_sync

    browser, old = login("dealer@acorn", "acorn"), settings.SECRET_KEY
    before = browser.cookies["sessionid"].value
    link = names.signed(tenant="acorn", purpose="statement", value=1)

    def opened() -> int:
        found: int = names.unsigned(tenant="acorn", purpose="statement", text=link, seconds_max=60)
        return found

    def at_socket(session: str) -> str:
        asked = {"host": "acorn.localhost", "origin": "http://acorn.localhost", "cookie": f"sessionid={session}"}
        found = async_to_sync(knock)(**asked)
        assert found is not None
        return str(found["user"].username)

    def page() -> int:
        return int(browser.get("/admin/", headers={"host": "acorn.localhost"}).status_code)

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another" * 8, [old]
    assert (at_socket(before), opened()) == ("dealer@acorn", 1)
    settings.SECRET_KEY_FALLBACKS = []
    assert at_socket(before) == ""
    with pytest.raises(BadSignature):
        opened()
    settings.SECRET_KEY_FALLBACKS = [old]
    assert page() == 200
    # Whoever came meanwhile has a session under the new key.
    settings.SECRET_KEY_FALLBACKS = []
    assert (page(), at_socket(browser.cookies["sessionid"].value)) == (200, "dealer@acorn")


def test_e_10_a_key_of_before_that_is_too_short_stops_the_start_and_is_not_shown() -> None:
    assert Environment({}).secrets("OLD", characters_min=32) == []
    assert Environment({"OLD": f"{'a' * 32}, {'b' * 40}, "}).secrets("OLD", characters_min=32) == ["a" * 32, "b" * 40]
    with pytest.raises(ImproperlyConfigured, match=r"Each of OLD must be at least 32 characters; one is 5\.$"):
        Environment({"OLD": f"{'a' * 32},short"}).secrets("OLD", characters_min=32)
