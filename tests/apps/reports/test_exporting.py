"""The log in Parquet: files are added and never changed, each run goes on where the last one ended (INV-22, INV-23)."""

from __future__ import annotations

import csv
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from apps.common.times import moment
from apps.reports import selectors, services, tasks
from piggy.core.orders import Side
from piggy.messaging.chain import Row
from tests.apps.reports.trading_days import Days, rows

ADD = "insert into event_log values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
COMMANDS = "00000000-0000-0000-0000-"


def append(made: list[Row]) -> None:
    """Write rows to the current tenant's log as the engine does."""
    with connection.cursor() as cursor:
        cursor.executemany(
            ADD,
            [
                (
                    row.recorded.seq, row.recorded.command_id, row.recorded.position, row.type, row.version,
                    row.recorded.principal, row.recorded.request_hash, moment(row.recorded.occurred_at_us),
                    moment(row.recorded.recorded_at_us), row.recorded.recorded_mono_ns, row.payload, row.prev_hash,
                    row.hash,
                )
                for row in made
            ],
        )  # fmt: skip


class Logged(Days):
    """Days whose commands have ids that the table takes, so that their hashes are those of the rows."""

    def do(self, command: Any, **named: str) -> Any:
        return super().do(command, command_id=f"{COMMANDS}{self.commands + 1:012d}")


@pytest.fixture
def logged(acorn: Any, as_tenant: Any) -> Any:
    with as_tenant("acorn"):
        floor = Logged()
        floor.deal("a1", "EURUSD", Side.BUY, 100)
        append(rows(floor))
        yield floor


def more(floor: Days) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from event_log")
        done = cursor.fetchone()[0]
    append(rows(floor)[done:])


def shown(folder: Path, **options: Any) -> str:
    out = StringIO()
    call_command("pnl", "show", tenant="acorn", folder=folder, csv=True, stdout=out, **options)
    return out.getvalue()


def test_every_run_adds_what_is_new_and_changes_no_file(logged: Days, tmp_path: Path) -> None:
    first = services.export(tenant="acorn", folder=tmp_path)
    assert (first.events, first.files, first.seq) == (len(logged.log), 1, len(logged.log))
    assert services.export(tenant="acorn", folder=tmp_path) == (0, 0, len(logged.log))
    before = {piece.path: piece.path.read_bytes() for piece in selectors.pieces(folder=tmp_path, tenant="acorn")}
    logged.pass_time(30)
    logged.deal("a1", "EURUSD", Side.SELL, 40)
    more(logged)
    (tmp_path / "tenant=acorn" / "date=2023-11-16").mkdir()
    (tmp_path / "tenant=acorn" / "date=2023-11-16" / "left.part").write_text("a run that was killed")
    services.export(tenant="acorn", folder=tmp_path)
    found = selectors.pieces(folder=tmp_path, tenant="acorn")
    assert found[-1].last == len(logged.log) and len({piece.path.parent for piece in found}) == len(found) == 2
    assert {path: path.read_bytes() for path in before} == before
    assert not list(tmp_path.rglob("*.part"))
    kept = pq.read_table(found[0].path).to_pylist()
    assert [bytes(row["hash"]) for row in kept] == [row.hash for row in rows(logged)[: len(kept)]]


def test_a_late_bust_is_in_a_new_file_and_what_was_known_before_reads_the_same(logged: Days, tmp_path: Path) -> None:
    """INV-23: the report as of then is byte-identical; the report of now changes."""
    services.export(tenant="acorn", folder=tmp_path)
    then = len(logged.log)
    kinds = ("profit", "slippage")
    before = [shown(tmp_path, what=kind, as_of=then) for kind in kinds]
    old = {piece.path: piece.path.stat().st_mtime_ns for piece in selectors.pieces(folder=tmp_path, tenant="acorn")}
    logged.pass_time(29)
    logged.restate(0, 0, 1)
    more(logged)
    call_command("pnl", "export", tenant="acorn", folder=tmp_path, stdout=StringIO())
    assert [shown(tmp_path, what=kind, as_of=then) for kind in kinds] == before
    assert {path: path.stat().st_mtime_ns for path in old} == old
    assert all(shown(tmp_path, what=kind) != text for kind, text in zip(kinds, before, strict=True))
    lines = shown(tmp_path).splitlines()
    assert lines[-1].startswith("2023-11-16,a1,a,EURUSD,USD,-1,-1,0,0.00,")


def spoiled_gap(folder: Path, found: list[Any]) -> None:
    found[0].path.unlink()


def spoiled_log(folder: Path, found: list[Any]) -> None:
    made = pq.read_table(found[-1].path)
    found[-1].path.unlink()
    pq.write_table(made.replace_schema_metadata({b"piggy.hash": b"00"}), found[-1].path)


