"""Names that leave the schema: cache keys, channel groups, files, signatures. Each carries its tenant explicitly.

Primary keys repeat in every schema, so a name without its tenant would mean another broker's row too.
"""

from __future__ import annotations

import re

from django.core import signing
from django.core.cache import cache
from django.db import connection

_GROUP_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def tenant_key(*, tenant: str, name: str) -> str:
    """Return a Redis or cache name of one tenant, hash tag first: `{acorn}:name`."""
    if not tenant or not name:
        raise ValueError("A name needs its tenant.")
    return f"{{{tenant}}}:{name}"


def group_name(*, tenant: str, name: str) -> str:
    """Return a channel group of one tenant; the layer allows letters, digits, '.', '_' and '-', under 100 of them."""
    if not tenant or not name:
        raise ValueError("A group needs its tenant.")
    return f"{tenant}.{_GROUP_UNSAFE.sub('-', name)}"[:99]


def file_name(*, tenant: str, name: str) -> str:
    """Return a storage path under the tenant's own folder."""
    if not tenant or name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"{name!r} is not a file name of a tenant.")
    return f"{tenant}/{name}"


def cache_key(key: str, key_prefix: str, version: int) -> str:
    """Django's KEY_FUNCTION: the connection's schema as a belt under the explicit names."""
    return f"{key_prefix}:cache:{{{connection.schema_name}}}:{version}:{key}"


def remember(*, tenant: str, name: str, value: object, seconds: int) -> None:
    """Keep a value of one tenant for a while."""
    cache.set(tenant_key(tenant=tenant, name=name), value, seconds)


def remembered(*, tenant: str, name: str) -> object:
    """Return what `remember` kept, or None."""
    return cache.get(tenant_key(tenant=tenant, name=name))


def signed(*, tenant: str, purpose: str, value: object) -> str:
    """Return `value` (JSON) signed for one tenant and one purpose."""
    return signing.dumps(value, salt=_salt(tenant=tenant, purpose=purpose))


def unsigned(*, tenant: str, purpose: str, text: str, seconds_max: int) -> object:
    """Return the signed value; raises django's BadSignature for another tenant's, another purpose's or an old one."""
    return signing.loads(text, salt=_salt(tenant=tenant, purpose=purpose), max_age=seconds_max)


def _salt(*, tenant: str, purpose: str) -> str:
    if not tenant or not purpose:
        raise ValueError("A signature needs its tenant and purpose.")
    return f"piggy|{tenant}|{purpose}"
