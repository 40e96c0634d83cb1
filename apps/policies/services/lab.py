"""The rule lab: drafts tried on a recorded day, in processes beside the worker; what came of it is kept."""

from __future__ import annotations

import csv
import io
import os
import selectors as readiness
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec
from celery import current_app
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone
from psycopg.conninfo import make_conninfo

from apps.common.documents import safe_cell
from apps.policies.models import LabRun, Policy, UnableToReadPolicy
from piggy.core.commands import AnyCommand

TASK = "policies.run_lab"
HOURS_MAX = 24
SECONDS_MAX = 900
DIFFERENCES_MAX, SHOWN_MAX = 50_000, 100
TOLD_EVERY_S = 1.0
READ_BYTES = 65_536
# What differs, as the lab's process writes it.
COLUMNS = (
    "order", "at", "account", "group", "symbol", "side", "lots",
    "was book", "was lots by book", "was venues", "was price", "was ended", "was rule", "was reason",
    "would be book", "would be lots by book", "would be venues", "would be price", "would be ended", "would be rule",
    "would be reason",
)  # fmt: skip
# A process of its own gets what it needs and no other secret.
PASSED_ON = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "LC_ALL", "TZ", "PIGGY_HOME")


class UnableToRunLab(Exception):
    """The run has no result; the message may be shown to staff."""


class Replayed(NamedTuple):
    """What one process of the lab said."""

    result: dict[str, Any]
    differences: list[list[str]]


def ask_run(*, tenant: str, run: LabRun, drafts: Iterable[Policy], by: str) -> LabRun:
    """Keep a wish and have a worker run it after this transaction. Raises ValidationError naming the field."""
    chosen = list(drafts)
    check_run(run=run, drafts=chosen)
    with transaction.atomic():
        run.asked_by = by
        run.save()
        run.drafts.set(chosen)
        transaction.on_commit(lambda: current_app.send_task(TASK, kwargs={"run_id": run.pk}))
    return run


def check_run(*, run: LabRun, drafts: list[Policy], queues: bool = True) -> None:
    """Raise ValidationError where the run cannot be made: its window, its drafts, or, if it `queues`, another one."""
    faults: dict[str, str] = {}
    if run.ends_at <= run.begins_at:
        faults["ends_at"] = "It ends after it begins."
    elif (run.ends_at - run.begins_at).total_seconds() > HOURS_MAX * 3_600:
        faults["ends_at"] = f"At most {HOURS_MAX} hours."
    elif run.begins_at > timezone.now():
        faults["begins_at"] = "Only what is over can be replayed."
    named = [(each.kind, each.group, each.symbol) for each in drafts]
    if len(set(named)) < len(named):
        faults["drafts"] = "Two of these drafts are versions of the same policy."
    for each in drafts:
        try:
            each.to_core()
        except UnableToReadPolicy as error:
            faults["drafts"] = f"{each}: {error}"
    if queues and LabRun.objects.filter(state__in=LabRun.UNDER_WAY).exclude(pk=run.pk).exists():
        faults["begins_at"] = "Another run is under way; wait for it or cancel it."
    if faults:
        raise ValidationError(faults)


def cancel_run(*, run_id: int) -> None:
    """Have a run stopped; its process ends within a second. Raises UnableToRunLab."""
    if not LabRun.objects.filter(pk=run_id, state__in=LabRun.UNDER_WAY).update(
        state=LabRun.State.CANCELLED, ended_at=timezone.now()
    ):
        raise UnableToRunLab("This run is over already.")


def run_lab(*, tenant: str, run_id: int) -> LabRun | None:
    """Run what was asked: the draft and, beside it, the unchanged day as a check; safe to repeat."""
    if not LabRun.objects.filter(pk=run_id, state=LabRun.State.QUEUED).update(state=LabRun.State.RUNNING):
        return None
    run = LabRun.objects.get(pk=run_id)
    try:
        changes = [each.to_command() for each in run.drafts.order_by("kind", "group", "symbol")]
        told = _Told(run)
        found = replay(tenant=tenant, run=run, changes=changes, told=told)
    except (UnableToRunLab, UnableToReadPolicy) as error:
        LabRun.objects.filter(pk=run_id, state=LabRun.State.RUNNING).update(
            state=LabRun.State.FAILED, error=str(error)[:500], ended_at=timezone.now()
        )
    else:
        check, drafted = found[0], found[1] if len(found) > 1 else Replayed({}, [])
        LabRun.objects.filter(pk=run_id, state=LabRun.State.RUNNING).update(
            state=LabRun.State.DONE,
            progress=100,
            check_result=check.result,
            result=drafted.result,
            first_differences=[dict(zip(COLUMNS, row, strict=True)) for row in drafted.differences[:SHOWN_MAX]],
            differences=zlib.compress(as_csv(rows=drafted.differences).encode()) if drafted.result else b"",
            ended_at=timezone.now(),
        )
    run.refresh_from_db()
    return run


