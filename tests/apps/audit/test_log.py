"""`manage.py log`: the first bad event is named, what is shown is what was written, and rows can be made again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from apps.audit import selectors
from apps.risk.models import AccountMargin, MarginCall
from apps.tenants.services import in_tenant
from apps.trading.models import ChildOrder, Fill, Order, Position
from apps.treasury.models import JournalEntry, Posting
from piggy import projector
from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account
from piggy.core.orders import Side
from piggy.messaging import codec, log_pages, merkle, tree_heads
from piggy.messaging.chain import EVENT_VERSION, FIRST_HASH, event_hash
from piggy.messaging.identity import command_id_of
from tests.apps import records
from tests.core.floor import Floor
from tests.core.test_busting import bust, on_record
from tests.core.test_corrections import books
from tests.core.test_corrections import bust as bust_at_venue

ROOT = Path(__file__).resolve().parents[3]
START_US = 1_900_000_000_000_000
PROJECTED = (Order, ChildOrder, Fill, Position, AccountMargin, MarginCall, JournalEntry, Posting)
INSERT = (
    "insert into event_log (seq, command_id, position, type, version, principal, request_hash, occurred_at,"
    " recorded_at, recorded_mono_ns, payload, prev_hash, hash) values (%s, %s, 0, %s, %s, 'test', '',"
    " to_timestamp(%s::numeric / 1000000), to_timestamp(%s::numeric / 1000000), %s, %s, %s, %s)"
)


class Book:
    """A log with a true chain, written as the app's role."""

    def __init__(self) -> None:
        self.hashes: list[bytes] = []

    def write(self, *events: ev.AnyEvent, version: int = EVENT_VERSION, payload: bytes = b"") -> None:
        with in_tenant("acorn"), connection.cursor() as cursor:
            for event in events:
                seq = len(self.hashes) + 1
                prev_hash = self.hashes[-1] if self.hashes else FIRST_HASH
                name, body, at_us = type(event).__name__, payload or codec.encode(event), START_US + seq * 1_000_000
                named = command_id_of("log", str(seq))
                digest = event_hash(
                    prev_hash=prev_hash, seq=seq, command_id=named, position=0, type_name=name, version=version,
                    principal="test", request_hash="", occurred_at_us=at_us, recorded_at_us=at_us,
                    recorded_mono_ns=seq, payload=body,
                )  # fmt: skip
                cursor.execute(INSERT, [seq, named, name, version, at_us, at_us, seq, body, prev_hash, digest])
                self.hashes.append(digest)

    def sign(self) -> tree_heads.Head:
        """Sign a head over all there is, as the keeper does."""
        key = tree_heads.signing_key(home=Path(settings.PIGGY_HOME))
        root, size = merkle.root_of(entries=self.hashes), len(self.hashes)
        head = tree_heads.Head(
            tenant="acorn", seq=size, root=root, signed_at_us=START_US, key_id=tree_heads.public_key(key=key)
        )
        head = tree_heads.sign(head=head, key=key)
        with in_tenant("acorn"), connection.cursor() as cursor:
            cursor.execute(
                "insert into log_checkpoint (seq, root, frontier, signed_at, key_id, signature)"
                " values (%s, %s, '', to_timestamp(%s::numeric / 1000000), %s, %s)",
                [size, root, START_US, head.key_id, head.signature],
            )
        return head


