"""The order page's tables: where it went and why, what the gate said, what was sent to venues."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.common.times import moment
from apps.trading.selectors import CONTROLS, RefusedSignals
from piggy.core.money import plain

VALUE_PLACES, COST_PLACES = 4, 8
MONEY_FROM = Decimal(100)
# (heading, key, is a figure)
Columns = tuple[tuple[str, str, bool], ...]
VENUE_COLUMNS: Columns = (
    ("Rank", "rank", True),
    ("Venue", "venue", False),
    ("Price", "price", True),
    ("Size", "size", True),
    ("Quote age ms", "quote_age_ms", True),
    ("Reject rate", "reject_rate", True),
    ("Priority", "priority", True),
    ("Cost", "cost", True),
    ("In words", "text", False),
)
LEG_COLUMNS: Columns = (
    ("Try", "attempt", True),
    ("ClOrdID", "cl_ord_id", False),
    ("Venue", "venue", False),
    ("Lots", "quantity", True),
    ("Limit", "limit_price", True),
    ("State", "state", False),
    ("Filled", "filled", True),
    ("Venue's id", "venue_order_id", False),
    ("In words", "text", False),
)
REFUSED_COLUMNS: Columns = (
    ("At", "at", False),
    ("Times", "times", True),
    ("Answered", "status", True),
    ("Code", "code", False),
    ("Field", "field", False),
    ("Why", "why", False),
    ("Signal", "signal_id", False),
    ("From", "address", False),
)
LEG_FIELDS = tuple(key for _, key, _ in LEG_COLUMNS)


def refused(found: RefusedSignals | None) -> SafeString:
    """Return what the door refused of a strategy, what it had proven to have sent first."""
    if found is None:
        return format_html('<p class="muted">{}</p>', "It is not known now.")
    shown = [(found.own, "Proven to be its own."), (found.unproven, "In its name, and not proven.")]
    parts = [
        format_html('<p class="muted">{}</p>{}', words, table(REFUSED_COLUMNS, [_timed(line) for line in lines]))
        for lines, words in shown
        if lines
    ]
    return format_html_join("", "{}", ((part,) for part in parts)) or format_html('<p class="muted">{}</p>', "None.")


def _timed(line: dict[str, Any]) -> dict[str, Any]:
    return line | {"at": moment(line["at_us"]).isoformat(sep=" ", timespec="seconds")}


def routing(decision: dict[str, Any] | None) -> SafeString:
    """Return the decision in words and every venue that was considered."""
    if not decision:
        return format_html('<p class="muted">{}</p>', "Not routed: the order did not pass the gate, or rests.")
    split = ((name, decision[f"{key}_quantity"]) for name, key in (("A", "a"), ("B", "b"), ("crossed", "cross")))
    head = format_html(
        '<p><strong>{}</strong></p><p class="muted">Rule {} version {}, mode {} · {}</p>',
        decision["text"],
        decision["rule"],
        decision["version"],
        decision["mode"],
        ", ".join(f"{name} {shown(lots)} lots" for name, lots in split),
    )
    if not decision["considered"]:
        return head
    return head + table(VENUE_COLUMNS, decision["considered"])


def verdict(checks: Sequence[dict[str, Any]]) -> SafeString:
    """Return the refusals first, each with its sentence, then the passes in short."""
    failed = [check for check in checks if not check["passed"]]
    passed = [check for check in checks if check["passed"]]
    refusals = format_html_join(
        "",
        '<li class="refused"><strong>✕ {}</strong> {} <span class="muted">{}</span></li>',
        ((_name(check), check["text"], _against(check)) for check in failed),
    )
    passes = format_html_join(
        "", '<li>✓ {} <span class="muted">{}</span></li>', ((_name(check), _against(check)) for check in passed)
    )
    count = f"{len(passed)} of {len(checks)} controls passed"
    return format_html('<p class="muted">{}</p><ul class="checks">{}{}</ul>', count, refusals, passes)


def legs(rows: Iterable[dict[str, Any]]) -> SafeString:
    """Return what was sent to venues, or that nothing was."""
    found = list(rows)
    if not found:
        return format_html('<p class="muted">{}</p>', "Nothing was sent to a venue.")
    return table(LEG_COLUMNS, found)


def table(columns: Columns, rows: Iterable[dict[str, Any]]) -> SafeString:
    """Return rows as a table; figures stand right."""
    kinds = {False: "", True: "figure"}
    head = format_html_join("", '<th class="{}">{}</th>', ((kinds[right], title) for title, _, right in columns))
    body = format_html_join("", "<tr>{}</tr>", ((_cells(columns, row, kinds),) for row in rows))
    return format_html(
        '<div class="scrolls"><table class="decision"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        head,
        body,
    )


def shown(value: Any) -> str:
    """Return a number rounded for reading (money to cents, small ones to four places); other text as it is."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return "" if value in (None, "None") else str(value)
    if not amount.is_finite():
        return str(value)
    if amount == amount.to_integral_value():
        return f"{int(amount):,}"
    return f"{round(amount, 2):,}" if abs(amount) >= MONEY_FROM else plain(round(amount, VALUE_PLACES))


def _cells(columns: Columns, row: dict[str, Any], kinds: dict[bool, str]) -> SafeString:
    return format_html_join(
        "", '<td class="{}">{}</td>', ((kinds[right], _cell(row, key)) for _, key, right in columns)
    )


def _cell(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if value is None:
        return "–"
    if key == "rank" and not value:
        return "passed over"
    if key == "cost":
        return _cost(value, row.get("terms") or {})
    # A price keeps every digit that was quoted; only what was worked out is rounded.
    if key in ("price", "limit_price", "quantity", "filled", "size"):
        return plain(Decimal(str(value)))
    return shown(value) if key == "reject_rate" else str(value).replace("_", " ") if key == "state" else str(value)


def _cost(total: Any, terms: dict[str, Any]) -> str:
    """Return what a venue costs in price units and what makes it up: costs are parts of a tick often."""
    parts = [f"{name} {plain(round(amount, COST_PLACES))}" for name, each in terms.items() if (amount := Decimal(each))]
    told = plain(round(Decimal(str(total)), COST_PLACES))
    return f"{told} ({', '.join(parts)})" if parts else told


def _name(check: dict[str, Any]) -> str:
    return f"{check['code']} {CONTROLS.get(check['code'], '')}".strip()


def _against(check: dict[str, Any]) -> str:
    value, limit = shown(check.get("value", "")), shown(check.get("limit", ""))
    return f"{value or '–'} / {limit}" if limit else value
