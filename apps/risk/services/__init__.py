"""Change limits, certify the controls, and tell clients what protects them."""

from apps.risk.services.limits import (
    GroupLimits,
    UnableToChangeLimits,
    change_limits,
    check_change,
    check_limits,
    put_limits,
    revert_limits,
    save_limits,
    sign_review,
    sync_engine,
)
from apps.risk.services.protection import fetch_notices, measure_losses, note_depreciations, tell_otherwise

__all__ = [
    "GroupLimits",
    "UnableToChangeLimits",
    "change_limits",
    "check_change",
    "check_limits",
    "fetch_notices",
    "measure_losses",
    "note_depreciations",
    "put_limits",
    "revert_limits",
    "save_limits",
    "sign_review",
    "sync_engine",
    "tell_otherwise",
]