@pytest.mark.parametrize(
    ("spoil", "says"), [(spoiled_gap, "event 1 should follow"), (spoiled_log, "is not of this log")]
)
def test_files_with_a_hole_or_of_another_log_are_refused(
    logged: Days, tmp_path: Path, spoil: Callable[[Path, list[Any]], None], says: str
) -> None:
    services.export(tenant="acorn", folder=tmp_path)
    logged.pass_time(30)
    more(logged)
    services.export(tenant="acorn", folder=tmp_path)
    spoil(tmp_path, selectors.pieces(folder=tmp_path, tenant="acorn"))
    with pytest.raises(CommandError, match=says):
        call_command("pnl", "export", tenant="acorn", folder=tmp_path)


def spoiled_bytes(folder: Path, path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(b"PAR1 and nothing of it PAR1")


def test_a_broker_whose_files_are_spoilt_keeps_no_other_from_being_exported_or_shown(
    logged: Days, birch: Any, as_tenant: Any, tmp_path: Path, settings: Any
) -> None:
    """By the command and by the chore; a broker of no events yet is said to be one, and is no fault."""
    settings.PIGGY_HOME = tmp_path
    folder = selectors.default_folder()
    services.export(tenant="acorn", folder=folder)
    out, said = StringIO(), StringIO()
    with pytest.raises(CommandError, match="^birch: nothing is exported yet"):
        call_command("pnl", "show", stdout=out, stderr=said)
    assert "acorn: profit" in out.getvalue() and not said.getvalue()
    assert tasks.export_logs() == 0
    call_command("pnl", "show", stdout=StringIO(), stderr=said)
    assert said.getvalue() == "birch: no event was in its log when it was exported last\n"
    with as_tenant("birch"):
        append(rows(logged))
    spoiled_bytes(folder, selectors.pieces(folder=folder, tenant="acorn")[-1].path)
    assert tasks.export_logs() == len(logged.log)
    for verb, out in (("export", StringIO()), ("show", StringIO())):
        with pytest.raises(CommandError, match="^acorn: .*spoilt") as refused:
            call_command("pnl", verb, stdout=out)
        assert "birch: " in out.getvalue() and refused.value.returncode == 1


def test_a_file_of_every_broker_says_whose_each_row_is_and_its_figures_are_plain(
    logged: Days, birch: Any, as_tenant: Any, tmp_path: Path
) -> None:
    logged.move("EURUSD", -100_000 // 50)
    logged.deal("a1", "EURUSD", Side.SELL, 100)
    more(logged)
    with as_tenant("birch"):
        append(rows(logged))
    out = StringIO()
    call_command("pnl", "export", folder=tmp_path, stdout=StringIO())
    call_command("pnl", "show", folder=tmp_path, csv=True, stdout=out)
    heads, *told = csv.reader(out.getvalue().splitlines())
    assert (heads[:2], [row[:3:2] for row in told]) == (["Broker", "Date"], [["acorn", "a1"], ["birch", "a1"]])
    lost = [row.recorded.event.realised for row in rows(logged) if row.type == "OrderFilled"][-1]
    assert lost < -1_000 and {row[heads.index("Realised")] for row in told} == {f"{lost:.2f}"}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("--as-of", "0"), "argument --as-of: '0' is not a whole number from 1 to 9223372036854775807"),
        (("--as-of", "9" * 30), "is not a whole number from 1 to"),
        (("--since", "2026-13-01"), "argument --since: '2026-13-01' is no date as 2026-11-20"),
        (("--until", "0001-01-01"), "argument --until: '0001-01-01' is not from 1970-01-02 to 2999-12-31"),
        (("--since", "2026-11-02", "--until", "2026-11-01"), "--since 2026-11-02 is after --until 2026-11-01"),
    ],
)
def test_a_date_or_an_event_that_cannot_be_asked_for_is_named_with_its_limits(
    acorn: Any, asked: tuple[str, ...], says: str
) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("pnl", "show", *asked)
    assert says in str(refused.value)


def test_two_exports_at_once_take_turns_and_people_get_a_table(logged: Days, tmp_path: Path) -> None:
    from apps.reports.services.exporting import _alone

    services.export(tenant="acorn", folder=tmp_path)
    with _alone(tmp_path / "tenant=acorn"), pytest.raises(services.UnableToExport, match="another process"):
        services.export(tenant="acorn", folder=tmp_path)
    out = StringIO()
    call_command("pnl", "show", "slippage", tenant="acorn", folder=tmp_path, stdout=out)
    assert "EURUSD" in out.getvalue() and "Latency" in out.getvalue()
    with pytest.raises(CommandError, match="nothing is exported yet"):
        call_command("pnl", "show", tenant="birch", folder=tmp_path)
