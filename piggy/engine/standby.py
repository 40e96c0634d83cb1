"""A desk kept warm: who waits for the lease follows the log and the market, so that taking over reads only a tail.

It also serves who holds the lease: which tenants there are, their domains, and a desk for each.
"""

from __future__ import annotations

import logging
from typing import Any

import psycopg

from piggy.core.desk import Desk
from piggy.engine import recovery
from piggy.engine.config import EngineConfig
from piggy.engine.status import Status
from piggy.engine.witness import UnableToTrust, Witness
from piggy.messaging.chain import Tip
from piggy.messaging.witness import Acceptance, Seen

log = logging.getLogger(__name__)

TENANTS = """
SELECT schema_name, suspended_at IS NOT NULL, shard = %s AND is_active, xmin::text FROM public.tenants_tenant
 WHERE schema_name <> 'public'
"""
DOMAINS = """
SELECT domain.domain, tenant.schema_name, tenant.shard = %s FROM public.tenants_domain AS domain
  JOIN public.tenants_tenant AS tenant ON tenant.id = domain.tenant_id
 WHERE tenant.is_active AND tenant.schema_name <> 'public'
"""


class Warm:
    """Desks by tenant, each with where it stands in its log (`tips`); what cannot be read is `halted` in the status.

    Of those `untrusted` may be asked for again. What was lost of an `accepted` one its desk is told first of all.
    `changes` of a tenant is another text once anything of it was changed, such as its shard.
    """

    def __init__(self, *, config: EngineConfig, status: Status, witness: Witness) -> None:
        self.desks: dict[str, Desk] = {}
        self.accepted: dict[str, tuple[Acceptance, Seen]] = {}
        self.untrusted: set[str] = set()
        self.tips: dict[str, Tip] = {}
        self.changes: dict[str, str] = {}
        self._config = config
        self._status = status
        self._witness = witness

    async def tenants(self, *, connection: psycopg.AsyncConnection[Any]) -> set[str]:
        """Return the shard's tenants; note their domains and those of others, and which of them are suspended."""
        rows = await (await connection.execute(TENANTS, (self._config.shard,))).fetchall()
        domains = await (await connection.execute(DOMAINS, (self._config.shard,))).fetchall()
        self._status.domains = {domain: tenant for domain, tenant, is_ours in domains if is_ours}
        self._status.elsewhere = {domain for domain, _, is_ours in domains if not is_ours}
        self._status.suspended = {tenant for tenant, is_suspended, is_ours, _ in rows if is_ours and is_suspended}
        # Of one that was removed: another may have its name.
        self._witness.keep_only(tenants={row[0] for row in rows})
        self.changes = {tenant: change for tenant, _, is_ours, change in rows if is_ours}
        # Nor is one that comes back, or another of its name, halted for what was wrong when it left.
        for of_ours in (self._status.halted, self._status.progress, self._status.goals):
            for tenant in of_ours.keys() - self.changes.keys():
                del of_ours[tenant]
        self.untrusted &= self.changes.keys()
        return set(self.changes)

    async def follow(self, *, connection: psycopg.AsyncConnection[Any]) -> None:
        """Bring every desk of the shard to the end of its log."""
        tenants = await self.tenants(connection=connection)
        for tenant in self.desks.keys() - tenants:
            del self.desks[tenant], self.tips[tenant]
        for tenant in sorted(tenants):
            await self._bring_up(connection, tenant)

    def has_prices(self) -> bool:
        """Tell whether every desk that has venues has heard of one, as it does within a second."""
        return all(desk.statuses or not desk.state.venues for desk in self.desks.values())

    async def take(self, *, connection: psycopg.AsyncConnection[Any], tenant: str) -> tuple[Desk, Tip] | None:
        """Hand the tenant's desk over, at the end of its log; None where the log cannot be read or is not there yet.

        The witness is asked of a desk that was followed too: its log may have lost its end since, and would go on with
        a gap. Raises recovery.UnableToEnter: a desk that was refused a look at its log may not be at the end of it.
        """
        await self._bring_up(connection, tenant, asks=True)
        if tenant in self.desks:
            await recovery.last_seq(connection=connection, context_key=self._config.context_key, tenant=tenant)
        desk, tip = self.desks.pop(tenant, None), self.tips.pop(tenant, None)
        return None if desk is None or tip is None else (desk, tip)

    async def _bring_up(self, connection: psycopg.AsyncConnection[Any], tenant: str, *, asks: bool = False) -> None:
        place: dict[str, Any] = {
            "connection": connection,
            "context_key": self._config.context_key,
            "tenant": tenant,
            "progress": lambda seq: self._status.progress.update({tenant: seq}),
        }
        try:
            if asks or tenant not in self.desks:
                # First, for who is shown not one row would say that all of the log is lost.
                self._status.goals[tenant] = await recovery.last_seq(connection=connection, **_where(place))
                await self._ask_the_witness(connection, tenant)
            if tenant in self.desks:
                await recovery.catch_up(desk=self.desks[tenant], tip=self.tips[tenant], **place)
            else:
                self.desks[tenant], self.tips[tenant] = await recovery.recover(**place)
            self._status.halted.pop(tenant, None)
        except recovery.UnableToRead as error:
            if self._status.halted.get(tenant) != str(error):
                log.critical("tenant halted", extra={"tenant": tenant, "seq": error.seq, "error": str(error)})
            self._status.halted[tenant] = str(error)
            if isinstance(error, UnableToTrust):
                self.untrusted.add(tenant)
            self._forget(tenant)
        except psycopg.errors.UndefinedTable:
            log.info("tenant has no event log yet", extra={"tenant": tenant})
            self._forget(tenant)
        except BaseException:
            # A page may be folded in half: such a desk is worth nothing.
            self._forget(tenant)
            raise
        else:
            tip = self.tips[tenant]
            self._status.progress[tenant] = tip.seq
            # Of what was accepted nothing is said before its desk skips the numbers that are lost: it may yet crash.
            if tenant not in self.accepted:
                self._witness.saw(tenant=tenant, seq=tip.seq, digest=tip.hash, desk=self.desks[tenant])

    async def _ask_the_witness(self, connection: psycopg.AsyncConnection[Any], tenant: str) -> None:
        key = self._config.context_key
        accepted = await self._witness.accepted(connection=connection, context_key=key, tenant=tenant)
        self.untrusted.discard(tenant)
        if accepted is not None:
            self.accepted[tenant] = accepted
            # What was followed may hold what is lost.
            self._forget(tenant)

    def _forget(self, tenant: str) -> None:
        self.desks.pop(tenant, None)
        self.tips.pop(tenant, None)


def _where(place: dict[str, Any]) -> dict[str, Any]:
    return {name: place[name] for name in ("context_key", "tenant")}
