"""A broker leaves the installation: what must be kept goes into a folder, and nothing else of it stays (T-22)."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction

from apps.audit import selectors as audit
from apps.tenants import services as tenants
from apps.tenants.services import UnableToRemoveTenant, in_tenant
from apps.trading import selectors as trading
from piggy.messaging import witness
from piggy.messaging.forgetting import forget

# Longer than any process takes to see that it has no such broker any more (engine, projector, FIX, web).
LETTING_GO_S = 8.0
TOLD = "removed.json"


def remove(*, schema: str, folder: Path, by: str, reason: str, at: datetime, wait_s: float = LETTING_GO_S) -> int:
    """Remove a suspended broker without positions and working orders; returns how many tables `folder` has of it.

    The folder is new, and is what the law may ask for: every table but what is made of others, with the event log and
    its signed heads, and the broker's files. Once all of it is on the disk the schema goes, then files and keys: a
    removal that fails before may be asked for again with another folder, which has all too. One that fails after that
    is finished by asking again; it returns 0, the first folder has the records. Needs the owner's connection. Raises
    UnableToRemoveTenant, OSError, redis.RedisError.
    """
    if not (by.strip() and reason.strip()):
        raise UnableToRemoveTenant("Say who removes it, and why: its records keep both.")
    if tenants.is_removed(schema=schema):
        _take_away(schema)
        return 0
    tenants.require_suspended(schema=schema)
    # Of one whose removal was begun the tables may be behind for ever: nobody projects it any more.
    was_begun = tenants.is_being_removed(schema=schema)
    end = 0 if was_begun else _end_of_what_is_over(schema)
    with transaction.atomic():
        tenants.switch_off(schema=schema)
        # Only from here on is nothing written: an order may have been filled since, that came in before the engine
        # heard that its broker is suspended.
        if not was_begun and audit.seq_end(tenant=schema) != end:
            raise UnableToRemoveTenant(f"{schema}: something came into its log at this moment; look, and ask again.")
        folder.mkdir(parents=True, mode=0o700)
    time.sleep(wait_s)
    tables = tenants.archive_tenant(schema=schema, folder=folder)
    keep_files(media=_media(schema), folder=folder)
    _tell(folder / TOLD, schema=schema, by=by, reason=reason, at=at.isoformat(), tables=tables)
    _to_disk(folder)
    tenants.remove_tenant(schema=schema)
    _take_away(schema)
    return len(tables)


def _end_of_what_is_over(schema: str) -> int:
    """Return where a log ends of which nothing is open. Raises UnableToRemoveTenant."""
    end = audit.seq_end(tenant=schema)
    with in_tenant(schema):
        if left := trading.left_open(tenant=schema):
            raise UnableToRemoveTenant(f"{schema} has {left}: that has to be over first.")
    return end


def keep_files(*, media: Path, folder: Path) -> None:
    """Copy a broker's files, if it has any, into the records: on the disk, with every name. Raises OSError."""
    if media.exists():
        shutil.copytree(media, folder / "files", copy_function=_copy)
    for each in (*(path for path in folder.rglob("*") if path.is_dir()), folder, folder.parent):
        _to_disk(each)


def _copy(source: str, target: str) -> None:
    shutil.copy2(source, target)
    _to_disk(Path(target))


def _take_away(schema: str) -> None:
    """Take away what a dropped schema leaves outside of the database. May be repeated, for nobody gets its name."""
    home = Path(settings.PIGGY_HOME)
    for gone in (_media(schema), home / "fix" / schema, home / "pnl" / f"tenant={schema}"):
        if gone.exists():
            shutil.rmtree(gone)
    witness.forget(home=home, tenant=schema)
    forget(redis_url=settings.REDIS_URL, tenant=schema)


def _media(schema: str) -> Path:
    return Path(settings.MEDIA_ROOT) / schema


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _tell(path: Path, **told: object) -> None:
    with path.open("x", encoding="utf-8") as file:
        json.dump(told, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
