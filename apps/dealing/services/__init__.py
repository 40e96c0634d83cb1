"""What a dealer may do. Every verb writes exactly one DeskAction, in the transaction that does it."""

from apps.dealing.services.acting import Outcome, UnableToAct, UnableToReachDesk, Wish
from apps.dealing.services.busts import bust_fill, bust_window, correct_fill
from apps.dealing.services.controls import (
    ROWS_MAX,
    ask_override,
    change_phase,
    flatten,
    grant_override,
    record_locates,
    record_volumes,
    release_throttle,
)
from apps.dealing.services.engine import (
    amend_order,
    cancel_order,
    cover,
    decide_hedge,
    place_order,
    score_account,
    set_trading_state,
)
from apps.dealing.services.layouts import save_layout
from apps.dealing.services.positions import close_all, set_exits
from apps.dealing.services.removing import LETTING_GO_S, remove
from apps.dealing.services.requests import claim_request, fill_request, pass_request, reject_request, requote_request
from apps.dealing.services.settling import ask_settlement, settle_doubt
from apps.dealing.services.suspending import lift_suspension, suspend
from apps.dealing.services.terms import (
    approve_change,
    change_limits,
    change_routing,
    end_change,
    revert_due,
    widen_spread,
)

__all__ = [
    "LETTING_GO_S",
    "ROWS_MAX",
    "Outcome",
    "UnableToAct",
    "UnableToReachDesk",
    "Wish",
    "amend_order",
    "approve_change",
    "ask_override",
    "ask_settlement",
    "bust_fill",
    "bust_window",
    "cancel_order",
    "change_limits",
    "change_phase",
    "change_routing",
    "claim_request",
    "close_all",
    "correct_fill",
    "cover",
    "decide_hedge",
    "end_change",
    "fill_request",
    "flatten",
    "grant_override",
    "lift_suspension",
    "pass_request",
    "place_order",
    "record_locates",
    "record_volumes",
    "reject_request",
    "release_throttle",
    "remove",
    "requote_request",
    "revert_due",
    "save_layout",
    "score_account",
    "set_exits",
    "set_trading_state",
    "settle_doubt",
    "suspend",
    "widen_spread",
]
