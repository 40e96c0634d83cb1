"""Tokens, signatures, keys, groups and files carry their tenant (T-11, T-12)."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.signing import BadSignature

from apps.common import names
from apps.users import services as users
from apps.users.models import User

ROOT = Path(__file__).resolve().parents[3]
# What makes a name that leaves the schema; only apps.common.names may call these bare.
BARE_MODULES = {"django.core.cache", "django.core.signing", "django.contrib.auth.tokens"}
ALLOWED = {"apps/common/names.py", "apps/users/services.py"}
ERRORS = {"BadSignature", "SignatureExpired"}
BARE_CALLS = {"group_send", "group_add", "group_discard"}


def bare_names(path: Path) -> list[str]:
    """Return the places in a file that make a cache key, signature or group name without apps.common.names."""
    found = []
    text = path.read_text()
    is_djangos = "from django.core import signing" in text  # piggy.messaging has a module of that name too.
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module in BARE_MODULES:
            found.append(f"{path}:{node.lineno} imports {node.module}")
        if isinstance(node, ast.ImportFrom) and node.module == "django.core":
            found += [f"{path}:{node.lineno} cache" for name in node.names if name.name == "cache"]
        if (
            is_djangos
            and isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "signing"
        ):
            found += [f"{path}:{node.lineno} signing.{node.attr}"] if node.attr not in ERRORS else []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in BARE_CALLS:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant | ast.JoinedStr):
                found.append(f"{path}:{node.lineno} {node.func.attr} with a bare name")
    return found


def test_no_code_makes_a_bare_name() -> None:
    """T-12"""
    found = []
    for folder in ("apps", "piggy"):
        for path in (ROOT / folder).rglob("*.py"):
            if str(path.relative_to(ROOT)) not in ALLOWED:
                found += bare_names(path)
    assert found == []


def test_the_lint_finds_bare_names(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        "from django.core.cache import cache\nfrom django.core import signing\n"
        "async def f(l):\n    await l.group_send('desk', signing.dumps(1))\n"
    )
    assert len(bare_names(bad)) == 3


def test_a_reset_token_of_one_broker_is_refused_at_the_other(acorn: Any, birch: Any, as_tenant: Any) -> None:
    """T-11: the same pk, password, mail and login time in both; stock Django takes the token."""
    facts = {"pk": 1, "username": "ann", "password": "same-hash", "email": "ann@example.com"}
    tokens = {}
    for schema in ("acorn", "birch"):
        with as_tenant(schema):
            tokens[schema] = users.reset_tokens(tenant=schema).make_token(User.objects.create(**facts))
    with as_tenant("birch"):
        user = User.objects.get(pk=1)
        assert users.reset_tokens(tenant="birch").check_token(user, tokens["birch"])
        assert not users.reset_tokens(tenant="birch").check_token(user, tokens["acorn"])
        assert not users.verify_tokens(tenant="birch").check_token(user, tokens["birch"])


def test_a_session_hash_of_one_broker_differs_at_the_other(acorn: Any, birch: Any, as_tenant: Any) -> None:
    """T-11"""
    user = User(pk=1, username="ann", password="same-hash")
    with as_tenant("acorn"):
        at_home = user.get_session_auth_hash()
    with as_tenant("birch"):
        assert user.get_session_auth_hash() != at_home


def test_a_signed_value_is_for_one_tenant_and_one_purpose() -> None:
    """T-11"""
    text = names.signed(tenant="acorn", purpose="statement", value={"id": 1})
    assert names.unsigned(tenant="acorn", purpose="statement", text=text, seconds_max=60) == {"id": 1}
    for tenant, purpose in (("birch", "statement"), ("acorn", "invoice")):
        with pytest.raises(BadSignature):
            names.unsigned(tenant=tenant, purpose=purpose, text=text, seconds_max=60)
    with pytest.raises(BadSignature):
        names.unsigned(tenant="acorn", purpose="statement", text=text, seconds_max=-1)


def test_what_one_broker_remembers_the_other_does_not_see(acorn: Any, birch: Any, as_tenant: Any) -> None:
    """T-12"""
    names.remember(tenant="acorn", name="limit", value=1, seconds=60)
    assert names.remembered(tenant="acorn", name="limit") == 1
    assert names.remembered(tenant="birch", name="limit") is None
    with as_tenant("acorn"):
        cache.set("bare", "of acorn", 60)
    with as_tenant("birch"):
        assert cache.get("bare") is None


def test_names_need_their_tenant() -> None:
    """T-12"""
    assert names.tenant_key(tenant="acorn", name="x") == "{acorn}:x"
    assert names.group_name(tenant="acorn", name="desk/1") == "acorn.desk-1"
    assert names.file_name(tenant="acorn", name="kyc/1.pdf") == "acorn/kyc/1.pdf"
    for make in (names.tenant_key, names.group_name, names.file_name):
        with pytest.raises(ValueError, match="tenant"):
            make(tenant="", name="x")
    with pytest.raises(ValueError, match="not a file"):
        names.file_name(tenant="acorn", name="../birch/x")


def test_files_of_one_broker_do_not_exist_at_the_other(
    acorn: Any, birch: Any, as_tenant: Any, settings: Any, tmp_path: Path
) -> None:
    """T-12, T-14"""
    settings.MEDIA_ROOT = tmp_path
    with as_tenant("acorn"):
        name = default_storage.save("passport.txt", ContentFile(b"canary"))
    with as_tenant("birch"):
        assert not default_storage.exists(name)
        with pytest.raises(SuspiciousFileOperation):
            default_storage.open("../acorn/passport.txt")
    with pytest.raises(SuspiciousFileOperation):
        default_storage.path(name)