def tamper(statement: str) -> None:
    """Do as the owner, the triggers off, what the database refuses everybody."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as owner:
        for table in ("event_log", "log_checkpoint"):
            owner.execute(f"alter table acorn.{table} no force row level security")
            owner.execute(f"alter table acorn.{table} disable trigger user")
        try:
            owner.execute(statement.replace("{log}", "acorn.event_log").replace("{heads}", "acorn.log_checkpoint"))
        finally:
            for table in ("event_log", "log_checkpoint"):
                owner.execute(f"alter table acorn.{table} force row level security")
                for (name,) in owner.execute(
                    "select tgname from pg_trigger where tgrelid = %s::regclass and not tgisinternal",
                    [f"acorn.{table}"],
                ).fetchall():
                    owner.execute(f"alter table acorn.{table} enable always trigger {name}")


def trusted() -> str:
    return tree_heads.public_key(key=tree_heads.signing_key(home=Path(settings.PIGGY_HOME)))


def trades(count: int) -> Iterator[ev.AnyEvent]:
    yield records.credited("100000")
    for number in range(count):
        yield records.accepted(f"O{number}")
        yield msgspec.structs.replace(records.filled(f"O{number}"), fill_id=f"F{number}")


@pytest.fixture
def book(acorn: Any, as_tenant: Any) -> Book:
    with as_tenant("acorn"):
        records.client()
    return Book()


def test_a_whole_log_with_its_heads_is_whole(book: Book) -> None:
    book.write(*trades(20))
    book.sign()
    book.write(*trades(5))
    book.sign()
    assert selectors.verify(tenant="acorn", trusted=trusted()) == selectors.Verdict(52, 2)
    call_command("log", "verify", "--tenant", "acorn")


def test_a_history_written_anew_with_good_hashes_is_betrayed_by_its_signed_head(book: Book) -> None:
    book.write(*trades(10))
    book.sign()
    tamper("delete from {log}")
    other = Book()
    other.write(records.credited("1"), *list(trades(10))[1:])
    found = selectors.verify(tenant="acorn", trusted=trusted())
    assert (found.bad_seq, found.events) == (1, 21)
    assert "signed head" in found.text


def test_a_log_whose_end_was_cut_off_is_shorter_than_its_signed_head(book: Book) -> None:
    book.write(*trades(10))
    book.sign()
    tamper("delete from {log} where seq > 15")
    found = selectors.verify(tenant="acorn", trusted=trusted())
    assert found.bad_seq == 16
    assert "21" in found.text


def test_a_head_signed_by_another_key_is_not_trusted(book: Book) -> None:
    book.write(*trades(3))
    book.sign()
    assert selectors.verify(tenant="acorn", trusted="00" * 32).bad_seq == 1


def test_heads_can_be_added_and_never_changed(book: Book) -> None:
    book.write(*trades(3))
    book.sign()
    for statement in ("update log_checkpoint set seq = 1", "delete from log_checkpoint"):
        with pytest.raises(Exception, match="append-only|permission denied"), in_tenant("acorn"):
            connection.cursor().execute(statement)


def test_an_event_and_an_earlier_head_are_proven_by_the_head_alone(book: Book) -> None:
    book.write(*trades(6))
    first = book.sign()
    book.write(*trades(4))
    second = book.sign()
    for seq in (1, 13, 14, 22):
        told = selectors.inclusion(tenant="acorn", seq=seq)
        head = first if seq <= 13 else second
        assert told["head"]["seq"] == head.seq
        proof = [bytes.fromhex(each) for each in told["proof"]]
        entry = bytes.fromhex(told["hash"])
        assert merkle.is_included(entry=entry, index=seq - 1, size=head.seq, proof=proof, root=head.root)
    told = selectors.consistency(tenant="acorn", seq=13, later=22)
    proof = [bytes.fromhex(each) for each in told["proof"]]
    assert merkle.is_consistent(size=13, root=first.root, later_size=22, later_root=second.root, proof=proof)
    book.write(*trades(1))
    with pytest.raises(selectors.UnableToProve):
        selectors.inclusion(tenant="acorn", seq=25)


def test_a_log_that_is_not_what_its_head_was_signed_of_proves_nothing(book: Book) -> None:
    """What does not check is not given out as a proof, nor does a lost end break the command."""
    book.write(*trades(6))
    book.sign()
    book.write(*trades(4))
    book.sign()
    tamper("update {log} set hash = sha256(hash) where seq = 5")
    with pytest.raises(selectors.UnableToProve, match="not what the head of 13 events"):
        selectors.inclusion(tenant="acorn", seq=3)
    with pytest.raises(selectors.UnableToProve, match="not what the head of 22 events"):
        selectors.consistency(tenant="acorn", seq=13, later=22)
    tamper("delete from {log} where seq > 20")
    with pytest.raises(selectors.UnableToProve, match="not what the head of 22 events"):
        selectors.inclusion(tenant="acorn", seq=21)


def test_a_head_that_is_not_the_beginning_of_a_later_one_is_not_said_to_be(book: Book) -> None:
    book.write(*trades(6))
    book.sign()
    book.write(*trades(4))
    book.sign()
    tamper("update {heads} set root = sha256(root) where seq = 13")
    with pytest.raises(selectors.UnableToProve, match="not what the head of 13 events"):
        selectors.consistency(tenant="acorn", seq=13, later=22)


def test_inv_23_a_balance_of_now_names_the_event_that_it_is_of(book: Book, capsys: Any) -> None:
    book.write(records.credited("1000"), records.credited("50"))
    for asked in ([], ["--as-of", "99"]):
        call_command("log", "balance", "--tenant", "acorn", *asked)
        assert {json.loads(line)["as_of"] for line in capsys.readouterr().out.splitlines()} == {2}


def test_show_and_export_tell_every_event_as_json(book: Book, tmp_path: Path, capsys: Any) -> None:
    book.write(*trades(4))
    call_command("log", "export", "--tenant", "acorn", "--output", str(tmp_path / "log.jsonl"))
    told = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [each["seq"] for each in told] == list(range(1, 10))
    assert [each["hash"] for each in told] == [digest.hex() for digest in book.hashes]
    for each in told:
        # Whoever has the file alone makes the hash again out of what stands in it.
        whole = ("seq", "command_id", "position", "version", "principal", "request_hash")
        times = ("occurred_at_us", "recorded_at_us", "recorded_mono_ns")
        columns = {name: each[name] for name in (*whole, *times)}
        told_bytes = {name: bytes.fromhex(each[name]) for name in ("prev_hash", "payload")}
        assert event_hash(**columns, **told_bytes, type_name=each["type"]).hex() == each["hash"]
    assert told[0]["event"] == {
        "type": "AccountCredited", "account_id": "A1", "amount": "100000", "currency": "USD",
        "reference": "deposit:1", "kind": "deposit",
    }  # fmt: skip
    call_command("log", "show", "--tenant", "acorn", "--order", "O2", "--type", "OrderFilled")
    assert json.loads(capsys.readouterr().out)["event"]["fill_id"] == "F2"


def test_rebuild_makes_every_row_again_byte_for_byte(book: Book) -> None:
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as owner:
        # Other tests of this process numbered ledger lines before; a rebuild numbers from one.
        owner.execute("alter sequence acorn.treasury_posting_id_seq restart")
    book.write(*trades(30))
    while projector.catch_up(tenant="acorn", rows_max=7):
        pass
    before = dump()
    assert before["trading_order"]
    assert before["treasury_posting"]
    with in_tenant("acorn"):
        Order.objects.filter(pk="O3").update(text="a row that somebody changed by hand")
    assert dump() != before
    # In a process of its own, for it becomes the owner and stays it.
    command = [sys.executable, "manage.py", "log", "rebuild", "--tenant", "acorn"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "rebuilt from 61 events" in done.stdout
    assert dump() == before


def dump() -> dict[str, list[str]]:
    """Every projected row as PostgreSQL writes it out."""
    told = {}
    with in_tenant("acorn"), connection.cursor() as cursor:
        for model in PROJECTED:
            cursor.execute(f"select t::text from {model._meta.db_table} t order by 1")
            told[model._meta.db_table] = [row[0] for row in cursor.fetchall()]
    return told


def test_inv_23_what_was_true_stays_the_answer_after_a_late_correction(book: Book) -> None:
    account = Account(account_id="A1", group="b-book", owner_id="A1", currency="USD")
    book.write(ev.AccountConfigured(account=account), records.credited("1000"), records.credited("50"))

    def told(seq: int) -> bytes:
        rows = [selectors.plain(row=row) for row in selectors.as_of(tenant="acorn", seq=seq)]
        return json.dumps([rows, selectors.trial_balance(tenant="acorn", seq=seq)], default=str).encode()

    def client_money(seq: int) -> Decimal:
        lines = selectors.trial_balance(tenant="acorn", seq=seq)
        return -sum((Decimal(line["amount"]) for line in lines if line["owner"] == "A1"), Decimal(0))

    before, then_us = told(3), START_US + 3_500_000
    assert client_money(3) == Decimal(1050)
    book.write(msgspec.structs.replace(records.credited("70"), supersedes=3))
    assert told(3) == before
    assert client_money(4) == Decimal(1070)
    assert selectors.seq_at(tenant="acorn", at_us=then_us) == 3
    assert [row.recorded.seq for row in selectors.as_of(tenant="acorn", seq=4)] == [1, 2, 4]


def test_a_part_of_what_was_true_is_that_part_alone(book: Book, capsys: Any) -> None:
    """INV-23: what was superseded from beyond the part is not in it, and nothing of the part is left out."""
    book.write(*(records.credited(str(amount)) for amount in (10, 20, 30, 40)))
    book.write(msgspec.structs.replace(records.credited("25"), supersedes=2))
    for asked, seqs in (
        (("--as-of", "5", "--after", "1", "--until", "4"), [3, 4]),
        (("--as-of", "4", "--after", "1"), [2, 3, 4]),
        (("--as-of", "3", "--until", "9"), [1, 2, 3]),
    ):
        call_command("log", "export", "--tenant", "acorn", *asked)
        assert [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()] == seqs, asked


def test_inv_23_a_bust_leaves_the_client_what_the_desk_says_and_earlier_answers_as_they_were(book: Book) -> None:
    floor = Floor(commission_per_lot=Decimal(7))
    for side, price in ((Side.BUY, "1.10010"), (Side.SELL, "1.10500")):
        floor.place("a1", side, "1")
        (leg,) = floor.children()
        floor.fill(leg, price, fill_id=f"X-{side.value}")
    told_at, balance = len(floor.log), floor.desk.state.balances["a1"]
    taken_back = cmd.RecordVenueBust(
        venue=leg.venue,
        cl_ord_id=leg.cl_ord_id,
        report_id="B-1",
        ref_fill_id="X-sell",
        text="",
        occurred_at_us=START_US,
    )
    floor.do(taken_back)
    book.write(*(recorded.event for recorded in floor.log))

    def client_money(seq: int) -> Decimal:
        lines = selectors.trial_balance(tenant="acorn", seq=seq)
        return -sum((Decimal(line["amount"]) for line in lines if line["owner"] == "a1"), Decimal(0))

    assert client_money(told_at) == balance != floor.desk.state.balances["a1"]
    assert client_money(len(floor.log)) == floor.desk.state.balances["a1"]


@pytest.mark.parametrize("by_venue", [True, False])
def test_inv_23_what_was_made_good_and_taken_back_leaves_every_account_as_the_ledger_has_it(
    book: Book, by_venue: bool
) -> None:
    """G 11: a gift that is restated and an LP's execution that is taken back are booked besides what they supersede."""
    floor = Floor(slippage_bps_max=Decimal(10_000))
    floor.open_account("poor", group="a", amount=1_000)
    floor.place("poor", Side.BUY, "0.2")
    floor.fill(floor.children()[0], "1.10010", fill_id="E1")
    for _ in range(5):
        floor.quotes("-0.1")
    floor.act()
    (leg,) = floor.children()
    floor.fill(leg, "1.00000", fill_id="E2")
    if by_venue:
        bust_at_venue(floor, leg, "E2")
    else:
        bust(floor, on_record(floor)[-1])
    book.write(*(recorded.event for recorded in floor.log))
    told = {
        (line["gl_account"], line["owner"]): Decimal(line["amount"])
        for line in selectors.trial_balance(tenant="acorn", seq=len(floor.log))
        if Decimal(line["amount"])
    }
    assert told == books(floor)
    assert -told[("client_money", "poor")] == floor.desk.state.balances["poor"]


