"""Which processes make the venue, in the order they start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from piggy.local.environment import ROOT
from piggy.local.supervisor import Program

CELERY = ("-m", "celery", "-A", "piggy.celery")
QUIET = ("--without-gossip", "--without-mingle", "--loglevel=INFO")


def of(*, env: Mapping[str, str], python: Path) -> list[Program]:
    """Return the programs for this environment; the owner's address is in none of their environments."""
    flow = [] if env.get("FLOW") == "0" else [_program("flow", python, *_flow())]
    return [
        _program("simulator", python, "-m", "piggy.simulator"),
        _program("engine", python, "-m", "piggy.engine"),
        _program("projector", python, "-m", "piggy.projector"),
        _program("fix", python, *CELERY, "worker", "--fix", "-P", "threads", "-Q", "fix", "-n", "fix@%h", *QUIET),
        _program("worker", python, *CELERY, "worker", "-Q", "default", "-c", "2", "-n", "default@%h", *QUIET),
        _program("beat", python, *CELERY, "beat", "-S", "redbeat.RedBeatScheduler", "--pidfile=", "--loglevel=INFO"),
        _program("web", python, *_web(env)),
        *flow,
    ]


def _program(name: str, python: Path, *arguments: str) -> Program:
    return Program(name=name, argv=(str(python), *arguments))


def _web(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the chosen ASGI server; both serve the same application."""
    port = env["PIGGY_WEB_PORT"]
    if env.get("PIGGY_ASGI") == "daphne":
        return ("-m", "daphne", "-b", "127.0.0.1", "-p", port, "piggy.asgi:application")
    # Packing every frame anew for every socket costs a desk of 50 ten times the delay.
    options = ("--host", "127.0.0.1", "--port", port, "--lifespan", "off", "--ws-per-message-deflate", "false")
    return ("-m", "uvicorn", *options, "piggy.asgi:application")


def _flow() -> tuple[str, ...]:
    """Return how the demo's clients trade: a module of the simulator or a management command."""
    if (ROOT / "piggy" / "simulator" / "flow.py").exists():
        return ("-m", "piggy.simulator.flow")
    return ("manage.py", "flow")
