"""What cannot be used is said in people's words, with the field, what to write there, and what stood there."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from apps.policies import services
from apps.policies.models import Kind, Policy
from tests.apps.policies.test_policies import BODIES, OWNERS, broker

__all__ = ["broker"]
RULE = {"name": "a", "priority": 1, "book_mode": "A"}
SAID: tuple[tuple[Kind, dict[str, Any], str], ...] = (
    (Kind.LIMITS, {"order_volume_max_lots": "abc"}, "order_volume_max_lots: write a number, as 12.5, not “abc”."),
    (Kind.LIMITS, {"order_volume_max_lots": "-5"}, "order_volume_max_lots: -5 is no limit; write 0 or more"),
    (Kind.LIMITS, {"order_volume_max_lots": "1e400000000"}, "order_volume_max_lots: a number of at most 28 digits."),
    (Kind.LIMITS, {"window_s": "1.5"}, "window_s: write a whole number, not “1.5”."),
    (Kind.LIMITS, {"window_s": "900"}, "window_s: from 1 to 60 seconds"),
    (Kind.LIMITS, {"close_on_stale_price": "maybe"}, "close_on_stale_price: write yes or no, not “maybe”."),
    (Kind.LIMITS, {"collar_percent": {"gold": "x"}}, "collar_percent.gold: write a number, as 12.5, not “x”."),
    (Kind.LIMITS, {"alert_percents": ["50", "x"]}, "alert_percents[1]: write a number, as 12.5, not “x”."),
    (Kind.LIMITS, {"position_net_max_lots": "9" * 30}, "position_net_max_lots: "),
    (Kind.HEDGING, {"venue_lots_max": {"LP1": "x"}}, "venue_lots_max.LP1: write a number, as 12.5, not “x”."),
    (Kind.ROUTING, {"rules": [RULE | {"book_mode": "Z"}]}, "rules[0].book_mode: write one of A, B, MIXED, not “Z”."),
    (Kind.ROUTING, {"rules": [{"name": "a", "priority": 1}]}, "rules[0].book_mode: this has to be written."),
    (Kind.ROUTING, {"rules": [RULE | {"priority": "first"}]}, "rules[0].priority: write a whole number, not “first”."),
    (Kind.ROUTING, {"rules": 3}, "rules: write a list, not “3”."),
    (Kind.CALENDAR, {"holidays": ["2026-13-01"]}, "holidays[0]: write a date, as 2026-12-25, not “2026-13-01”."),
    (Kind.CALENDAR, {"sessions": [{"opens": "noon", "closes": 9}]}, "sessions[0].opens: write a time, as Mon 22:00"),
    (Kind.AUCTIONS, {"dynamic_bps": 0}, "dynamic_bps: a corridor is above 0 and below"),
    (Kind.ACCOUNT, {"category": "friend"}, "category: write one of retail, "),
    (Kind.ACCOUNT, {"category_evidence": None}, "category_evidence: A client who is professional needs this."),
)


@pytest.mark.parametrize(("kind", "changes", "said"), SAID)
def test_a_bad_value_names_its_field_and_what_would_be_right(
    broker: None, kind: Kind, changes: dict[str, Any], said: str
) -> None:
    group, name, body, _ = BODIES[kind]
    policy = Policy(kind=kind, group=group, symbol=name, owner=OWNERS.get(kind, ""), body=body | changes)
    with pytest.raises(ValidationError) as refused:
        services.check_draft(policy=policy)
    ((field, (text, *_)),) = refused.value.message_dict.items()
    assert (field, text[: len(said)]) == ("body", said)
