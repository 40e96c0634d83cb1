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
# Every session keeps three connections of its own, for what it sends, what it hears and what it notes: a pool for a web
# process' threads is too small from the sixth on, and the last to come waits for ever.
FIX_POOL = {"PIGGY_DATABASE_POOL_SIZE_MAX": "100"}
WORKER = ("worker", "-Q", "default", "-c", "2", "-n", "default@%h")
BEAT = ("beat", "-S", "redbeat.RedBeatScheduler", "--pidfile=", "--loglevel=INFO")
# As the desk's screens may say; of more, a server would put together up to 16 MB before anybody saw it.
SOCKET_BYTES_MAX = str(64 * 1024)
QUIET = ("--without-gossip", "--without-mingle", "--loglevel=INFO")


def of(*, env: Mapping[str, str], python: Path) -> list[Program]:
    """Return the programs for this environment; the owner's address is in none of their environments."""
    flow = [] if env.get("FLOW") == "0" else [_program("flow", python, *_flow(), tier=ASKS)]
    return [
        _program("simulator", python, "-m", "piggy.simulator"),
        *_engines(env, python),
        _program("projector", python, "-m", "piggy.projector", tier=WORKS),
        _program("fix", python, *CELERY, *FIX, *QUIET, tier=WORKS, env={**FIX_POOL, **_everywhere(env)}),
        _program("worker", python, *CELERY, *WORKER, *QUIET, tier=WORKS),
        _program("beat", python, *CELERY, *BEAT, tier=ASKS),
        _program("web", python, *_web(env), tier=ASKS),
        *flow,
    ]


def _program(
    name: str, python: Path, *arguments: str, tier: int = CARRIES, env: Mapping[str, str] | None = None
) -> Program:
    return Program(name=name, argv=(str(python), *arguments), tier=tier, env=env or {})


def _engines(env: Mapping[str, str], python: Path) -> list[Program]:
    """Return an engine for each of PIGGY_SHARDS, or the one of PIGGY_SHARD; each further door is one port higher."""
    made = [_program("engine", python, "-m", "piggy.engine")]
    for at, shard in enumerate(shards(env)[1:], 1):
        door = str(int(env["PIGGY_EDGE_PORT"]) + at)
        own = {"PIGGY_SHARD": shard, "PIGGY_EDGE_PORT": door}
        made.append(_program(f"engine-{shard}", python, "-m", "piggy.engine", env=own))
    return made


def _everywhere(env: Mapping[str, str]) -> dict[str, str]:
    return {"PIGGY_SHARD": "*"} if len(shards(env)) > 1 else {}


def shards(env: Mapping[str, str]) -> list[str]:
    """Return the shards that PIGGY_SHARDS names, none where it is not set."""
    return [shard for shard in env.get("PIGGY_SHARDS", "").split(",") if shard]


def _web(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the chosen ASGI server; both serve the same application."""
    port = env["PIGGY_WEB_PORT"]
    if env.get("PIGGY_ASGI") == "daphne":
        sizes = ("--websocket-max-message-size", SOCKET_BYTES_MAX, "--websocket-max-frame-size", SOCKET_BYTES_MAX)
        return ("-m", "daphne", "-b", "127.0.0.1", "-p", port, *sizes, "piggy.asgi:application")
    # Packing every frame anew for every socket costs a desk of 50 more delay than the bytes saved are worth.
    options = ("--host", "127.0.0.1", "--port", port, "--lifespan", "off", "--ws-per-message-deflate", "false")
    sockets = ("--ws", "piggy.messaging.uvicorn_sockets:FrameSockets", "--ws-max-size", SOCKET_BYTES_MAX)
    http = ("--http", "piggy.messaging.uvicorn_http:BoundedHttp")
    return ("-m", "uvicorn", *options, *http, *sockets, "piggy.asgi:application")


def _flow() -> tuple[str, ...]:
    """Return how the demo's clients trade: a module of the simulator or a management command."""
    if (ROOT / "piggy" / "simulator" / "flow.py").exists():
        return ("-m", "piggy.simulator.flow")
    return ("manage.py", "flow")
