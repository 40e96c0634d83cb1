"""Who may sit at the desk, and what its panels hold now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import redis
from django.conf import settings
from django.utils import timezone

from apps.common.sockets import person_of
from apps.dealing.models import DeskLayout
from apps.liquidity import selectors as liquidity
from apps.outbox import selectors as outbox
from apps.risk import selectors as risk
from apps.tenants import selectors as tenants
from apps.trading import selectors as trading
from apps.treasury import selectors as treasury
from apps.users import selectors as users
from piggy.messaging import streams

UNHEARD_AFTER_S = 30
VENUE_READY = "ready"
WATCH = "dealing.watch_desk"
# Action of the desk: the right that it needs.
RIGHTS = {
    "set-trading-state": "dealing.stop_trading",
    "place-order": "dealing.deal_for_client",
    "cancel-order": "dealing.cancel_for_client",
    "cover": "dealing.deal_for_house",
    "approve-hedge": "dealing.decide_hedge",
    "reject-hedge": "dealing.decide_hedge",
    "change-routing": "dealing.change_terms",
    "widen-spread": "dealing.change_terms",
    "change-limits": "dealing.change_limits",
    "approve-change": "dealing.approve_change",
    "reject-change": "dealing.approve_change",
    "end-change": "dealing.change_terms",
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
    PanelInfo(name="orders", title="Order blotter", key="o", hint="Enter shows the venues weighed"),
    PanelInfo(name="venues", title="LP health", key="l", hint=""),
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
    seated = {key for key in session_keys if seat_of_session(tenant, key)}
    return seated if tenant in tenants.active_schemas() else set()


def panel_snapshot(*, tenant: str, panel: str) -> bytes | None:
    """Return the latest snapshot frame (JSON) of a panel, or None where the engine has not spoken yet."""
    found = _redis.get(streams.desk_snapshot_key(tenant=tenant, panel=panel))
    assert found is None or isinstance(found, bytes), "a plain GET answers bytes"
    return found


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """Work that waits for a person: how much, and the list where it is done (`query` filters it)."""

    title: str
    count: int
    model: str
    note: str
    query: str = ""
    is_urgent: bool = False

    @property
    def tone(self) -> str:
        return "clear" if not self.count else "urgent" if self.is_urgent else "waiting"


def work_queues(*, tenant: str) -> list[Queue]:
    """Return what waits for somebody at the current broker, the most pressing kind first."""
    return [
        Queue(
            title="LPs down",
            count=len(down := venues_down(tenant=tenant)),
            model="liquidity.liquidityprovider",
            note=", ".join(down) or "every LP is logged on",
            is_urgent=True,
        ),
        Queue(
            title="Venue messages parked",
            count=liquidity.parked_count(),
            model="liquidity.venuereport",
            note="what an LP said and nobody could read",
            query="?kind__exact=parked",
            is_urgent=True,
        ),
        Queue(
            title="Orders in doubt",
            count=trading.doubtful_count(),
            model="trading.childorder",
            note="the venue has not said what became of them",
            query="?state__exact=in_doubt",
            is_urgent=True,
        ),
        Queue(
            title="Margin calls",
            count=risk.margin_called_count(),
            model="risk.accountmargin",
            note="accounts below their margin call now",
            query="?margin_called__exact=1",
        ),
        Queue(
            title="Deposits for a second person",
            count=treasury.waiting_deposits().count(),
            model="treasury.deposit",
            note="entered, and not yet approved or rejected",
            query="?state__exact=requested",
        ),
        Queue(
            title="Commands unheard",
            count=outbox.waiting_commands(told_before=timezone.now() - timedelta(seconds=UNHEARD_AFTER_S)).count(),
            model="outbox.outboxcommand",
            note=f"told to the engine over {UNHEARD_AFTER_S} s ago without an answer",
            query="?superseded__exact=0&heard_at__isempty=1",
            is_urgent=True,
        ),
    ]


def venues_down(*, tenant: str) -> list[str]:
    """Return the LPs that are not ready as the engine last saw them; all of ours where it has not spoken."""
    names = [provider.name for provider in liquidity.providers() if provider.enabled]
    try:
        found = panel_snapshot(tenant=tenant, panel="venues")
    except redis.RedisError:
        return names
    rows: dict[str, Any] = msgspec.json.decode(found)["rows"] if found else {}
    return [name for name in names if rows.get(name, {}).get("state") != VENUE_READY]
