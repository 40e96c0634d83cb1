"""An order's execution receipt, and its check offline: `python receipts.py receipt.json`. Standard library only.

A receipt that passes agrees with itself. That it is also the log's own, and not made up whole, is shown by its events'
log hashes: `manage.py log` proves any of them under a signed head.

A receipt holds the order's events as the log holds them: header, payload (msgpack, hex) and log hash. Each entry is
chained to the one before by SHA-256; the last link is the receipt's hash. What people read, what every LP quoted, legs,
fills, delays and slippage in parts, is worked out from the payloads alone, here and again by whoever checks.

In a client's own receipt (format 2) an event whose verdict has figures of the firm, its other clients or its venues is
told without those, and sealed: in the place of its log hash stands the hash of that and a salt. What stands in the log
right after a sealed one is sealed, too. Staff have the whole receipt (format 1), which opens it:
`python receipts.py client.json whole.json` says whether the two agree.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

FORMAT, SEALED_FORMAT = 1, 2
_NUMBERS = struct.Struct(">qhhqqqI")
_HEADER = ("seq", "position", "version", "occurred_at_us", "recorded_at_us", "recorded_mono_ns")
_TEXTS = ("command_id", "type", "principal", "request_hash")
_CONSIDERED = ("venue", "price", "size", "received_at_us", "reject_rate", "priority", "rank", "cost", "text")
_CLOSED = ("outcome", "code", "text")
# Of a fill at a guaranteed stop: what its client paid for that, and what the house gave over the market's price.
_GUARANTEED = ("premium", "guarantee_cost")
Event = dict[str, Any]


def receipt(*, tenant: str, order_id: str, events: list[Event], opens: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the receipt of one order; `events` are its rows of the log as this module's `_HEADER` and `_TEXTS` name
    them, with `payload`, `prev_hash` and `hash` in hex, by rising seq, or sealed. `opens` are the salts of those that
    are sealed in its client's, by seq."""
    is_sealed = any("seal" in event for event in events)
    head = {"format": SEALED_FORMAT if is_sealed else FORMAT, "tenant": tenant, "order_id": order_id}
    links = _links(head, events)
    entries = [{**event, "link": link} for event, link in zip(events, links[1:], strict=True)]
    told = {**head, "entries": entries, "execution": execution(events=events), "receipt_hash": links[-1]}
    return {**told, "opens": opens} if opens else told


def seal_of(*, salt: str, log_hash: str) -> str:
    """Return what stands for a log hash (hex) where the event is not told whole; the salt has its length."""
    return hashlib.sha256(bytes.fromhex(salt) + bytes.fromhex(log_hash)).hexdigest()


def without_figures(*, check: Any) -> Any:
    """Return a check of a verdict, as the log holds it, without value and limit."""
    return {**check, "value": "", "limit": ""} if isinstance(check, dict) else [*check[:2], "", "", *check[4:]]


def faults(*, told: dict[str, Any]) -> list[str]:
    """Return everything that is wrong with a receipt; none means that it is whole and says what its events say."""
    try:
        head = {name: told[name] for name in ("format", "tenant", "order_id")}
        events = [{key: value for key, value in entry.items() if key != "link"} for entry in told["entries"]]
        is_sealed = head["format"] == SEALED_FORMAT
        holds = [_is_sealed(event) if is_sealed and "seal" in event else _holds(event) for event in events]
        named = zip(events, holds, strict=True)
        found = [f"event {event['seq']}: its hash is not that of its content" for event, held in named if not held]
        if head["format"] not in (FORMAT, SEALED_FORMAT):
            found.append(f"format {head['format']} is none of this script's")
        links = _links(head, events)
        for entry, link in zip(told["entries"], links[1:], strict=True):
            if entry["link"] != link:
                found.append(f"event {entry['seq']}: the chain is broken")
        if told["receipt_hash"] != links[-1]:
            found.append("the receipt's hash is not that of its entries")
        if [event["seq"] for event in events] != sorted({event["seq"] for event in events}):
            found.append("the events are not in the order of the log")
        if any(_decoded(event)["order_id"] != told["order_id"] for event in events):
            found.append("an event belongs to another order")
        if told["execution"] != execution(events=events):
            found.append("the execution told is not what the events say")
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError, struct.error) as error:
        return [f"this is no receipt: {type(error).__name__} {error}"]
    return found


