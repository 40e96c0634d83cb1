"""Who gives way on a busy machine gives way in truth: niceness alone says nothing across sessions."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# What a task of a session that has no group of its own reads there is empty: that of a machine's first process, say.
READ = """
import os, subprocess, sys
from piggy.engine.priority import AUTOGROUP, give_way

def group():
    return (AUTOGROUP.read_text().split() or ["none"])[-1] if AUTOGROUP.exists() else "none"
"""
LEADS = f"{READ}\ngive_way(nice=5)\nprint(os.nice(0), group())"
FOLLOWS = f"{READ}\ngive_way(nice=5)\nprint(os.nice(0))"
STARTS = f"{READ}\nprint(group(), flush=True)\nsubprocess.run([sys.executable, '-c', sys.argv[1]])\nprint(group())"


def _said(*program: str) -> list[str]:
    """Answer what a program says that leads a session of its own."""
    done = subprocess.run(
        [sys.executable, "-c", *program], start_new_session=True, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.fixture(autouse=True)
def needs_autogroups() -> None:
    if _said(f"{READ}\nprint(group())") != ["0"]:
        pytest.skip("this kernel does not share processors out by session")


def test_who_leads_a_session_lets_all_of_it_yield() -> None:
    assert _said(LEADS) == [str(min(19, os.nice(0) + 5)), "5"]


def test_who_was_started_within_a_session_slows_down_nobody_else() -> None:
    assert _said(STARTS, FOLLOWS) == ["0", str(min(19, os.nice(0) + 5)), "0"]
