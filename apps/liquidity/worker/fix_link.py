"""A link over FIX: orders and questions leave as messages, reports come in the LP's own sequence."""

from __future__ import annotations

from apps.liquidity.models import VenueOrder
from apps.liquidity.worker.link import Link
from piggy.adapters.fix import outbound
from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.inbound import read_report
from piggy.adapters.fix.session import FixSession, wall_us
from piggy.adapters.interface import UnableToReadReport, UnableToSend
from piggy.core.events import ChildOrderCreated
from piggy.core.orders import Side
from piggy.messaging.codec import CancelChild


class FixLink(Link):
    """One FIX session with its orders."""

    def __init__(self, *, config: SessionConfig, redis_url: str) -> None:
        super().__init__(config=config, redis_url=redis_url)
        self.config = config
        self.session: FixSession = FixSession(config=config, listener=self)

    def on_report(self, *, text: str) -> None:
        """Read, keep and tell what the LP said; what cannot be read is parked."""
        try:
            report = read_report(text=text, config=self.config)
        except UnableToReadReport as error:
            self.on_parked(text=text, error=str(error))
            return
        self._keep_report(report, text)

    def _send(self, child: ChildOrderCreated) -> None:
        if not self.session.send(outbound.new_order(child=child, config=self.config, at_us=wall_us())):
            raise UnableToSend("the session is down")

    def _send_cancel(self, order: CancelChild, row: VenueOrder | None, attempt: int) -> bool:
        return self.session.send(
            outbound.cancel(
                cl_ord_id=order.cl_ord_id,
                symbol=order.symbol,
                side=order.side,
                quantity=order.quantity,
                config=self.config,
                at_us=wall_us(),
                attempt=attempt,
            )
        )

    def _ask_status(self, row: VenueOrder) -> None:
        if self.config.dialect.status_requests:
            self.session.send(
                outbound.status_request(
                    cl_ord_id=row.cl_ord_id, symbol=row.symbol, side=Side(row.side), config=self.config
                )
            )
