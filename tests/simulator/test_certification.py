"""Every venue's pack passes, and fails as soon as something in its adapter is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from apps.liquidity.management.commands.certify import Command
from piggy.adapters import telling
from piggy.adapters.binance import inbound, session
from piggy.adapters.fix import inbound as fix_inbound
from piggy.simulator.certification import pack
from piggy.simulator.certification.ground import UnableToPass
from piggy.simulator.certification.grounds import GROUNDS
from piggy.simulator.faults import Fault


def certified(home: Path) -> dict[str, list[pack.Result]]:
    with ThreadPoolExecutor(max_workers=len(pack.PACKS)) as pool:
        running = {venue: pool.submit(pack.certify, venue=venue, home=home) for venue in pack.PACKS}
        return {venue: future.result() for venue, future in running.items()}


def test_the_pack_of_every_venue_passes(tmp_path: Path):
    """A pack mostly waits, for outages and for what can no longer arrive, so several run beside each other."""
    results = certified(tmp_path)
    failed = [(venue, one) for venue, found in results.items() for one in found if not one.passed]
    assert failed == []
    assert {venue: len(found) for venue, found in results.items()} == {v: len(p) for v, p in pack.PACKS.items()}


def test_a_venue_that_cannot_be_certified_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match=r"PACKS of piggy\.simulator\.certification\.pack; there are alpaca"):
        Command().handle(venue="halfdone", list=False, json=False)
    monkeypatch.setitem(pack.PACKS, "halfdone", pack.COMMON)
    with pytest.raises(CommandError, match=r"GROUNDS of piggy\.simulator\.certification\.grounds"):
        Command().handle(venue="halfdone", list=False, json=False)


def test_a_fault_that_never_happened_is_named_beside_the_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An adapter is not to blame for what its simulator did not play."""
    monkeypatch.setattr("piggy.simulator.certification.ground.WAIT_S_MAX", 0.01)
    ground = GROUNDS["generic"](tmp_path)
    try:
        with pytest.raises(UnableToPass, match=r"parked: \[\]$"):
            ground.wait(lambda: False, "nothing was armed")
        ground.server.faults.arm(Fault.CUT_BEFORE)
        with pytest.raises(UnableToPass, match=r"never happened at the simulator: cut_before$"):
            ground.wait(lambda: False, "a lost order was not doubted")
    finally:
        ground.server.stop()


def _never_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    def apply(self: Any, diff: Any) -> bool:
        self._book.change(bids=diff.bids, asks=diff.asks)
        return True

    monkeypatch.setattr(inbound.Depth, "_apply", apply)


def _fills_by_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(1_000_000))
    monkeypatch.setattr(inbound, "fill_id", lambda mapping, number: f"arrival-{next(numbers)}")


def _lost_answers_are_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    def reject(*, text: str, **names: Any) -> Any:
        return telling.reject(code="?", text=text, **names)

    monkeypatch.setattr(inbound.telling, "doubt", reject)


def _no_reconciliation(monkeypatch: pytest.MonkeyPatch) -> None:
    def fills(self: Any, *, since_us: int, now_us: int) -> Any:
        yield from ()
        return ()

    monkeypatch.setattr(session.BinanceSession, "fills", fills)


@pytest.mark.parametrize(
    ("breakage", "caught_by"),
    [
        (_never_a_gap, "gap_and_resync"),
        (_fills_by_arrival, "repeated_events"),
        (_lost_answers_are_refusals, "cut_after_the_venue"),
        (_no_reconciliation, "filled_while_away"),
    ],
)
def test_a_broken_adapter_fails_its_pack(
    breakage: Callable[[pytest.MonkeyPatch], None], caught_by: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    breakage(monkeypatch)
    monkeypatch.setattr("piggy.simulator.certification.ground.WAIT_S_MAX", 1.0)
    scenario = next(one for one in pack.PACKS["binance"] if one.__name__ == caught_by)
    monkeypatch.setitem(pack.PACKS, "binance", (scenario,))
    results = pack.certify(venue="binance", home=tmp_path, ground=GROUNDS["binance"](tmp_path))
    assert [result.name for result in results if not result.passed] == [caught_by]


def test_the_pack_of_every_venue_fails_when_its_adapter_miscounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Fills are told with twice their lots; the wrong quantity of one order is enough to fail."""
    fill, dealt = telling.fill, fix_inbound._dealt

    def doubled(*, lots: Decimal, **names: Any) -> Any:
        return fill(lots=lots * 2, **names)

    def dealt_doubled(*args: Any) -> Any:
        quantity, price = dealt(*args)
        return quantity * 2, price

    monkeypatch.setattr(telling, "fill", doubled)
    monkeypatch.setattr(fix_inbound, "_dealt", dealt_doubled)
    for ground in ("ground", "fix_ground"):
        monkeypatch.setattr(f"piggy.simulator.certification.{ground}.WAIT_S_MAX", 2.0)
    for venue, scenarios in pack.PACKS.items():
        chosen = tuple(one for one in scenarios if one.__name__ == "submit_and_fill")
        monkeypatch.setitem(pack.PACKS, venue, chosen)
    results = certified(tmp_path)
    passed = {venue for venue, found in results.items() if [one.passed for one in found] != [False]}
    assert passed == set()
