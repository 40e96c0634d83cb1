"""E-06: where a secret that was used would lie if anything of ours had kept it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def found(
    *canaries: str, redis: Any, folders: Iterable[Path] = (), processes: Iterable[int] = (), tenant: str = "acorn"
) -> list[str]:
    """Return each file, process, key and table that holds a canary, plain or in hex; runs in the tenant's schema."""
    forms = [form for canary in canaries for form in (canary, canary.encode().hex())]
    pattern = re.compile("|".join(map(re.escape, forms)).encode())
    places = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    # What a core dump or a curious neighbour would show of how a process was started.
    places += [Path("/proc") / str(process) / name for process in processes for name in ("environ", "cmdline")]
    held = [str(path) for path in places if pattern.search(path.read_bytes())]
    # Compressed, a text would not be found.
    redis.config_set("rdbcompression", "no")
    held += [repr(key) for key in redis.scan_iter("*") if pattern.search(redis.dump(key) or b"")]
    return held + _tables(forms, tenant)


def _tables(forms: Iterable[str], tenant: str) -> list[str]:
    from django.db import connection

    likes = [f"%{form}%" for form in forms]
    held = []
    with connection.cursor() as cursor:
        cursor.execute(
            "select table_schema, table_name from information_schema.tables where table_schema in (%s, 'public')"
            " and table_type = 'BASE TABLE'",
            [tenant],
        )
        for schema, table in cursor.fetchall():
            cursor.execute(f'select exists(select 1 from "{schema}"."{table}" t where t::text like any(%s))', [likes])
            if cursor.fetchone()[0]:
                held.append(f"{schema}.{table}")
    return held
