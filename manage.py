#!/usr/bin/env python
"""The door for operators: `up`, `down`, `status`, `doctor`, and every Django command."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

LOCAL_COMMANDS = {"up", "down", "status", "doctor"}


def go_on_in_the_environment() -> None:
    """Become the Python of .venv, which `make` made, where this one has nothing of what is installed there.

    What README and the venue tell to type begins with `python`, and nobody needs to know which one that must be.
    """
    if importlib.util.find_spec("django") is not None:
        return
    python = Path(__file__).resolve().parent / ".venv" / "bin" / "python"
    if not python.exists() or Path(sys.prefix) == python.parents[1]:
        raise SystemExit("manage.py: nothing is installed yet, or not all of it: `make run` sets everything up.")
    os.execv(python, [str(python), *sys.argv])


def main() -> None:
    """Run one command."""
    go_on_in_the_environment()
    if len(sys.argv) > 1 and sys.argv[1] in LOCAL_COMMANDS:
        # These come before any setting: they make what the settings need.
        from piggy.local import commands

        raise SystemExit(commands.run(name=sys.argv[1], arguments=sys.argv[2:]))
    from piggy.local import environment

    environment.recall()
    if sys.argv[1:2] in (["bench"], ["certify"], ["sim"], ["collectstatic"]):
        # These bring their own servers, or need none, so they run before the first `up` too, and in an image.
        environment.imagine()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"piggy.settings.{os.environ.get('PIGGY_ENV', 'dev')}")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # Mostly PIGGY_HOME forgotten, or no `up` yet: where it came from says less than what is missing.
        sys.stderr.write(f"manage.py: {error} Is PIGGY_HOME the folder of what `manage.py up` started?\n")
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
