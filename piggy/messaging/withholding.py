"""What of an order's events its own client is not shown: in a verdict, the figures of firm, tenant and venues.

The log's hash covers them, so an event without them cannot show that it is the log's. It is sealed instead: its firm
has said which event of the log it is, and proves that where it must by the whole receipt. The salt is nothing that a
client is told, for figures of few digits could else be tried until the hash is right. What follows it without a gap is
sealed as well, for it names that hash, and of the same command the clock. Whoever has the log's rows right before and
right after, of other orders of his own, still could try, at a thousand times the cost: the clock is left out, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from piggy.core.verdicts import Check, told_to_client
from piggy.messaging.receipts import Event, seal_of, without_figures

# With these, who has the event before and the one after could try figures until the hashes fit.
_HIDDEN = ("prev_hash", "hash", "recorded_mono_ns")


def salt_of(*, first_hash: bytes, seq: int) -> str:
    """Return what an event is sealed with (hex); the hash of a log's first event is in no order's receipt."""
    return hashlib.sha256(b"%s\x1freceipt\x1f%d" % (first_hash, seq)).hexdigest()


def for_client(*, events: Iterable[Event], first_hash: bytes) -> list[Event]:
    """Return an order's events, by rising seq, as its client is shown them: each as it is, or sealed, and then without
    the figures of others.
    """
    shown: list[Event] = []
    for event in events:
        payload = _shown(bytes.fromhex(event["payload"]))
        names_sealed = bool(shown) and "seal" in shown[-1] and shown[-1]["seq"] + 1 == event["seq"]
        is_told = payload is None and not names_sealed
        shown.append(event if is_told else _sealed(event, payload, first_hash))
    return shown


def _sealed(event: Event, payload: bytes | None, first_hash: bytes) -> Event:
    kept = {name: value for name, value in event.items() if name not in _HIDDEN}
    seal = seal_of(salt=salt_of(first_hash=first_hash, seq=event["seq"]), log_hash=event["hash"])
    return {**kept, **({} if payload is None else {"payload": payload.hex()}), "seal": seal}


def _shown(payload: bytes) -> bytes | None:
    """Return the payload without the figures that are not shown, None where it has none."""
    body: dict[str, Any] = msgspec.msgpack.decode(payload)
    verdict = body.get("verdict") or {}
    checks = verdict.get("checks", [])
    shown = [without_figures(check=check) if _is_of_others(check) else check for check in checks]
    if shown == checks:
        return None
    return msgspec.msgpack.encode({**body, "verdict": {**verdict, "checks": shown}})


def _is_of_others(told: Any) -> bool:
    """Whether a check, as the log holds it, by names in its first version, has figures that are not shown.

    One that passed by itself tells the account's own, whatever else it asks (gate.all_at_most).
    """
    check = msgspec.convert(told, Check) if isinstance(told, list) else Check(**told)
    is_own = check.passed and not check.text
    return not is_own and told_to_client(checks=(check,)) != (check,)
