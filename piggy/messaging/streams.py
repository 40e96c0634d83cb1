"""Names of every Redis key and channel, and nowhere else. The hash tag keeps one tenant's keys on one cluster slot."""

from __future__ import annotations

ENGINE_GROUP = "engine"
WORKER_GROUP = "worker"
FIELD = b"e"
# Of an entry that was put once more: when what it holds was made (UTC us).
MADE_AT_US = b"m"
REPLY_LIFE_S = 60
PANELS = (
    "exposure",
    "quotes",
    "venues",
    "orders",
    "summary",
    "requests",
    "hedges",
    "margin",
    "doubts",
    "alerts",
    "states",
    "coverage",
    "focus",
)
FOCUS_LIFE_S = 15
CLIENT_PRICES_LIFE_S = 6


def commands_key(*, tenant: str) -> str:
    """Return the stream of commands to one tenant's desk, read by group `engine`."""
    return f"{{{tenant}}}:commands"


def urgent_key(*, tenant: str) -> str:
    """Return the stream of cancels and kills, which the engine reads also when it takes no more orders."""
    return f"{{{tenant}}}:urgent"


def reply_key(*, tenant: str, request_id: str) -> str:
    """Return the list on which one asker waits for its answer."""
    return f"{{{tenant}}}:reply:{request_id}"


def venue_key(*, tenant: str, venue: str) -> str:
    """Return the stream of child orders to one venue's worker, read by group `worker`."""
    return f"{{{tenant}}}:venue:{venue}"


def quotes_channel(*, tenant: str) -> str:
    """Return the channel of market data batches from workers to the engine."""
    return f"{{{tenant}}}:quotes"


def committed_channel(*, tenant: str) -> str:
    """Return the channel that tells listeners the latest committed seq, as text."""
    return f"{{{tenant}}}:committed"


def desk_channel(*, tenant: str) -> str:
    """Return the channel of JSON frames for the dealer's page."""
    return f"{{{tenant}}}:desk"


def desk_snapshot_key(*, tenant: str, panel: str) -> str:
    """Return the key that holds a panel's latest snapshot frame (JSON)."""
    return f"{{{tenant}}}:desk:snapshot:{panel}"


def marks_key(*, tenant: str) -> str:
    """Return the key that holds the prices which a desk values positions by, for the engine after this one."""
    return f"{{{tenant}}}:marks"


def scorecards_key(*, tenant: str) -> str:
    """Return the key that holds every venue's latest scorecard (JSON)."""
    return f"{{{tenant}}}:scorecards"


def refused_key(*, tenant: str, strategy_id: str, proven: bool) -> str:
    """Return the list of a strategy's latest signals that became no command; '' is of names that no strategy has.

    Of those that it did not prove to have sent there is another list.
    """
    return f"{{{tenant}}}:refused:{'own' if proven else 'unproven'}:{strategy_id}"


def troubles_key(*, tenant: str) -> str:
    """Return the hash in which a process says what is wrong with it for this broker, by its name, for the dealers."""
    return f"{{{tenant}}}:troubles"


def focus_key(*, tenant: str) -> str:
    """Return the sorted set of what dealers look at closely, each until the time (s since 1970) that is its score."""
    return f"{{{tenant}}}:desk:focus"


def client_prices_channel(*, tenant: str) -> str:
    """Return the channel of clients' own prices, by account and symbol."""
    return f"{{{tenant}}}:client-prices"


def client_prices_wanted_key(*, tenant: str) -> str:
    """Return the sorted set of `account|symbol` whose price somebody waits for, scored as `focus_key`'s."""
    return f"{{{tenant}}}:client-prices:wanted"


def tenant_of(*, key: str) -> str:
    """Return the tenant that a key or channel belongs to."""
    return key[1 : key.index("}")]