def unlike(*, told: dict[str, Any], whole: dict[str, Any]) -> list[str]:
    """Return in what a client's receipt is not what the whole one says; both are without faults of their own."""
    rows = {entry["seq"]: entry for entry in whole["entries"]}
    found = []
    for entry in told["entries"]:
        row = rows.get(entry["seq"])
        if row is None:
            found.append(f"event {entry['seq']} is not in the whole receipt")
        elif not (_is_same(entry, row, whole) if "seal" in entry else _bare(entry) == _bare(row)):
            found.append(f"event {entry['seq']} is not what the whole receipt says")
    return found


def execution(*, events: list[Event]) -> dict[str, Any]:
    """Return what the events say, for people: decisions with every LP's quote, legs, fills, slippage in parts.

    Slippage is in price units, above zero worse for the client: `market` is how the best price moved from arrival to
    the fill, `latency` what the fill was worse than the best price of that moment, `markup` what was put on top.
    """
    decoded = [(event, _decoded(event)) for event in events]
    accepted = next((body for _, body in decoded if body["type"] == "OrderAccepted"), None)
    if accepted is None:
        return {"decisions": [], "legs": [], "fills": [], "totals": {}}
    terms = accepted["terms"]
    sign = 1 if terms["side"] == "buy" else -1
    decisions = [
        _decision(event, body["routing"])
        for event, body in decoded
        if body["type"] in ("OrderAccepted", "OrderRerouted")
    ]
    arrival = _arrival(decisions)
    began_us = next(event["recorded_at_us"] for event, body in decoded if body is accepted)
    fills = [_fill(event, body, sign, arrival, began_us) for event, body in decoded if body["type"] == "OrderFilled"]
    legs = [_leg(event, body, decoded) for event, body in decoded if body["type"] == "ChildOrderCreated"]
    order = {"account_id": terms["account_id"], "symbol": terms["symbol"], "side": terms["side"]}
    order |= {"quantity": terms["quantity"], "type": terms.get("type", "market"), "group": accepted["group"]}
    order |= {"source": accepted["source"], "accepted_at_us": began_us}
    return {
        "order": order,
        "decisions": decisions,
        "legs": legs,
        "fills": fills,
        "totals": _totals(fills, legs, arrival),
    }


def unpack(data: bytes) -> Any:
    """Return what msgpack `data` holds; bytes become hex. Raises ValueError on anything else."""
    value, at = _value(data, 0)
    if at != len(data):
        raise ValueError("the payload goes on after its end")
    return value


def _decision(event: Event, routing: dict[str, Any]) -> dict[str, Any]:
    seen = unpack(bytes.fromhex(routing["venues"])) if routing.get("venues") else []
    at_us = routing.get("at_us", 0)
    venues = []
    for row in seen:
        named = dict(zip(_CONSIDERED, row, strict=False))
        received_at_us = named.pop("received_at_us")
        named["quote_age_ms"] = None if received_at_us is None else (at_us - received_at_us) // 1_000
        venues.append(named)
    kept = {name: routing[name] for name in ("rule", "version", "mode", "a_quantity", "b_quantity", "cross_quantity")}
    return {"at_us": event["recorded_at_us"], **kept, "text": routing.get("text", ""), "quotes": venues}


def _arrival(decisions: list[dict[str, Any]]) -> Decimal | None:
    """Return the best price when the order came: that of the LP ranked first."""
    first = next((seen for seen in decisions[0]["quotes"] if seen["rank"] == 1), None) if decisions else None
    return Decimal(first["price"]) if first and first["price"] is not None else None


def _leg(event: Event, created: dict[str, Any], decoded: list[tuple[Event, dict[str, Any]]]) -> dict[str, Any]:
    mine = [(row, body) for row, body in decoded if body.get("cl_ord_id") == created["cl_ord_id"]]
    sent_us = event["recorded_at_us"]
    done = [body for _, body in mine if body["type"] == "ChildOrderFilled"]
    ended = next((body for _, body in mine if body["type"] == "ChildOrderClosed"), None)
    answered = next(
        (row["recorded_at_us"] - sent_us for row, body in mine if body["type"] != "ChildOrderCreated"), None
    )
    names = ("cl_ord_id", "venue", "attempt", "quantity", "limit_price")
    filled = sum((Decimal(body["quantity"]) for body in done), Decimal(0))
    closed = {name: ended.get(name, "") for name in _CLOSED} if ended else {"outcome": "filled" if done else "open"}
    fills = [{name: body[name] for name in ("fill_id", "quantity", "price", "occurred_at_us")} for body in done]
    leg = {**{name: created[name] for name in names}, "sent_at_us": sent_us, "answered_after_us": answered}
    return {**leg, "filled": f"{filled:f}", **closed, "fills": fills}


