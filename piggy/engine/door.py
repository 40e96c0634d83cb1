"""The door behind every entrance: who may signal, how often, and what becomes of a signal; then the loop decides."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from piggy.core.accounts import Strategy
from piggy.core.answers import STORAGE_FULL, Answer
from piggy.core.commands import ActOnTime, Envelope
from piggy.core.strategies import key_versions
from piggy.engine import signals
from piggy.engine.config import EngineConfig
from piggy.engine.handshakes import LONG_AGO_S, Handshakes, signed_part
from piggy.engine.http_messages import Request
from piggy.engine.loop import Item, Loop
from piggy.engine.proofs import Proofs, is_allowed, require_fresh, unauthorised
from piggy.engine.rates import Rates
from piggy.engine.refusals import Refusals
from piggy.engine.signals import Signal, UnableToAcceptSignal
from piggy.engine.storage import TEXT
from piggy.engine.term import Term
from piggy.engine.waiting import Waiting
from piggy.messaging.addresses import crowd_of
from piggy.messaging.identity import command_id_of

RETRY_S = 1
TOO_OFTEN = 429
NO_STRATEGY = "no strategy has this name"

# The real command is made from the desk when it is decided.
STAND_IN = ActOnTime()

Told = Callable[[Answer | None], None]
Proven = TypeVar("Proven")


class Pass(NamedTuple):
    """What a connection proved: which strategy of which tenant, with which version of its secret, from which address.

    Without an address it is let in only where the strategy names none.
    """

    tenant: str
    strategy_id: str
    key_version: int
    address: str = ""


class Door:
    """Lets proven signals through to the desks of the running term, within every limit."""

    def __init__(self, *, term: Term, config: EngineConfig) -> None:
        self._term = term
        self._waiting_max = config.signals_waiting_max
        self.waiting = Waiting()
        self.refusals = Refusals()
        self._proofs = Proofs(key=config.signal_key)
        self._handshakes = Handshakes()
        self._failures = Rates(per_s_max=config.address_failures_per_s_max)
        self._tenants = Rates(per_s_max=config.tenant_signals_per_s_max)
        self._strategies = Rates(per_s_max=config.strategy_signals_per_s_max)

    def tenant_of(self, *, host: str) -> str:
        """Return the tenant whose domain a Host header names. Raises UnableToAcceptSignal 404.

        503 where another engine has it: who was sent here before it was moved is not told that it is gone.
        """
        name, _, port = host.lower().partition(":")
        status, name = self._term.status, name.removesuffix(".")
        tenant = status.domains.get(name)
        if tenant is None and name in status.elsewhere:
            raise UnableToAcceptSignal(
                503, "MOVED", "Another door has this address now; try again with the same id.", retry_after_s=RETRY_S
            )
        if tenant is None or (port and not port.isdigit()):
            raise UnableToAcceptSignal(404, "NOT_FOUND", "No such address.")
        return tenant

    def signal(self, *, request: Request, tenant: str, strategy_id: str, mac: str, told: Told) -> None:
        """Take one signal over HTTP; `told` hears the answer after its commit. Raises UnableToAcceptSignal."""
        strategy = self._strategy(tenant, strategy_id)
        self._unguessed(request, lambda: self._prove(request, tenant, strategy, mac))
        assert strategy is not None, "nobody proves to be a strategy that there is not"
        try:
            self.admit(tenant=tenant, strategy=strategy)
            signal = signals.parse(body=request.body)
            if mac:
                require_fresh(signal=signal, now_s=int(time.time()))
            self.take(
                tenant=tenant,
                strategy=strategy,
                signal=signal,
                request_hash=signals.request_hash(signal=signal, body=request.body, signed=not mac),
                request_id=request.headers.get("x-request-id", ""),
                told=told,
            )
        except UnableToAcceptSignal as error:
            error.proven = True
            raise

    def refused(self, *, passed: Pass, error: UnableToAcceptSignal, body: bytes) -> None:
        """Remember for the strategy's desk that nothing came of a request, and why; of `passed` a name is enough."""
        tenant, strategy_id, loop = passed.tenant, passed.strategy_id, self._term.loop
        desk = loop.desks.get(tenant) if loop else None
        known = desk is not None and strategy_id in desk.state.strategies
        is_named = error.proven and error.status != TOO_OFTEN and len(body) <= signals.NAMED_BYTES_MAX
        self.refusals.note(
            tenant=tenant,
            strategy_id=strategy_id,
            known=known,
            error=error,
            address=passed.address,
            signal_id=signals.id_of(body=body) if is_named else "",
        )

    def enter(self, *, request: Request, tenant: str, strategy_id: str) -> Pass:
        """Prove a connection, signed over its nonce, for all that comes over it. Raises UnableToAcceptSignal."""
        strategy = self._strategy(tenant, strategy_id)
        version = self._unguessed(request, lambda: self._prove_handshake(request, tenant, strategy))
        if self.is_suspended(tenant=tenant):
            raise UnableToAcceptSignal(403, "SUSPENDED", "The broker is suspended; a signal may still come by POST.")
        return Pass(tenant, strategy_id, version, request.address)

    def use_up(self, *, request: Request, passed: Pass) -> None:
        """Let what proved a connection open no other one. Raises UnableToAcceptSignal."""
        self._handshakes.spend(
            name=(passed.tenant, passed.strategy_id),
            signature=request.headers["x-piggy-signature"],
            signed_at_s=int(request.headers["x-piggy-timestamp"]),
            taken_at_s=self._term.status.taken_at_s.get(passed.tenant, LONG_AGO_S),
        )

    def is_suspended(self, *, tenant: str) -> bool:
        """Whether the platform has suspended the tenant: single signals may then close, as its desk decides (F-33)."""
        return tenant in self._term.status.suspended

    def still_valid(self, *, passed: Pass) -> Strategy:
        """Return the strategy behind a connection as it is now.

        Raises UnableToAcceptSignal 401 after its secret was rotated, or its addresses narrowed to leave this one out.
        """
        strategy, now_us = self._strategy(passed.tenant, passed.strategy_id), time.time_ns() // 1_000
        if strategy is None or passed.key_version not in key_versions(strategy=strategy, now_us=now_us):
            raise unauthorised()
        if not is_allowed(address=passed.address, sources=strategy.sources):
            raise unauthorised()
        return strategy

    def admit(self, *, tenant: str, strategy: Strategy) -> None:
        """Count a signal before it is read: to read what is none costs as much, and others wait for it.

        Raises UnableToAcceptSignal 429 past a rate, 503 where too much waits (INV-26).
        """
        now_ns, strategy_id = time.monotonic_ns(), strategy.strategy_id
        if self._loop(tenant).is_full(tenant=tenant, places=self._waiting_max):
            raise UnableToAcceptSignal(
                503, "OVERLOADED", "Too much waits; try again with the same id.", retry_after_s=RETRY_S
            )
        if not self._strategies.take(name=f"{tenant}/{strategy_id}", now_ns=now_ns):
            raise _too_many("The strategy signals too often.")
        if not self._tenants.take(name=tenant, now_ns=now_ns):
            raise _too_many("The desk is signalled too often.")

    def take(
        self, *, tenant: str, strategy: Strategy, signal: Signal, request_hash: str, request_id: str, told: Told
    ) -> None:
        """Queue a signal that was proven and admitted."""
        loop, strategy_id = self._loop(tenant), strategy.strategy_id
        envelope = Envelope(
            command_id=command_id_of("tv", tenant, strategy_id, signal.id),
            command=STAND_IN,
            principal=f"strategy:{strategy_id}",
            request_hash=request_hash,
            request_id=request_id,
        )
        item = Item(tenant, envelope, told, signals.command_maker(signal=signal, strategy_id=strategy_id))
        if strategy.wait_ms_max and not self._is_due(item, strategy, signal):
            self.waiting.hold(
                tenant=tenant,
                wait_ms=strategy.wait_ms_max,
                is_due=lambda: self._is_due(item, strategy, signal),
                go=lambda: self._go(item),
            )
        else:
            loop.submit(item=item)

    def _is_due(self, item: Item, strategy: Strategy, signal: Signal) -> bool:
        """Whether the position is the one that the signal expects; without a desk there is nothing to wait for."""
        loop = self._term.loop
        desk = loop.desks.get(item.tenant) if loop else None
        return desk is None or signals.is_expected(desk=desk, strategy=strategy, signal=signal)

    def _go(self, item: Item) -> None:
        loop = self._term.loop
        if loop is not None:
            loop.submit(item=item)
        elif item.respond is not None:
            item.respond(None)

    def _prove(self, request: Request, tenant: str, strategy: Strategy | None, mac: str) -> None:
        """Look at the proof; nothing is read of a body that has none."""
        if mac:
            self._prove_capability(request, tenant, strategy, mac)
        else:
            self._prove_signed(request, tenant, strategy)

    def _unguessed(self, request: Request, prove: Callable[[], Proven]) -> Proven:
        """Return what a proof gives, counting those from an address that fail; past the limit they hear that.

        One that holds counts for itself: a chart service sends everybody's alerts from the same few addresses, and does
        not send them again.
        """
        try:
            return prove()
        except UnableToAcceptSignal as error:
            now_ns, crowd = time.monotonic_ns(), crowd_of(address=request.address)
            if error.status == 401 and not self._failures.take(name=crowd, now_ns=now_ns):
                raise _too_many("Too many proofs from this address were not valid.") from error
            raise

    def _prove_handshake(self, request: Request, tenant: str, strategy: Strategy | None) -> int:
        part = signed_part(nonce=request.headers.get("x-piggy-nonce", ""))
        return self._prove_signed(request._replace(body=part), tenant, strategy)

    def _prove_signed(self, request: Request, tenant: str, strategy: Strategy | None) -> int:
        if strategy is None:
            raise unauthorised(why=NO_STRATEGY)
        return self._proofs.signed(
            headers=request.headers,
            body=request.body,
            strategy=strategy,
            tenant=tenant,
            address=request.address,
            now_s=int(time.time()),
        )

    def _prove_capability(self, request: Request, tenant: str, strategy: Strategy | None, mac: str) -> None:
        if strategy is None:
            raise unauthorised(why=NO_STRATEGY)
        self._proofs.capability(
            mac=mac, strategy=strategy, tenant=tenant, address=request.address, now_s=int(time.time())
        )

    def _strategy(self, tenant: str, strategy_id: str) -> Strategy | None:
        return self._loop(tenant).desks[tenant].state.strategies.get(strategy_id)

    def _loop(self, tenant: str) -> Loop:
        loop = self._term.loop
        if loop is None and self._term.status.storage.is_full:
            raise UnableToAcceptSignal(503, STORAGE_FULL, TEXT, retry_after_s=RETRY_S)
        if loop is None or tenant not in loop.desks:
            raise UnableToAcceptSignal(503, "ENGINE_RECOVERING", "Try again with the same id.", retry_after_s=RETRY_S)
        return loop


def _too_many(text: str) -> UnableToAcceptSignal:
    return UnableToAcceptSignal(429, "TOO_MANY", text, retry_after_s=RETRY_S)
