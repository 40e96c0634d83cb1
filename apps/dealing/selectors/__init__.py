"""Who may sit at the desk and do what, what its panels hold now, and what was done there."""

from apps.dealing.selectors.books import books
from apps.dealing.selectors.counterfactual import counterfactuals
from apps.dealing.selectors.doubts import what_the_venue_said
from apps.dealing.selectors.exposures import exposure_by
from apps.dealing.selectors.fills import Window, deals, digest_of, fills_in, fills_of, preview
from apps.dealing.selectors.journal import actions_done, changes, order_file
from apps.dealing.selectors.queues import Queue, venues_down, work_queues
from apps.dealing.selectors.reports import BEST_EXECUTION, report
from apps.dealing.selectors.reports import TITLES as REPORTS
from apps.dealing.selectors.scorecards import scorecards
from apps.dealing.selectors.seats import (
    CHANGEABLE,
    PANELS,
    RIGHTS,
    actions_of,
    layout_of,
    may_act,
    may_watch_desk,
    panel_snapshot,
    seat_of_session,
    seated_sessions,
)

__all__ = [
    "BEST_EXECUTION",
    "CHANGEABLE",
    "PANELS",
    "REPORTS",
    "RIGHTS",
    "Queue",
    "Window",
    "actions_done",
    "actions_of",
    "books",
    "changes",
    "counterfactuals",
    "deals",
    "digest_of",
    "exposure_by",
    "fills_in",
    "fills_of",
    "layout_of",
    "may_act",
    "may_watch_desk",
    "order_file",
    "panel_snapshot",
    "preview",
    "report",
    "scorecards",
    "seat_of_session",
    "seated_sessions",
    "venues_down",
    "what_the_venue_said",
    "work_queues",
]
