"""Who gives way on a busy machine gives way in truth: niceness alone says nothing across sessions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from piggy.engine import priority

ENABLED = Path("/proc/sys/kernel/sched_autogroup_enabled")
SAY = """
import os
from piggy.engine.priority import AUTOGROUP, give_way
give_way(nice=5)
print(os.nice(0), AUTOGROUP.read_text().split()[-1])
"""


def _said(*, new_session: bool) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SAY], start_new_session=new_session, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.fixture(autouse=True)
def needs_autogroups() -> None:
    if not (priority.AUTOGROUP.exists() and ENABLED.exists() and ENABLED.read_text().strip() == "1"):
        pytest.skip("this kernel does not share processors out by session")


def test_who_leads_a_session_lets_all_of_it_yield() -> None:
    assert _said(new_session=True) == [str(min(19, os.nice(0) + 5)), "5"]


def test_who_was_started_within_a_session_slows_down_nobody_else() -> None:
    before = priority.AUTOGROUP.read_text().split()[-1]

    assert _said(new_session=False) == [str(min(19, os.nice(0) + 5)), before]
    assert priority.AUTOGROUP.read_text().split()[-1] == before
