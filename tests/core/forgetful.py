"""A trading floor whose desk lets go of what ended, and brings it back out of the log as the engine does."""

from __future__ import annotations

from typing import Any

from piggy.core import commands as cmd
from piggy.core import leaving, leaving_folding
from piggy.core.events import AnyEvent, Recorded
from piggy.core.leaving import Keeping, left_as, seqs_of
from piggy.core.leaving_events import OrdersLetGo
from piggy.engine import leaving as names_of_leaving
from tests.core.floor import SECOND_US, Floor

SHORT = Keeping(ended_us=20 * SECOND_US, orders_max=1_000, round_max=3)
LEAVING = (cmd.LetOrdersGo, cmd.LetOrderGo, cmd.BringOrderBack)


def small_blocks(monkeypatch: Any) -> None:
    """Let blocks be of four orders."""
    for module in (leaving, leaving_folding, names_of_leaving):
        monkeypatch.setattr(module, "BLOCK_ORDERS", 4)


class ForgetfulFloor(Floor):
    """What is due is let go after every command; `returns` counts what came back."""

    keeping = SHORT

    def __init__(self, **group: Any) -> None:
        self.returns = 0
        super().__init__(**group)
        self.desk.keeping = self.keeping

    def do(self, command: cmd.AnyCommand, *, command_id: str = "", request_hash: str = "") -> list[AnyEvent]:
        if isinstance(command, LEAVING):
            command_id = names_of_leaving.command_id(tenant="acorn", command=command)
            return super().do(command, command_id=command_id)
        for name in self.desk.missed(command=command):
            self.bring_back(name)
        events = super().do(command, command_id=command_id, request_hash=request_hash)
        self.let_go()
        return events

    def let_go(self) -> None:
        """Do what is due of letting go."""
        for command in leaving.due(state=self.desk.state, now_us=self.now_us, keeping=self.desk.keeping):
            super().do(command, command_id=names_of_leaving.command_id(tenant="acorn", command=command))

    def bring_back(self, name: str) -> None:
        """Find an order that left by the names that its leaving has in the log, and take it back."""
        self.returns += 1
        super().do(cmd.BringOrderBack(order_id=name, body=left_as(**self.left(name))))

    def left(self, name: str) -> dict[str, Any]:
        """Return the order's own events, as the engine reads them."""
        ids = names_of_leaving.command_ids(tenant="acorn", order_id=name)
        trails = [
            gone.trail
            for each in self.log
            if each.command_id in ids and isinstance(each.event, OrdersLetGo)
            for gone in each.event.orders
            if gone.order_id == name
        ]
        recorded: list[Recorded] = [self.log[seq - 1] for seq in seqs_of(trail=trails[-1])]
        return {"recorded": recorded, "order_id": name, "state": self.desk.state}
