"""The loop: decided while the last batch is being committed, told after the commit, in order; what is urgent first."""

from __future__ import annotations

import asyncio
import uuid
from decimal import Decimal
from typing import Any

import pytest
from psycopg.errors import DiskFull

from piggy.core import commands as cmd
from piggy.core.accounts import TradingState
from piggy.core.answers import STORAGE_FULL, Answer
from piggy.core.commands import Envelope
from piggy.core.desk import Desk
from piggy.engine import loop as loop_module
from piggy.engine.clock import Clock
from piggy.engine.journal import Journal, Row, Tip, UnableToWrite
from piggy.engine.loop import Item, Loop
from tests.engine.conftest import buy, opening_commands

TENANT = "acorn"


class HeldJournal(Journal):
    """Chains as the real one does; a commit lasts until it is let go, and fails where told."""

    def __init__(self) -> None:
        self.tips = {TENANT: Tip()}
        self.begun: list[dict[str, list[Row]]] = []
        self.gate = asyncio.Event()
        self.fails = False
        self.error: Exception | None = None
        self.moved: set[str] = set()

    async def append(self, *, rows: dict[str, list[Row]]) -> set[str]:
        self.begun.append(rows)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        if self.fails:
            raise UnableToWrite("the disk is gone")
        return self.moved & rows.keys()


def credit(reference: str) -> cmd.CreditAccount:
    return cmd.CreditAccount(account_id="anna", amount=Decimal(1), reference=reference)


class Bank:
    """A loop under test and what each asker heard."""

    def __init__(self) -> None:
        self.journal = HeldJournal()
        self.heard: list[tuple[str, Answer | None]] = []
        self.told: list[str] = []
        self.loop = Loop(
            journal=self.journal,
            clock=Clock(),
            batch_max=500,
            tell=lambda done: self.told.extend(each.item.envelope.command_id for each in done),
        )
        self.loop.desks[TENANT] = Desk(tenant=TENANT)

    def ask(self, command: Any, *, name: str = "", tenant: str = TENANT, **more: Any) -> str:
        command_id = str(uuid.uuid5(uuid.NAMESPACE_OID, name)) if name else str(uuid.uuid4())
        envelope = Envelope(command_id=command_id, command=command, principal="tess", request_hash="body")
        item = Item(tenant, envelope, lambda answer: self.heard.append((command_id, answer)), **more)
        self.loop.submit(item=item)
        return command_id

    async def turns(self, count: int = 20) -> None:
        for _ in range(count):
            await asyncio.sleep(0)


@pytest.fixture
async def bank() -> Any:
    made = Bank()
    task = asyncio.create_task(made.loop.run())
    for command in opening_commands():
        made.ask(command)
    made.journal.gate.set()
    await made.loop.settled()
    await made.turns()
    made.journal.gate.clear()
    made.journal.begun.clear()
    made.heard.clear()
    made.told.clear()
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_inv_01_the_next_batch_is_decided_meanwhile_and_nobody_hears_before_the_commit(bank: Bank) -> None:
    first = bank.ask(credit("one"))
    await bank.turns()
    second = bank.ask(credit("two"))
    await bank.turns()
    balance = bank.loop.desks[TENANT].state.balances["anna"]
    assert balance == 1_000_002, "both are decided"
    assert len(bank.journal.begun) == 1, "one commit at a time"
    assert bank.heard == bank.told == []
    bank.journal.gate.set()
    await bank.turns()
    assert [command_id for command_id, _ in bank.heard] == bank.told == [first, second]


async def test_inv_01_a_wide_batch_does_not_wait_for_the_disk_and_is_told_in_its_turn(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "WIDE", 2)
    bank.journal.pens = 2
    asked = [bank.ask(credit("one"), name="one")]
    await bank.turns()
    asked += [bank.ask(credit("two")), bank.ask(credit("three"))]
    await bank.turns()
    assert len(bank.journal.begun) == 2, "two are on their way"
    asked += [bank.ask(credit("four")), bank.ask(credit("five"))]
    await bank.turns()
    assert len(bank.journal.begun) == 2, "and no more"
    bank.journal.gate.set()
    await bank.turns()
    assert [command_id for command_id, _ in bank.heard] == bank.told == asked


