"""Policies from draft to live, and the rule lab that tries a draft on a recorded day."""

from apps.policies.services.drafts import UnableToDecidePolicy, approve, check_draft, save_draft, sync_engine, withdraw
from apps.policies.services.lab import TASK as LAB_TASK
from apps.policies.services.lab import UnableToRunLab, as_csv, ask_run, cancel_run, check_run, replay, run_lab

__all__ = [
    "LAB_TASK",
    "UnableToDecidePolicy",
    "UnableToRunLab",
    "approve",
    "as_csv",
    "ask_run",
    "cancel_run",
    "check_draft",
    "check_run",
    "replay",
    "run_lab",
    "save_draft",
    "sync_engine",
    "withdraw",
]
