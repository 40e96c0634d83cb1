"""python -m piggy.engine: one process that runs the desks of its shard. SIGTERM hands the lease back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys

import structlog
import uvloop

from piggy.engine import collector
from piggy.engine.clock import Clock
from piggy.engine.config import EngineConfig, UnableToReadConfig
from piggy.engine.edge import Edge
from piggy.engine.status import Status
from piggy.engine.term import Term, serve


def main() -> int:
    """Run until told to stop; returns the exit code."""
    _log_as_json()
    try:
        config = EngineConfig.from_env(os.environ)
    except UnableToReadConfig as error:
        sys.stderr.write(f"piggy.engine: {error}\n")
        return 2
    uvloop.run(run(config=config))
    return 0


async def run(*, config: EngineConfig) -> None:
    """Serve the shard and its fast door until SIGTERM or SIGINT."""
    term = Term(config=config, clock=Clock(), status=Status())
    edge = Edge(term=term, config=config)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    work = asyncio.create_task(_serve(config, term, edge))
    stop = asyncio.create_task(stopped.wait())
    await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    await term.drain()
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


async def _serve(config: EngineConfig, term: Term, edge: Edge) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(term=term))
        tasks.create_task(collector.keep_young())
        tasks.create_task(edge.serve(host=config.edge_host, port=config.edge_port))


def _log_as_json() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