def test_an_event_of_an_older_version_is_read_in_todays_form(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log keeps what was written; a step brings it up to date."""
    from piggy.messaging import upcasting

    old = msgspec.msgpack.encode({"type": "AccountCredited", "account_id": "A1", "cents": 1250, "ref": "r1"})

    def step(told: dict[str, Any]) -> dict[str, Any]:
        amount = str(Decimal(told.pop("cents")) / 100)
        return {**told, "amount": amount, "currency": "USD", "reference": told.pop("ref"), "kind": "deposit"}

    monkeypatch.setattr(upcasting, "EVENT_VERSION", EVENT_VERSION + 1)
    monkeypatch.setitem(upcasting.STEPS, ("AccountCredited", EVENT_VERSION), step)
    book.write(records.credited(), version=EVENT_VERSION, payload=old)
    book.write(records.credited("7"), version=EVENT_VERSION + 1)
    told = [row.recorded.event for row in selectors.events(tenant="acorn")]
    assert [event.amount for event in told] == [Decimal("12.5"), Decimal(7)]
    assert selectors.verify(tenant="acorn", trusted=trusted()).bad_seq == 0
    monkeypatch.setattr(upcasting, "EVENT_VERSION", EVENT_VERSION)
    with pytest.raises(log_pages.UnableToRead, match="newer"):
        list(selectors.events(tenant="acorn", after=1))
