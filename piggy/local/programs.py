"""Which processes make the venue, in the order they start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from piggy.local.environment import ROOT
from piggy.local.supervisor import Program

CELERY = ("-m", "celery", "-A", "piggy.celery")
# Who asks ends before who works for them, and both before the engine and the LPs that they lean on.
ASKS, WORKS, CARRIES = 2, 1, 0
FIX = ("worker", "--fix", "-P", "threads", "-Q", "fix", "-n", "fix@%h")
WORKER = ("worker", "-Q", "default", "-c", "2", "-n", "default@%h")
BEAT = ("beat", "-S", "redbeat.RedBeatScheduler", "--pidfile=", "--loglevel=INFO")
QUIET = ("--without-gossip", "--without-mingle", "--loglevel=INFO")


def of(*, env: Mapping[str, str], python: Path) -> list[Program]:
    """Return the programs for this environment; the owner's address is in none of their environments."""
    flow = [] if env.get("FLOW") == "0" else [_program("flow", python, *_flow(), tier=ASKS)]
    return [
        _program("simulator", python, "-m", "piggy.simulator"),
        _program("engine", python, "-m", "piggy.engine"),
        _program("projector", python, "-m", "piggy.projector", tier=WORKS),
        _program("fix", python, *CELERY, *FIX, *QUIET, tier=WORKS),
        _program("worker", python, *CELERY, *WORKER, *QUIET, tier=WORKS),
        _program("beat", python, *CELERY, *BEAT, tier=ASKS),
        _program("web", python, *_web(env), tier=ASKS),
        *flow,
    ]


def _program(name: str, python: Path, *arguments: str, tier: int = CARRIES) -> Program:
    return Program(name=name, argv=(str(python), *arguments), tier=tier)


def _web(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the chosen ASGI server; both serve the same application."""
    port = env["PIGGY_WEB_PORT"]
    if env.get("PIGGY_ASGI") == "daphne":
        return ("-m", "daphne", "-b", "127.0.0.1", "-p", port, "piggy.asgi:application")
    # Packing every frame anew for every socket costs a desk of 50 more delay than the bytes saved are worth.
    options = ("--host", "127.0.0.1", "--port", port, "--lifespan", "off", "--ws-per-message-deflate", "false")
    return ("-m", "uvicorn", *options, "piggy.asgi:application")


def _flow() -> tuple[str, ...]:
    """Return how the demo's clients trade: a module of the simulator or a management command."""
    if (ROOT / "piggy" / "simulator" / "flow.py").exists():
        return ("-m", "piggy.simulator.flow")
    return ("manage.py", "flow")
