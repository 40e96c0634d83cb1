"""What QuickFIX calls: an exception there would end the process."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Protocol, TypeVar

import quickfix as fix


class Parks(Protocol):
    """Who keeps a message that could not be handled."""

    def park(self, *, text: str, error: BaseException) -> None: ...


S = TypeVar("S", bound=Parks)


def caught(callback: Callable[..., None]) -> Callable[..., None]:
    """Keep every exception but DoNotSend from QuickFIX, which would end the process; park the message instead."""

    @wraps(callback)
    def guarded(self: S, *args: fix.Message) -> None:
        try:
            callback(self, *args)
        except fix.DoNotSend:
            raise
        except BaseException as error:  # noqa: BLE001
            self.park(text=args[0].toString() if len(args) > 1 else "", error=error)

    return guarded
