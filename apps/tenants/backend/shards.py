"""A tenant's desk goes from one engine to another, at one event of its log and without a stop for anybody else.

Every write of an engine holds its lease and looks whose the tenant is. The move waits for what is being written and
is seen by whatever comes after it: the old engine's next write takes nothing, so it drops the desk; the new one finds
the tenant in its shard, rebuilds the desk from the log and takes over what was never answered.
"""

from __future__ import annotations

from typing import Any

# The shard of brokers that no engine may write for any more.
NOBODYS = "-"
LOCK = "SELECT 1 FROM public.engine_lease WHERE shard = %s FOR UPDATE"
SERVED = "SELECT 1 FROM public.engine_lease WHERE shard = %s AND expires_at > clock_timestamp()"
MOVE = "UPDATE public.tenants_tenant SET shard = %s WHERE schema_name = %s AND shard = %s"


def move(*, cursor: Any, schema: str, source: str, target: str) -> bool:
    """Give a tenant to another shard within the cursor's transaction; False where it is not in `source`.

    Needs the owner: no engine may give tenants away.
    """
    cursor.execute(LOCK, [source])
    cursor.execute(MOVE, [target, schema, source])
    return bool(cursor.rowcount)


def is_served(*, cursor: Any, shard: str) -> bool:
    """Return whether an engine holds the shard's lease now."""
    cursor.execute(SERVED, [shard])
    return cursor.fetchone() is not None
