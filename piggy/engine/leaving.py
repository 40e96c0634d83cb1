"""Names in the log of what lets orders go, so that where an order went is found without an index of its own."""

from __future__ import annotations

from piggy.core import commands as cmd
from piggy.core.commands import AnyCommand
from piggy.core.leaving_folding import BLOCK_ORDERS, TIMES_MAX
from piggy.messaging.identity import command_id_of


def command_id(*, tenant: str, command: AnyCommand) -> str:
    """Return the id under which orders are let go, '' for any other command."""
    if isinstance(command, cmd.LetOrdersGo):
        return _of_block(tenant, command.block)
    if isinstance(command, cmd.LetOrderGo):
        return command_id_of("let go", tenant, command.order_id, str(command.times))
    return ""


def command_ids(*, tenant: str, order_id: str) -> list[str]:
    """Return every id under which an order or hedge may have been let go."""
    alone = [command_id_of("let go", tenant, order_id, str(times)) for times in range(TIMES_MAX)]
    return alone if order_id[0] == "H" else [_of_block(tenant, (int(order_id[1:]) - 1) // BLOCK_ORDERS), *alone]


def _of_block(tenant: str, block: int) -> str:
    return command_id_of("let go", tenant, "block", str(block))
