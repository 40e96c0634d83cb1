"""What QuickFIX calls: an exception there would end the process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import wraps
from typing import Protocol, TypeVar

import quickfix as fix

from piggy.core.market import VenueStatus

log = logging.getLogger(__name__)


class Listener(Protocol):
    """Who hears a session. Called on QuickFIX's thread; `on_report` returns only once the report is durable."""

    def on_state(self, *, status: VenueStatus) -> None: ...

    def on_report(self, *, text: str) -> None: ...

    def on_parked(self, *, text: str, error: str) -> None: ...


class Parks(Protocol):
    """Who keeps a message that could not be handled."""

    def park(self, *, text: str, error: BaseException) -> None: ...


S = TypeVar("S", bound=Parks)


def caught(callback: Callable[..., None]) -> Callable[..., None]:
    """Keep every exception but the two we mean from QuickFIX, which would end the process; park the message instead."""

    @wraps(callback)
    def guarded(self: S, *args: fix.Message) -> None:
        try:
            callback(self, *args)
        except (fix.DoNotSend, fix.RejectLogon):
            raise
        except BaseException as error:  # noqa: BLE001
            self.park(text=args[0].toString() if len(args) > 1 else "", error=error)

    return guarded


def later(seconds: float, work: Callable[[str], None], what: str) -> None:
    """Call `work` with `what` after so many seconds, on a thread of its own."""
    timer = threading.Timer(seconds, work, [what])
    timer.daemon = True
    timer.start()


def parked(*, listener: Listener, venue: str, text: str, error: BaseException) -> None:
    """Hand a message that could not be handled to who keeps it; fails only into the log."""
    try:
        log.error("callback failed, message parked", exc_info=error, extra={"venue": venue})
        if text:
            listener.on_parked(text=text, error=repr(error))
    except BaseException:
        log.exception("parking failed", extra={"venue": venue})
