"""A venue described by a mapping file instead of code: what to ask, how it is signed, where the answer's parts stand.

The mapping is JSON in `settings["mapping"]`. Texts in `path`, `query`, `body` and `headers` may name {symbol}, {side},
{units}, {price}, {force}, {client_id}, {number}, {since_ms}, {timestamp_ms} and {key}. A place is a path of names with
dots, "" is the whole answer.
"""

from __future__ import annotations

from functools import cache

import msgspec

from piggy.adapters.ccxt.config import STATUSES
from piggy.adapters.interface import VenueConfig
from piggy.adapters.signing import Form

# `positions` may be described as well, with `fields.position` (symbol, signed units, price), and `time`, with the place
# of milliseconds or an RFC 3339 time in `fields.time.at`: then {timestamp_ms} is on the venue's clock.
ASKS = ("markets", "balance", "book", "submit", "cancel", "order", "order_by_client_id", "open_orders", "trades")

NEEDED = tuple(
    (kind, name)
    for kind, names in (
        ("market", "symbol"),
        ("book", "bids asks"),
        ("order", "number client_id status filled quantity"),
        ("trade", "id number symbol side units price at"),
    )
    for name in names.split()
)


class UnableToReadMapping(Exception):
    """The mapping describes no venue; the text names the part."""


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request; an empty `body` is none."""

    path: str
    method: str = "GET"
    query: dict[str, str] = {}
    body: dict[str, str] = {}


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mac over `text`, which may also name {method}, {path} (with its query) and {body}."""

    header: str
    text: str = "{timestamp_ms}{method}{path}{body}"
    digest: str = "sha256"
    form: Form = Form.HEX


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One venue.

    `rows` says where the answer to each request stands, `fields` what a market, balance, book, order and trade call
    their parts, `words` the venue's words for side, force and status (open, closed, canceled, expired, rejected).
    """

    asks: dict[str, Ask]
    rows: dict[str, str]
    fields: dict[str, dict[str, str]]
    words: dict[str, dict[str, str]]
    headers: dict[str, str] = {}
    signature: Signature | None = None
    code: str = "code"
    text: str = "message"
    duplicate: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@cache
def _read(text: str) -> Mapping:
    try:
        mapping = msgspec.json.decode(text, type=Mapping)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UnableToReadMapping(str(error)) from error
    lacking = [name for name in ASKS if name not in mapping.asks]
    lacking += [f"fields.{name}" for name in ("market", "book", "order", "trade") if name not in mapping.fields]
    lacking += [f"words.{name}" for name in ("side", "force", "status") if name not in mapping.words]
    lacking += [f"fields.{kind}.{name}" for kind, name in NEEDED if name not in mapping.fields.get(kind, {})]
    optional = (("positions", "position", "symbol"), ("positions", "position", "units"), ("time", "time", "at"))
    lacking += [
        f"fields.{kind}.{name}"
        for ask, kind, name in optional
        if ask in mapping.asks and name not in mapping.fields.get(kind, {})
    ]
    lacking += [f"words.status {word}" for word in mapping.words.get("status", {}).values() if word not in STATUSES]
    if lacking:
        raise UnableToReadMapping(f"the mapping lacks {', '.join(lacking)}")
    return mapping


def mapping_of(*, config: VenueConfig) -> Mapping:
    """Return the mapping of an account. Raises UnableToReadMapping."""
    return _read(config.settings.get("mapping", "{}"))
