"""Who may sit at the desk and do what, and what its panels hold now."""

from __future__ import annotations

from typing import Any

import msgspec
import redis
from django.conf import settings

from apps.common.sockets import people_of, person_of
from apps.dealing.models import DeskLayout
from apps.risk.selectors import CHANGEABLE as CHANGEABLE
from apps.tenants import selectors as tenants
from apps.users import selectors as users
from piggy.messaging import streams

WATCH = "dealing.watch_desk"
# Action of the desk: the right that it needs.
RIGHTS = {
    "set-trading-state": "dealing.stop_trading",
    "place-order": "dealing.deal_for_client",
    "cancel-order": "dealing.cancel_for_client",
    "claim-request": "dealing.answer_request",
    "fill-request": "dealing.answer_request",
    "requote-request": "dealing.answer_request",
    "pass-request": "dealing.answer_request",
    "reject-request": "dealing.answer_request",
    "cover": "dealing.deal_for_house",
    "approve-hedge": "dealing.decide_hedge",
    "reject-hedge": "dealing.decide_hedge",
    "change-routing": "dealing.change_terms",
    "widen-spread": "dealing.change_terms",
    "change-limits": "dealing.change_limits",
    "approve-change": "dealing.approve_change",
    "reject-change": "dealing.approve_change",
    "end-change": "dealing.change_terms",
    "bust-fill": "dealing.bust_fill",
    "correct-fill": "dealing.bust_fill",
    "bust-window": "dealing.bust_fill",
    "flatten": "dealing.flatten_clients",
    "change-phase": "dealing.run_market",
    "record-locates": "dealing.keep_records",
    "record-volumes": "dealing.keep_records",
    "ask-override": "dealing.ask_override",
    "grant-override": "dealing.grant_override",
    "ask-settlement": "dealing.settle_doubt",
    "settle-doubt": "dealing.settle_doubt",
    "release-throttle": "dealing.grant_override",
    "amend-order": "dealing.deal_for_client",
    "close-all": "dealing.deal_for_client",
    "set-exits": "dealing.deal_for_client",
    "score-account": "dealing.change_terms",
}

_redis = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2)


class PanelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A panel as the page lays it out: its stream, its title, the letter after `g`, and what is to be seen in it."""

    name: str
    title: str
    key: str
    hint: str


PANELS = (
    PanelInfo(name="exposure", title="Exposure by symbol", key="e", hint="lots · P&L in quote currency, sums in USD"),
    PanelInfo(name="quotes", title="Consolidated quotes", key="q", hint="Enter shows each LP"),
    PanelInfo(name="requests", title="Requests", key="r", hint="orders that wait for a dealer"),
    PanelInfo(name="orders", title="Order blotter", key="o", hint="Enter opens the order's file"),
    PanelInfo(name="deals", title="Deals", key="f", hint="every fill; Enter opens its order's file"),
    PanelInfo(name="chart", title="Chart", key="p", hint="since this page was opened"),
    PanelInfo(name="venues", title="LP health", key="l", hint=""),
    PanelInfo(name="scorecards", title="LP scorecards", key="n", hint="markouts in basis points after a fill"),
    PanelInfo(name="ladder", title="Ladder", key="d", hint="follows the chosen symbol"),
    PanelInfo(name="hedges", title="Hedging", key="h", hint="queued hedges wait for a dealer"),
    PanelInfo(name="coverage", title="Coverage accounts", key="v", hint="what the house holds at each LP"),
    PanelInfo(name="margin", title="Margin watch", key="m", hint="Enter shows what a stop-out would close"),
    PanelInfo(name="doubts", title="In doubt", key="u", hint="counted worst-case until settled"),
    PanelInfo(name="alerts", title="Alerts", key="a", hint=""),
    PanelInfo(name="spread", title="Exposure by currency, group, account", key="x", hint="currencies in their units"),
    PanelInfo(name="books", title="P&L by book", key="b", hint="today, in the accounts' currency"),
    PanelInfo(name="marks", title="Under A, B or MIXED", key="w", hint="today's flow at the live mid, in USD"),
    PanelInfo(name="states", title="Trading states", key="s", hint="whatever is not active"),
    PanelInfo(name="changes", title="Changes for a while", key="c", hint="put back by the clock"),
    PanelInfo(name="journal", title="Journal of actions", key="j", hint="append-only"),
)


def may_watch_desk(user: Any) -> bool:
    """Is `user` (request.user) verified staff who may watch the desk?"""
    return users.is_verified_staff(user) and user.has_perm(WATCH)


def may_act(user: Any, kind: str) -> bool:
    """May `user` (request.user) do this kind of action?"""
    return may_watch_desk(user) and user.has_perm(RIGHTS[kind])


def actions_of(user: Any) -> list[str]:
    """Return the kinds of action that `user` may do."""
    return [kind for kind, right in RIGHTS.items() if user.has_perm(right)]


def layout_of(*, user: Any) -> dict[str, Any]:
    """Return what the page remembers for its dealer, empty at first."""
    found = DeskLayout.objects.filter(user_id=user.pk).first()
    return found.layout if found else {}


def seat_of_session(tenant: str, session_key: str) -> str | None:
    """Return the name of whoever that session may seat at `tenant`'s desk, or None. Runs in the tenant's schema."""
    user, is_verified = person_of(session_key)
    is_seated = is_verified and user.is_active and user.is_staff and user.has_perm(WATCH)
    return str(user) if is_seated else None


def seated_sessions(tenant: str, session_keys: set[str]) -> set[str]:
    """Return those sessions that may still watch; none once the broker is suspended. Runs in the tenant's schema."""
    if tenant not in tenants.active_schemas() or tenants.is_suspended(schema=tenant):
        return set()
    people, watchers = people_of(session_keys), users.staff_with(permission=WATCH)
    return {key for key, (user, is_verified) in people.items() if is_verified and user.pk in watchers}


def panel_snapshot(*, tenant: str, panel: str) -> bytes | None:
    """Return the latest snapshot frame (JSON) of a panel, or None where the engine has not spoken yet."""
    found = _redis.get(streams.desk_snapshot_key(tenant=tenant, panel=panel))
    assert found is None or isinstance(found, bytes), "a plain GET answers bytes"
    return found