async def test_inv_01_a_batch_of_repeats_alone_is_told_after_what_it_repeats(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "WIDE", 2)
    bank.journal.pens = 2
    asked = [bank.ask(credit("one"), name="one")]
    await bank.turns()
    asked += [bank.ask(credit("one"), name="one"), bank.ask(credit("one"), name="one")]
    await bank.turns()
    assert bank.heard == []
    bank.journal.gate.set()
    await bank.turns()
    assert bank.told == asked


async def test_a_repeat_of_what_is_not_committed_yet_waits_for_that_commit(bank: Bank) -> None:
    bank.ask(credit("one"), name="same")
    await bank.turns()
    bank.ask(credit("one"), name="same")
    await bank.turns()
    assert bank.heard == []
    bank.journal.gate.set()
    await bank.turns()
    assert [answer.duplicate for _, answer in bank.heard if answer] == [False, True]


async def test_inv_26_cancels_kills_and_stop_outs_go_past_orders_that_wait_and_keep_their_own_order(bank: Bank) -> None:
    """INV-16, INV-17: ten batches of orders wait, and what makes the desk safer is decided in the very next one."""
    bank.ask(credit("one"))
    await bank.turns()
    waiting = [bank.ask(credit(f"later {number}")) for number in range(10 * 500)]
    urgent = [
        bank.ask(cmd.CancelOrder(order_id="O1", account_id="anna")),
        bank.ask(cmd.ActOnPrices(symbols=("EURUSD",), accounts=("anna",))),
        bank.ask(cmd.SetTradingState(scope="tenant", key="", state=TradingState.KILLED, reason="now", by="tess")),
    ]
    bank.journal.gate.set()
    await bank.loop.settled()
    await bank.turns(200)
    assert bank.told[1:4] == urgent
    assert bank.told[4:] == waiting


async def test_f_32_an_order_beside_anothers_flood_waits_for_no_more_than_is_decided_already(bank: Bank) -> None:
    """Places too are shared: the flood is turned away at the door, and not the other."""
    birch = "birch"
    bank.journal.tips[birch] = Tip()
    bank.loop.desks[birch] = Desk(tenant=birch)
    places = 1_000
    flood = [bank.ask(credit(f"flood {number}")) for number in range(places)]
    assert bank.loop.is_full(tenant=TENANT, places=places)
    assert not bank.loop.is_full(tenant=birch, places=places)
    asked = bank.ask(opening_commands()[0], tenant=birch)
    assert bank.loop.is_full(tenant=TENANT, places=places)
    bank.journal.gate.set()
    await bank.loop.settled()
    await bank.turns(200)
    assert bank.told.index(asked) == 0
    assert [each for each in bank.told if each != asked] == flood


async def test_a_failed_commit_tells_everybody_that_nobody_knows(bank: Bank) -> None:
    bank.ask(credit("one"))
    await bank.turns()
    bank.ask(credit("two"))
    await bank.turns()
    bank.ask(credit("three"))
    bank.journal.fails = True
    bank.journal.gate.set()
    await bank.turns()
    assert [answer for _, answer in bank.heard] == [None, None, None]
    assert bank.told == []


async def test_settled_returns_after_the_commit_of_what_was_decided(bank: Bank) -> None:
    bank.ask(credit("one"))
    await bank.turns()
    settled = asyncio.create_task(bank.loop.settled())
    await asyncio.sleep(0.01)
    assert not settled.done()
    bank.journal.gate.set()
    async with asyncio.timeout(1):
        await settled
    assert len(bank.told) == 1


async def test_what_was_decided_for_a_tenant_that_left_nobody_hears(bank: Bank) -> None:
    """Not even a repeat of it that was answered from what was never committed."""
    bank.ask(credit("one"), name="same")
    await bank.turns()
    bank.ask(credit("one"), name="same")
    bank.journal.moved = {TENANT}
    bank.journal.gate.set()
    await bank.turns()
    assert [answer for _, answer in bank.heard] == [None, None]
    assert TENANT not in bank.loop.desks