def replay(*, tenant: str, run: LabRun, changes: list[AnyCommand], told: Callable[[float], bool]) -> list[Replayed]:
    """Return what the unchanged day gave and, where there are `changes`, what the draft did, one process each.

    `told` hears how far they are, 0 to 1, and says whether to go on. Raises UnableToRunLab.
    """
    asked: dict[str, Any] = {
        "from_us": _us(run.begins_at),
        "until_us": _us(run.ends_at),
        "currency": run.currency,
        "seconds_max": SECONDS_MAX,
        "differences_max": DIFFERENCES_MAX,
    }
    requests = [asked, *([asked | {"changes": changes}] if changes else [])]
    processes = [_started(tenant, request) for request in requests]
    try:
        return _heard(processes, told)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def as_csv(*, rows: Iterable[Iterable[str]]) -> str:
    """Return rows of COLUMNS as CSV with its header; what a sheet would take for a formula is made a text."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([safe_cell(text=each) for each in row])
    return out.getvalue()


class _Told:
    """Writes how far a run is now and then; tells to stop once somebody cancelled it."""

    def __init__(self, run: LabRun) -> None:
        self._run = run
        self._last_s = 0.0

    def __call__(self, part: float) -> bool:
        if time.monotonic() - self._last_s < TOLD_EVERY_S:
            return True
        self._last_s = time.monotonic()
        running = LabRun.objects.filter(pk=self._run.pk, state=LabRun.State.RUNNING)
        return bool(running.update(progress=min(99, int(part * 100))))


def _started(tenant: str, request: dict[str, Any]) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {"DATABASE_URL": _database(), "PIGGY_CONTEXT_KEY": settings.PIGGY_CONTEXT_KEY.hex()}
    process = subprocess.Popen(
        [sys.executable, "-m", "piggy.engine.lab", tenant],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        cwd=settings.BASE_DIR,
    )
    assert process.stdin is not None, "it was asked for"
    process.stdin.write(msgspec.json.encode(request))
    process.stdin.close()
    return process


class _Hearer:
    """Takes the lines of one process apart as they come."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None, "it was asked for"
        self.pipe = process.stdout
        self.part = 0.0
        self.result: dict[str, Any] = {}
        self.differences: list[list[str]] = []
        self._rest = b""

    def hear(self) -> bool:
        """Read what is there; False at the end. Raises UnableToRunLab."""
        data = os.read(self.pipe.fileno(), READ_BYTES)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            message = msgspec.json.decode(line)
            if "error" in message:
                raise UnableToRunLab(message["error"])
            self.part = message.get("progress", self.part)
            self.result = message.get("result", self.result)
            if "difference" in message:
                self.differences.append(message["difference"])
        if not data and not self.result:
            raise UnableToRunLab("The lab's process ended without a result.")
        return bool(data)


def _heard(processes: list[subprocess.Popen[bytes]], told: Callable[[float], bool]) -> list[Replayed]:
    hearers = [_Hearer(process) for process in processes]
    with readiness.DefaultSelector() as ready:
        for hearer in hearers:
            ready.register(hearer.pipe, readiness.EVENT_READ, hearer)
        while ready.get_map():
            for key, _ in ready.select(TOLD_EVERY_S):
                if not key.data.hear():
                    ready.unregister(key.fileobj)
            if not told(sum(hearer.part for hearer in hearers) / len(hearers)):
                raise UnableToRunLab("It was cancelled.")
    return [Replayed(hearer.result, hearer.differences) for hearer in hearers]


def _database() -> str:
    """Return where this process's own connection goes, as psycopg reads it."""
    known = connection.settings_dict
    return make_conninfo(
        host=known["HOST"] or None,
        port=known["PORT"] or None,
        user=known["USER"],
        password=known["PASSWORD"] or None,
        dbname=known["NAME"],
    )


def _us(moment: Any) -> int:
    return int(moment.timestamp()) * 1_000_000 + int(moment.microsecond)
