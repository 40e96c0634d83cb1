"""The back office around the records: its home of work queues, and the way to every screen by area of work."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from apps.dealing import selectors

# (area, ((title, "app.model", icon), ...)); a screen is listed for whoever may view its rows.
AREAS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "Trading",
        (
            ("Orders", "trading.order", "receipt_long"),
            ("Fills", "trading.fill", "done_all"),
            ("Positions", "trading.position", "stacked_line_chart"),
            ("Legs at venues", "trading.childorder", "call_split"),
            ("Signal strategies", "trading.strategy", "bolt"),
        ),
    ),
    (
        "Clients & accounts",
        (
            ("Clients", "accounts.client", "badge"),
            ("Accounts", "accounts.account", "account_balance_wallet"),
            ("Terms of accounts", "policies.accountpolicy", "edit_note"),
            ("Clearances", "policies.clearancepolicy", "verified_user"),
            ("Restricted lists", "policies.restrictedpolicy", "block"),
        ),
    ),
    (
        "Pricing & groups",
        (
            ("Groups", "accounts.group", "tune"),
            ("Changes of groups", "policies.grouppolicy", "edit_note"),
            ("Symbols", "instruments.instrument", "candlestick_chart"),
            ("Changes of symbols", "policies.instrumentpolicy", "edit_note"),
            ("Price profiles", "policies.priceprofilepolicy", "price_change"),
            ("Swap rates", "policies.swappolicy", "nights_stay"),
            ("Swap-free groups", "policies.swapfreepolicy", "mosque"),
            ("Trading calendars", "policies.calendarpolicy", "event"),
            ("Auction rules", "policies.auctionpolicy", "gavel"),
        ),
    ),
    (
        "Liquidity",
        (
            ("Liquidity providers", "liquidity.liquidityprovider", "hub"),
            ("Terms of LPs", "policies.venuepolicy", "edit_note"),
            ("Credentials", "liquidity.credential", "key"),
            ("Credential changes", "liquidity.credentialchange", "lock_reset"),
            ("Execution policy", "liquidity.executionpolicy", "balance"),
            ("Scorecards", "liquidity.venuescorecard", "speed"),
            ("Venues on trial", "liquidity.routequote", "science"),
            ("Venue orders", "liquidity.venueorder", "outbound"),
            ("Venue reports", "liquidity.venuereport", "inbox"),
        ),
    ),
    (
        "Risk",
        (
            ("Routing rules", "policies.routingrules", "alt_route"),
            ("Rule lab", "policies.labrun", "experiment"),
            ("Hedging", "policies.hedgingpolicy", "shield"),
            ("Margin and news", "policies.marginpolicy", "newspaper"),
            ("Group limits", "policies.limitspolicy", "speed"),
            ("Group limits as told", "risk.grouplimits", "data_check"),
            ("Option models", "policies.optionpolicy", "function"),
            ("Controls reviews", "risk.controlsreview", "verified"),
            ("Account margins", "risk.accountmargin", "percent"),
            ("Margin calls", "risk.margincall", "notification_important"),
            ("Losses told", "risk.depreciationnotice", "trending_down"),
            ("Risk warning", "risk.lossshare", "warning"),
        ),
    ),
    (
        "Treasury",
        (
            ("Deposits", "treasury.deposit", "savings"),
            ("Withdrawals", "treasury.withdrawal", "payments"),
            ("Journal", "treasury.journalentry", "menu_book"),
            ("Postings", "treasury.posting", "format_list_numbered"),
            ("Ledger accounts", "treasury.glaccount", "account_tree"),
            ("Breaks with LPs", "reports.break", "difference"),
            ("Statements", "reports.reconciliation", "fact_check"),
            ("Statement formats", "reports.statementformat", "table_view"),
        ),
    ),
    (
        "People & security",
        (
            ("Users", "users.user", "group"),
            ("Roles", "auth.group", "shield_person"),
            ("Authenticators", "otp_totp.totpdevice", "phonelink_lock"),
            ("Authenticators removed", "users.factorremoval", "phonelink_erase"),
            ("API tokens", "knox.authtoken", "key"),
            ("History", "admin.logentry", "history"),
        ),
    ),
    ("System", (("Commands to the engine", "outbox.outboxcommand", "outbox"),)),
)
DESK = {"title": "Dealing desk", "icon": "monitoring"}
REPORTS = {"title": "Desk reports", "icon": "bar_chart"}


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar of whoever asks: only what their role may see."""
    first = [{"title": "Work queues", "icon": "inbox_customize", "link": reverse("admin:index")}]
    if selectors.may_watch_desk(request.user):
        reports = reverse("dealing:report", args=("exposure", "html"))
        first[:0] = [{**DESK, "link": reverse("dealing:desk")}, {**REPORTS, "link": reports}]
    groups: list[dict[str, Any]] = [{"title": "", "items": first}]
    for area, screens in AREAS:
        items = [item for screen in screens if (item := _item(request, *screen))]
        if items:
            groups.append({"title": area, "separator": True, "items": items})
    return groups


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Give the first page the queues that the person's role works on."""
    tenant = request.tenant.schema_name  # type: ignore[attr-defined]
    queues = [
        {"title": queue.title, "count": queue.count, "tone": queue.tone, "note": queue.note, "link": _list(queue)}
        for queue in selectors.work_queues(tenant=tenant)
        if _may_view(request, queue.model)
    ]
    return {**context, "queues": queues, "title": "Work queues"}


def _item(request: HttpRequest, title: str, model: str, icon: str) -> dict[str, Any] | None:
    if not _may_view(request, model):
        return None
    try:
        link = reverse(f"admin:{model.replace('.', '_')}_changelist")
    except NoReverseMatch:
        # The app of that screen is not installed here.
        return None
    return {"title": title, "icon": icon, "link": link}


def _list(queue: selectors.Queue) -> str:
    return reverse(f"admin:{queue.model.replace('.', '_')}_changelist") + queue.query


def _may_view(request: HttpRequest, model: str) -> bool:
    app, name = model.split(".")
    user: Any = request.user
    return bool(user.has_perm(f"{app}.view_{name}") or user.has_perm(f"{app}.change_{name}"))