def _fill(event: Event, body: dict[str, Any], sign: int, arrival: Decimal | None, began_us: int) -> dict[str, Any]:
    price, raw = Decimal(body["price"]), Decimal(body["raw_price"])
    benchmark = body.get("benchmark_ask" if sign > 0 else "benchmark_bid")
    then = Decimal(benchmark) if benchmark is not None else raw
    start = arrival if arrival is not None else then
    parts = {"market": then - start, "latency": raw - then, "markup": price - raw}
    slippage = {name: f"{sign * part:f}" for name, part in parts.items()}
    slippage["total"] = f"{sign * (price - start):f}"
    names = ("fill_id", "quantity", "price", "raw_price", "book", "counterparty", "commission")
    told = {name: body[name] for name in names} | {name: body[name] for name in _GUARANTEED if name in body}
    return {
        **told,
        "at_us": event["recorded_at_us"],
        "delay_us": event["recorded_at_us"] - began_us,
        "slippage": slippage,
    }


def _totals(fills: list[dict[str, Any]], legs: list[dict[str, Any]], arrival: Decimal | None) -> dict[str, Any]:
    lots = sum((Decimal(fill["quantity"]) for fill in fills), Decimal(0))
    parts = ("market", "latency", "markup", "total")
    weighed = {
        part: sum((Decimal(fill["quantity"]) * Decimal(fill["slippage"][part]) for fill in fills), Decimal(0))
        for part in parts
    }
    return {
        "filled": f"{lots:f}",
        "arrival_price": None if arrival is None else f"{arrival:f}",
        "attempts": len(legs),
        "rejects": sum(leg["outcome"] == "rejected" for leg in legs),
        "first_fill_after_us": min((fill["delay_us"] for fill in fills), default=None),
        "slippage_by_lots": {part: f"{value:f}" for part, value in weighed.items()},
    }


def _decoded(event: Event) -> dict[str, Any]:
    body: dict[str, Any] = unpack(bytes.fromhex(event["payload"]))
    return body


def _holds(event: Event) -> bool:
    texts = "\x1f".join(event[name] for name in _TEXTS).encode()
    numbers = _NUMBERS.pack(*(event[name] for name in _HEADER), len(texts))
    content = bytes.fromhex(event["prev_hash"]) + numbers + texts + bytes.fromhex(event["payload"])
    named = _decoded(event)["type"] == event["type"]
    return bool(named) and hashlib.sha256(content).hexdigest() == event["hash"]


def _is_sealed(event: Event) -> bool:
    """Whether it is what a sealed event can be; that it is the log's only the whole receipt shows."""
    known = {*_HEADER, *_TEXTS, "payload", "seal"} - {"recorded_mono_ns"}
    is_seal = len(bytes.fromhex(event["seal"])) == hashlib.sha256().digest_size
    return event.keys() == known and is_seal and bool(_decoded(event)["type"] == event["type"])


def _is_same(entry: Event, row: Event, whole: dict[str, Any]) -> bool:
    salt = whole.get("opens", {}).get(str(entry["seq"]))
    told, body = _decoded(entry), _decoded(row)
    pairs = zip(_taken_checks(told), _taken_checks(body), strict=True)
    return (
        salt is not None
        and len(salt) == len(row["hash"])
        and seal_of(salt=salt, log_hash=row["hash"]) == entry["seal"]
        and all(entry[name] == row[name] for name in (*_HEADER, *_TEXTS) if name in entry)
        and told == body
        and all(shown in (check, without_figures(check=check)) for shown, check in pairs)
    )


def _taken_checks(body: dict[str, Any]) -> list[Any]:
    """Take the checks out of an event's verdict, if it has one, and return them."""
    taken: list[Any] = (body.get("verdict") or {}).pop("checks", [])
    return taken


