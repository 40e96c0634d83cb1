"""The signed tenant context, the second wall under the schemas; the database checks it in guard.tenant()."""

from __future__ import annotations

import hashlib
import hmac

CONTEXT_SETTING = "piggy.tenant"
CONTEXT_LIFE_S = 300


def signed_context(*, key: bytes, tenant: str, backend_pid: int, expires_at_s: int) -> str:
    """Return `tenant|expiry|mac` for `set_config('piggy.tenant', ..., false)` on the backend `backend_pid`.

    `expires_at_s` is Unix time in seconds. The process id is signed but not written, so the value is worth nothing
    on any other connection.
    """
    if not tenant or "|" in tenant:
        raise ValueError("A tenant's schema name must not be empty or hold '|'.")
    message = f"{tenant}|{expires_at_s}|{backend_pid}"
    mac = hmac.new(key, message.encode(), hashlib.sha256).hexdigest()
    return f"{tenant}|{expires_at_s}|{mac}"
