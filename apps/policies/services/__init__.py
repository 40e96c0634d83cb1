"""Policies from draft to live, and the rule lab that tries a draft on a recorded day."""

from apps.policies.services.drafts import (
    UnableToDecidePolicy,
    approve,
    check_draft,
    hold,
    save_draft,
    sync_engine,
    withdraw,
)
from apps.policies.services.lab import HOURS_MAX as LAB_HOURS_MAX
from apps.policies.services.lab import TASK as LAB_TASK
from apps.policies.services.lab import UnableToRunLab, as_csv, ask_run, cancel_run, check_run, replay, run_lab
from apps.policies.services.tables import Brought, UnableToImport, as_table, bring

__all__ = [
    "LAB_HOURS_MAX",
    "LAB_TASK",
    "Brought",
    "UnableToDecidePolicy",
    "UnableToImport",
    "UnableToRunLab",
    "approve",
    "as_csv",
    "as_table",
    "ask_run",
    "bring",
    "cancel_run",
    "check_draft",
    "check_run",
    "hold",
    "replay",
    "run_lab",
    "save_draft",
    "sync_engine",
    "withdraw",
]