def _bare(entry: Event) -> Event:
    return {key: value for key, value in entry.items() if key != "link"}


def _links(head: dict[str, Any], events: list[Event]) -> list[str]:
    links = [_digest("", head)]
    for event in events:
        links.append(_digest(links[-1], event))
    return links


def _digest(before: str, part: dict[str, Any]) -> str:
    text = json.dumps(part, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def _value(data: bytes, at: int) -> tuple[Any, int]:
    code = data[at]
    at += 1
    if code <= 0x7F:
        return code, at
    if code >= 0xE0:
        return code - 256, at
    if code <= 0x8F:
        return _map(data, at, code & 15)
    if code <= 0x9F:
        return _array(data, at, code & 15)
    if code <= 0xBF:
        return _text(data, at, code & 31)
    if code in _PLAIN:
        return _PLAIN[code], at
    if code in _SIZED:
        size, read = _SIZED[code]
        found: tuple[Any, int] = read(data, at + size, int.from_bytes(data[at : at + size], "big"))
        return found
    if code in _INTEGERS:
        size, signed = _INTEGERS[code]
        return int.from_bytes(data[at : at + size], "big", signed=signed), at + size
    raise ValueError(f"code {code:#x} is not part of an event")


def _map(data: bytes, at: int, count: int) -> tuple[dict[str, Any], int]:
    found = {}
    for _ in range(count):
        key, at = _value(data, at)
        found[key], at = _value(data, at)
    return found, at


def _array(data: bytes, at: int, count: int) -> tuple[list[Any], int]:
    found = []
    for _ in range(count):
        value, at = _value(data, at)
        found.append(value)
    return found, at


def _text(data: bytes, at: int, size: int) -> tuple[str, int]:
    return data[at : at + size].decode(), at + size


def _bytes(data: bytes, at: int, size: int) -> tuple[str, int]:
    return data[at : at + size].hex(), at + size


_PLAIN = {0xC0: None, 0xC2: False, 0xC3: True}
_INTEGERS = {0xCC: (1, False), 0xCD: (2, False), 0xCE: (4, False), 0xCF: (8, False)}
_INTEGERS |= {0xD0: (1, True), 0xD1: (2, True), 0xD2: (4, True), 0xD3: (8, True)}
_SIZED: dict[int, tuple[int, Any]] = {0xC4: (1, _bytes), 0xC5: (2, _bytes), 0xC6: (4, _bytes)}
_SIZED |= {0xD9: (1, _text), 0xDA: (2, _text), 0xDB: (4, _text)}
_SIZED |= {0xDC: (2, _array), 0xDD: (4, _array), 0xDE: (2, _map), 0xDF: (4, _map)}


def main(paths: list[str]) -> int:
    """Check receipts; say what is wrong with each, and with a client's where the whole one is given beside it.

    Return 0 where all are good, 3 where one is not.
    """
    bad, good = 0, []
    for path in paths:
        try:
            told = json.loads(Path(path).read_text())
            found = faults(told=told) if isinstance(told, dict) else ["this is no receipt"]
        except (OSError, ValueError) as error:
            told, found = {}, [f"this cannot be read: {error}"]
        bad += bool(found)
        good += [] if found else [(path, told)]
        sealed = 0 if found else sum("seal" in entry for entry in told["entries"])
        what = "; ".join(found) if found else f"good, receipt hash {told['receipt_hash']}"
        sys.stdout.write(f"{path}: {what}{f', {sealed} of its events are sealed' if sealed else ''}\n")
    return 3 if _held_against(good) + bad else 0


def _held_against(good: list[tuple[str, dict[str, Any]]]) -> int:
    """Hold each client's receipt against the whole one of its order, where there is one; return how many are unlike."""
    wholes = {(told["tenant"], told["order_id"]): told for _, told in good if told["format"] == FORMAT}
    bad = 0
    for path, told in good:
        whole = wholes.get((told["tenant"], told["order_id"]))
        if told["format"] == FORMAT or whole is None:
            continue
        try:
            found = unlike(told=told, whole=whole)
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            found = [f"what opens it is unreadable: {type(error).__name__} {error}"]
        bad += bool(found)
        sys.stdout.write(f"{path}: {'; '.join(found) or 'what the whole receipt says'}\n")
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