async def test_inv_28_what_brings_risk_is_held_until_the_start_is_over_and_all_else_is_decided(bank: Bank) -> None:
    bank.loop.hold()
    order, signal = bank.ask(buy()), bank.ask(cmd.ActOnTime(), make=lambda desk, now_us: buy("0.20"))
    other = bank.ask(credit("one"))
    bank.journal.gate.set()
    await bank.turns()
    assert bank.told == [other] and bank.loop.is_holding and bank.loop.backlog == 2
    bank.loop.release()
    await bank.turns()
    assert bank.told == [other, order, signal] and not bank.loop.is_holding


async def test_what_is_held_or_comes_later_hears_of_a_failed_commit_too(bank: Bank) -> None:
    bank.loop.hold()
    bank.ask(buy())
    bank.ask(credit("one"))
    await bank.turns()
    bank.journal.fails = True
    bank.journal.gate.set()
    await bank.turns()
    bank.ask(credit("two"))
    assert [answer for _, answer in bank.heard] == [None, None, None]


@pytest.mark.parametrize("is_postgresql", [False, True])
async def test_f_24_what_ends_a_loop_counts_unless_it_was_postgresql(bank: Bank, is_postgresql: bool) -> None:
    """Else a command that ends every term would be taken for one that nothing could be written for."""
    bank.loop.storage.is_away = True
    bank.journal.error = UnableToWrite("the disk is gone") if is_postgresql else RuntimeError("it was the command")
    bank.ask(credit("one"))
    bank.journal.gate.set()
    await bank.turns()
    assert bank.heard and bank.loop.storage.is_away is is_postgresql


async def test_after_its_close_a_loop_ends_what_it_took_and_takes_nothing_more(bank: Bank) -> None:
    taken = [bank.ask(credit(f"one {number}")) for number in range(3)]
    bank.loop.close()
    late = bank.ask(credit("late"))
    assert bank.heard == [(late, None)]
    bank.journal.gate.set()
    async with asyncio.timeout(5):
        await bank.loop.finished()
    assert bank.told == taken


async def test_a_tenant_that_came_back_is_decided_for(bank: Bank) -> None:
    desk = bank.loop.desks[TENANT]
    bank.loop.drop(tenant=TENANT)
    bank.loop.take(tenant=TENANT, desk=desk)
    bank.ask(credit("one"))
    bank.journal.gate.set()
    await bank.turns()
    assert [answer is not None for _, answer in bank.heard] == [True]


async def test_f_24_what_comes_again_comes_alone_and_what_fails_takes_no_other_with_it(bank: Bank) -> None:
    def poison(desk: Desk, now_us: int) -> Any:
        raise ValueError("nobody can decide this")

    asked = [
        bank.ask(credit("one")),
        bank.ask(cmd.ActOnTime(), make=poison),
        bank.ask(credit("two"), redelivered=True),
        bank.ask(credit("three"), redelivered=True),
        bank.ask(credit("four")),
    ]
    bank.journal.gate.set()
    await bank.turns(100)
    assert bank.told == asked
    assert [answer is not None for _, answer in bank.heard] == [True, False, True, True, True]
    assert [len(rows[TENANT]) for rows in bank.journal.begun] == [1, 1, 1, 1], "four commits"


async def test_inv_01_a_batch_that_changes_nothing_is_told_in_its_turn(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "WIDE", 2)
    bank.journal.pens = 2
    asked = [bank.ask(credit("one"))]
    await bank.turns()
    asked += [bank.ask(cmd.ActOnTime()), bank.ask(cmd.ActOnTime())]
    await bank.turns()
    assert (len(bank.journal.begun), bank.told) == (1, [])
    bank.journal.gate.set()
    await bank.turns()
    assert bank.told == asked


async def test_f_21_a_full_disk_keeps_out_new_orders_and_no_repeat_and_nothing_else(bank: Bank) -> None:
    bank.journal.gate.set()
    bank.ask(buy(), name="known")
    await bank.turns()
    bank.heard.clear()
    bank.loop.storage.refused(DiskFull("no room"))
    bank.ask(buy(), name="new")
    ((_, kept_out),) = bank.heard
    assert kept_out is not None and kept_out.refused is not None and kept_out.refused.code == STORAGE_FULL
    bank.ask(buy(), name="known")
    bank.ask(credit("one"))
    await bank.turns()
    answers = [answer for _, answer in bank.heard[1:] if answer is not None]
    assert [(answer.duplicate, answer.refused) for answer in answers] == [(True, None), (False, None)]
