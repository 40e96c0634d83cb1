"""INV-09: whoever reads the log stops at the first event that was touched, whatever was done to it.

TAMPER_TRIALS says how often one event, by luck, is deleted, altered, doubled or swapped.
"""

# ruff: noqa: F811
from __future__ import annotations

import itertools
import os
import random
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from psycopg import sql

from apps.audit import selectors
from piggy import projector
from piggy.messaging import log_pages, streams
from piggy.messaging.chain import Tip
from piggy.messaging.troubles import AGAIN_S
from tests.apps.audit.test_log import Book, book, tamper, trades, trusted  # noqa: F401

TRIALS = int(os.environ.get("TAMPER_TRIALS", "60"))  # 1000 is the contract's size.
TAMPERED, DETECTED_S_MAX = 40, 5
ALTERED = {
    "principal": "'mallory'", "type": "'AccountDebited'", "request_hash": "'x'", "position": "position + 1",
    "version": "version + 1", "command_id": "gen_random_uuid()", "recorded_mono_ns": "recorded_mono_ns + 1",
    "recorded_at": "recorded_at + interval '1 microsecond'", "occurred_at": "occurred_at - interval '1 microsecond'",
    "prev_hash": "sha256(prev_hash)", "hash": "sha256(hash)",
    "payload": "set_byte(payload, %d %% length(payload), get_byte(payload, %d %% length(payload)) # %d)",
}  # fmt: skip


def harm_of(chance: random.Random) -> tuple[str, int]:
    """One event deleted, altered, doubled or swapped with another; and which is then the first bad one."""
    seq, kind = chance.randrange(1, TAMPERED), chance.choice(("delete", "alter", "double", "swap"))
    if kind == "delete":
        return f"delete from {{log}} where seq = {seq}", seq
    if kind == "alter":
        column = chance.choice(sorted(ALTERED))
        value = ALTERED[column]
        if "%d" in value:
            at = chance.randrange(10_000)
            value %= (at, at, chance.randrange(1, 256))
        return f"update {{log}} set {column} = {value} where seq = {seq}", seq
    columns = ", ".join(sorted(ALTERED.keys() - {"command_id"}))
    if kind == "double":
        return (
            f"update {{log}} set seq = seq + 1000 where seq > {seq};"
            f" insert into {{log}} (seq, command_id, {columns})"
            f" select {seq + 1}, gen_random_uuid(), {columns} from {{log}} where seq = {seq};"
            f" update {{log}} set seq = seq - 999 where seq > 1000"
        ), seq + 1
    other = chance.choice([each for each in range(1, TAMPERED) if each != seq])
    return (
        f"update {{log}} set seq = -1 where seq = {seq}; update {{log}} set seq = {seq} where seq = {other};"
        f" update {{log}} set seq = {other} where seq = -1"
    ), min(seq, other)


HARMS = {
    "deleted": "delete from {log} where seq = %d",
    "altered": "update {log} set payload = set_byte(payload, 9, get_byte(payload, 9) # 1) where seq = %d",
    "renamed": "update {log} set principal = 'mallory' where seq = %d",
    "moved in time": "update {log} set occurred_at = occurred_at - interval '1 microsecond' where seq = %d",
    "swapped": "update {log} l set payload = o.payload, hash = o.hash from {log} o"
    " where l.seq = %d and o.seq = l.seq + 1",
}


@pytest.mark.parametrize(("harm", "seq"), list(itertools.product(HARMS, (1, 17, 40))))
def test_inv_09_verify_names_the_first_bad_event(book: Book, harm: str, seq: int) -> None:
    book.write(*trades(20))
    tamper(HARMS[harm] % seq)
    found = selectors.verify(tenant="acorn", trusted=trusted())
    assert found.bad_seq == seq, found.text
    with pytest.raises(CommandError, match="acorn") as caught:
        call_command("log", "verify", "--tenant", "acorn")
    assert caught.value.returncode == 3


def test_inv_09_whatever_is_done_to_one_event_a_reader_stops_there_and_skips_nothing(book: Book) -> None:
    """Deleted, altered in any column, doubled, swapped: as its database's owner does it, the triggers off."""
    book.write(*trades(TAMPERED // 2))
    chance = random.Random(TRIALS)
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as owner:
        owner.execute("alter table acorn.event_log no force row level security")
        owner.execute("alter table acorn.event_log disable trigger user")
        for _ in range(TRIALS):
            harm, first_bad = harm_of(chance)
            with pytest.raises(Undo), owner.transaction():
                for statement in harm.replace("{log}", "acorn.event_log").split(";"):
                    owner.execute(statement)
                read, found = read_by(owner)
                assert (read, found) == (first_bad - 1, first_bad), harm
                raise Undo
        assert read_by(owner) == (TAMPERED + 1, 0), "each was put back"
        owner.rollback()


class Undo(Exception):
    """The log is to be whole again for the next trial."""


def read_by(owner: Any) -> tuple[int, int]:
    """How many events a reader takes, and at which it stops: 0 where it takes them all."""
    query = sql.SQL(log_pages.PAGE).format(schema=sql.Identifier("acorn"))
    page = owner.execute(query, {"after": 0, "until": 2**63 - 1, "rows": 4_000}).fetchone()[0]
    tip = Tip()
    try:
        for _ in log_pages.rows(tenant="acorn", page=bytes(page), tip=tip):
            pass
    except log_pages.UnableToRead as error:
        return tip.seq, error.seq
    return tip.seq, 0


def test_inv_09_the_projector_that_meets_it_tells_the_dealers_at_once(book: Book, redis_server: Any) -> None:
    """In the same look at the log that met it."""
    assert projector.POLL_S + projector.REST_S_MAX < DETECTED_S_MAX, "so often it looks, whatever it has to do"
    book.write(*trades(5))
    key = streams.troubles_key(tenant="acorn")
    follower = projector.Follower(redis_url=settings.REDIS_URL)
    assert follower._catch_up("acorn") == 11 and not redis_server.exists(key)
    book.write(*trades(3))
    tamper(HARMS["altered"] % 14)
    assert follower._catch_up("acorn") == 0
    assert b"event 14" in redis_server.hget(key, "projector")
    redis_server.delete(key)
    follower._troubles._said = {name: (text, at_s - AGAIN_S) for name, (text, at_s) in follower._troubles._said.items()}
    assert follower._catch_up("acorn") == 0 and redis_server.exists(key), "said again where Redis has lost it"
    tamper(HARMS["altered"] % 14)
    follower._halted_until_s.clear()
    assert follower._catch_up("acorn") == 7 and not redis_server.exists(key)


def test_inv_09_an_event_written_twice_is_named(book: Book) -> None:
    book.write(*trades(20))
    tamper(
        "insert into {log} select 42, gen_random_uuid(), position, type, version, principal, request_hash,"
        " occurred_at, recorded_at, recorded_mono_ns, payload, prev_hash, hash from {log} where seq = 41"
    )
    assert selectors.verify(tenant="acorn", trusted=trusted()).bad_seq == 42
