"""Work that waits for somebody, for the back office's first page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import redis
from django.utils import timezone

from apps.dealing.selectors.seats import panel_snapshot
from apps.liquidity import selectors as liquidity
from apps.outbox import selectors as outbox
from apps.policies import selectors as policies
from apps.reports import selectors as reports
from apps.risk import selectors as risk
from apps.trading import selectors as trading
from apps.treasury import selectors as treasury

UNHEARD_AFTER_S = 30
VENUE_READY = "ready"


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
        *_owed_to_clients(),
        *_for_a_second_person(),
        Queue(
            title="Breaks with LPs",
            count=reports.open_breaks().count(),
            model="reports.break",
            note="a statement and our log differ, and nobody has said why",
            query="?state__exact=open",
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


def _for_a_second_person() -> list[Queue]:
    """Return what one person wrote down and another has to decide."""
    waiting = "?state__exact=requested"
    return [
        Queue(
            title="Deposits for a second person",
            count=treasury.waiting_deposits().count(),
            model="treasury.deposit",
            note="entered, and not yet approved or rejected",
            query=waiting,
        ),
        Queue(
            title="Withdrawals for a second person",
            count=treasury.waiting_withdrawals().count(),
            model="treasury.withdrawal",
            note="asked for, and not yet approved or rejected",
            query=waiting,
        ),
        *(
            Queue(
                title=f"Drafts of {titles}",
                count=count,
                model=model,
                note="written, and not live before another person approves",
                query="?state__exact=draft",
            )
            for titles, model, count in policies.waiting_drafts()
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


def _owed_to_clients() -> list[Queue]:
    """Return what clients have to be told."""
    return [
        Queue(
            title="Losses to tell clients of",
            count=risk.untold_notices().count(),
            model="risk.depreciationnotice",
            note="noted and not yet fetched; due by the end of the business day",
            query="?told_at__isempty=1",
        ),
        Queue(
            title="Risk warning without a figure",
            count=int(risk.warning_is_due()),
            model="risk.lossshare",
            note="the share of losing accounts is not measured, or too old to be said",
            is_urgent=True,
        ),
    ]
