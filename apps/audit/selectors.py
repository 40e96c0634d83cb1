"""The event log as auditors read it: checked from the first row, shown for people to read, proven by signed heads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, LiteralString, NamedTuple

import msgspec
import psycopg
from django.db import connection
from psycopg import sql

from apps.audit.models import DeadLetter
from apps.tenants.services import in_tenant
from piggy.core import ledger
from piggy.core.events import AccountConfigured, AnyEvent
from piggy.messaging import log_pages, merkle, tree_heads, witness
from piggy.messaging.chain import FIRST_HASH, Row, Tip
from piggy.messaging.log_pages import PAGE_ROWS, UnableToRead
from piggy.messaging.upcasting import UnableToUpcast, event_of
from piggy.messaging.witness import Acceptance, Seen

NO_END = 2**63 - 1
HEADS: LiteralString = """
SELECT seq, root, (extract(epoch from signed_at) * 1000000)::bigint, key_id, signature
  FROM {schema}.log_checkpoint ORDER BY seq
"""
FIRST_AFTER: LiteralString = """
SELECT coalesce(
  (SELECT min(seq) - 1 FROM {schema}.event_log WHERE recorded_at > to_timestamp(%(at_us)s::numeric / 1000000)),
  (SELECT max(seq) FROM {schema}.event_log), 0)
"""
END: LiteralString = "SELECT coalesce(max(seq), 0) FROM {schema}.event_log"
BEHIND: LiteralString = """
SELECT (SELECT coalesce(max(seq), 0) FROM {schema}.event_log)
     - coalesce((SELECT seq FROM {schema}.projection_cursor WHERE name = %(name)s), 0)
"""
HASH: LiteralString = "SELECT hash FROM {schema}.event_log WHERE seq = %(seq)s"
AT: LiteralString = "SELECT seq, version, payload FROM {schema}.event_log WHERE seq = ANY(%(seqs)s)"
HASHES: LiteralString = "SELECT hash FROM {schema}.event_log WHERE seq <= %(until)s ORDER BY seq"


class Verdict(NamedTuple):
    """What a check of the whole log found; `bad_seq` is 0 where nothing is wrong, else the first bad event."""

    events: int
    heads: int
    bad_seq: int = 0
    text: str = ""


class UnableToProve(Exception):
    """There is no such event, no signed head that covers it, or the log is not what the head was signed of."""


def verify(*, tenant: str, trusted: str) -> Verdict:
    """Read the whole log of `tenant`: sequence, hashes, and the root of every signed head under the key `trusted`."""
    heads = {head.seq: head for head in signed_heads(tenant=tenant)}
    tip, tree, good = Tip(), merkle.Tree(), 0
    try:
        for page in _pages(tenant=tenant, tip=tip):
            for entry in log_pages.entries(tenant=tenant, page=page, tip=tip):
                tree.add(entry=entry.hash)
                if head := heads.get(entry.seq):
                    if head.root != tree.root() or not tree_heads.is_signed(head=head, trusted=trusted):
                        text = f"the signed head of {entry.seq} events is not of this log, which is whole since {good}"
                        return Verdict(tip.seq, len(heads), good + 1, text)
                    good = entry.seq
    except UnableToRead as error:
        return Verdict(tip.seq, len(heads), error.seq, str(error))
    last = max(heads, default=0)
    if last > tip.seq:
        return Verdict(tip.seq, len(heads), tip.seq + 1, f"the log ends at {tip.seq}, a head was signed of {last}")
    return Verdict(tip.seq, len(heads))


def events(*, tenant: str, after: int = 0, until: int = NO_END) -> Iterator[Row]:
    """Yield the events after `after` to `until`, their hashes checked from there on. Raises UnableToRead."""
    tip = Tip(after, _hash_at(tenant, after)) if after else Tip()
    for page in _pages(tenant=tenant, tip=tip, until=until):
        yield from log_pages.rows(tenant=tenant, page=page, tip=tip)


def events_at(*, tenant: str, seqs: Iterable[int]) -> dict[int, AnyEvent]:
    """Return single events by seq, as they were written: no hash is looked at. Raises UnableToRead, also for none."""
    wanted = list(seqs)
    found = {}
    for seq, version, payload in _rows(tenant, AT, {"seqs": wanted}):
        try:
            found[seq] = event_of(payload=bytes(payload), version=version)
        except UnableToUpcast as error:
            raise UnableToRead(f"{tenant}: event {seq} {error}", seq=seq) from error
    for seq in wanted:
        if seq not in found:
            raise UnableToRead(f"{tenant}: there is no event {seq}.", seq=seq)
    return found


def as_of(*, tenant: str, seq: int, after: int = 0, until: int = NO_END) -> Iterator[Row]:
    """Yield what was true when the log ended at `seq`: its events without those that others up to `seq` supersede.

    Of these those after `after` to `until`. The log only grows, so the same question has the same answer for ever.
    Raises UnableToRead.
    """
    superseded = {row.recorded.event.supersedes for row in events(tenant=tenant, until=seq)}
    for row in events(tenant=tenant, after=after, until=min(seq, until)):
        if row.recorded.seq not in superseded:
            yield row


def seq_at(*, tenant: str, at_us: int) -> int:
    """Return where the log ended at a time (UTC us): just before the first event that was recorded after it."""
    found = _rows(tenant, FIRST_AFTER, {"at_us": at_us})
    return int(found[0][0])


def seq_end(*, tenant: str) -> int:
    """Return where the log ends now."""
    return int(_rows(tenant, END, {})[0][0])


def not_projected(*, tenant: str, name: str) -> int:
    """Return how many events one projection, `trading` or another, has not shown yet."""
    return int(_rows(tenant, BEHIND, {"name": name})[0][0])


def trial_balance(*, tenant: str, seq: int) -> list[dict[str, str]]:
    """Return what every account of the ledger held when the log ended at `seq`, late corrections up to it included.

    A bust, and what restates a gift, post a difference, so both count; what else supersedes stands in the place.
    """
    currencies: dict[str, str] = {}
    sums: dict[tuple[str, str, str], Decimal] = {}
    rows = events(tenant=tenant, until=seq)
    replaced = {row.recorded.event.supersedes for row in rows if not isinstance(row.recorded.event, ledger.ADDED)}
    for row in events(tenant=tenant, until=seq):
        event: Any = row.recorded.event
        if row.recorded.seq in replaced:
            continue
        if isinstance(event, AccountConfigured):
            currencies[event.account.account_id] = event.account.currency
        currency = currencies.get(getattr(event, "account_id", ""), "")
        for line in ledger.postings(event=event, currency=currency):
            key = (line.gl_account, line.owner, line.currency)
            sums[key] = sums.get(key, Decimal(0)) + line.amount
    return [
        {"gl_account": gl_account, "owner": owner, "currency": currency, "amount": f"{amount:f}"}
        for (gl_account, owner, currency), amount in sorted(sums.items())
    ]


def plain(*, row: Row) -> dict[str, Any]:
    """Return an event as JSON can hold it, numbers as strings."""
    told = msgspec.to_builtins(row.recorded)
    return {**told, "version": row.version, "prev_hash": row.prev_hash.hex(), "hash": row.hash.hex()}


def provable(*, row: Row) -> dict[str, Any]:
    """Return what `plain` does and the bytes that were kept, of which anybody can make the hash again (`chain.py`)."""
    return {**plain(row=row), "type": row.type, "payload": row.payload.hex()}


def signed_heads(*, tenant: str) -> list[tree_heads.Head]:
    """Return every signed head, smallest first."""
    return [
        tree_heads.Head(
            tenant=tenant,
            seq=seq,
            root=bytes(root),
            signed_at_us=signed_at_us,
            key_id=key_id,
            signature=bytes(signature),
        )
        for seq, root, signed_at_us, key_id, signature in _rows(tenant, HEADS)
    ]


def inclusion(*, tenant: str, seq: int) -> dict[str, Any]:
    """Return the proof that event `seq` is in the log under the first head that covers it. Raises UnableToProve."""
    head = next((each for each in signed_heads(tenant=tenant) if each.seq >= seq), None)
    if head is None or seq < 1:
        raise UnableToProve(f"No signed head covers event {seq}.")
    hashes = _hashes(tenant, head)
    proof = merkle.inclusion_proof(entries=hashes, index=seq - 1)
    return {"seq": seq, "hash": hashes[seq - 1].hex(), "proof": [each.hex() for each in proof], "head": told(head=head)}


def consistency(*, tenant: str, seq: int, later: int) -> dict[str, Any]:
    """Return the proof that the head of `later` events continues the head of `seq`. Raises UnableToProve."""
    heads = {head.seq: head for head in signed_heads(tenant=tenant)}
    if seq not in heads or later not in heads or seq > later:
        raise UnableToProve(f"There are no signed heads of {seq} and, later, of {later} events.")
    hashes = _hashes(tenant, heads[later])
    if merkle.root_of(entries=hashes[:seq]) != heads[seq].root:
        raise UnableToProve(f"The log is not what the head of {seq} events was signed of.")
    proof = merkle.consistency_proof(entries=hashes, size=seq)
    return {"proof": [each.hex() for each in proof], "head": told(head=heads[seq]), "later": told(head=heads[later])}


def told(*, head: tree_heads.Head) -> dict[str, Any]:
    """Return a head as JSON can hold it."""
    return {**msgspec.to_builtins(head), "root": head.root.hex(), "signature": head.signature.hex()}


def dead_letters(*, tenant: str) -> list[dict[str, Any]]:
    """Return what nobody could carry out, oldest first, decoded where it is a command at all."""
    with in_tenant(tenant):
        rows = list(DeadLetter.objects.order_by("id"))
    return [
        {
            "stream": row.stream,
            "entry": row.entry,
            "reason": row.reason,
            "deliveries": row.deliveries,
            "buried_at": row.buried_at.isoformat(),
            "message": _message(bytes(row.payload)),
        }
        for row in rows
    ]


def _message(payload: bytes) -> Any:
    try:
        return msgspec.msgpack.decode(payload)
    except msgspec.DecodeError:
        return payload.hex()


def _pages(*, tenant: str, tip: Tip, until: int = NO_END) -> Iterator[bytes]:
    """Yield the log after `tip`, which whoever is given a page moves to its end.

    From there the next one is read: a broker deals meanwhile, and a page need not have been full when it was.
    """
    while True:
        asked = {"after": tip.seq, "until": until, "rows": PAGE_ROWS}
        page = next(iter(_rows(tenant, log_pages.PAGE, asked)))[0]
        if not page:
            return
        yield page


def _hashes(tenant: str, head: tree_heads.Head) -> list[bytes]:
    hashes = [bytes(row[0]) for row in _rows(tenant, HASHES, {"until": head.seq})]
    if len(hashes) != head.seq or merkle.root_of(entries=hashes) != head.root:
        raise UnableToProve(f"The log is not what the head of {head.seq} events was signed of.")
    return hashes


def lost(*, tenant: str, home: Path) -> Seen | None:
    """Return the event that engines saw committed, as told in `home`, if the log does not have it; None if all is well.

    Raises witness.UnableToReadWitness.
    """
    known = witness.seen(home=home, tenant=tenant)
    if known is None or not known.seq:
        return None
    found = _rows(tenant, HASH, {"seq": known.seq})
    return None if found and bytes(found[0][0]) == known.hash else known


def accepting(*, tenant: str, gone: Seen, by: str, reason: str) -> Acceptance:
    """Return the decision to go on with the log as it is, though it lost what came up to `gone`."""
    end = int(_rows(tenant, "SELECT coalesce(max(seq), 0) FROM {schema}.event_log")[0][0])
    return Acceptance(
        tenant=tenant,
        log_seq=end,
        log_hash=_hash_at(tenant, end) if end else FIRST_HASH,
        lost_seq=gone.seq,
        lost_hash=gone.hash,
        by=by,
        reason=reason,
    )


def _hash_at(tenant: str, seq: int) -> bytes:
    found = _rows(tenant, HASH, {"seq": seq})
    if not found:
        raise UnableToRead(f"{tenant}: there is no event {seq}.", seq=seq)
    return bytes(found[0][0])


def _rows(tenant: str, query: LiteralString, asked: dict[str, Any] | None = None) -> list[Any]:
    with in_tenant(tenant), connection.cursor():  # Opens the connection and puts the tenant's context on it.
        cursor = psycopg.Cursor(connection.connection)
        cursor.execute(sql.SQL(query).format(schema=sql.Identifier(tenant)), asked, binary=True)
        return cursor.fetchall()
