"""Handshakes of the fast door's WebSocket, each good for one socket: who overheard one opens nothing with it.

What was used is known here only, so what may have been used at another engine is not taken: a handshake must be signed
after this engine took the desk over, by a clock that is at most AHEAD_S_MAX ahead.
"""

from __future__ import annotations

import re
import time

from piggy.engine.proofs import WINDOW_S, unauthorised
from piggy.engine.signals import UnableToAcceptSignal

# A body of JSON is no such text: a signal that was overheard is not the proof of a handshake, nor this of a signal.
NONCE = re.compile(r"[A-Za-z0-9_-]{0,64}")
AHEAD_S_MAX = 5
# By the monotonic clock: as long as one could come again, and as long once more for a clock that is put back.
KEPT_S = 2 * WINDOW_S + AHEAD_S_MAX
KEPT_MAX = 1_000
LONG_AGO_S = (0, float("-inf"))


class Handshakes:
    """What opened sockets, strategy by strategy, for as long as it could come again."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], dict[str, float]] = {}

    def spend(self, *, name: tuple[str, str], signature: str, signed_at_s: int, taken_at_s: tuple[int, float]) -> None:
        """Use a handshake up that proved to be of strategy `name` (tenant and strategy).

        `taken_at_s` is when this engine took the desk over (Unix s, monotonic s). Raises UnableToAcceptSignal: 401
        signed by a clock that is ahead, 503 signed before this engine was sure to be asked, 409 used before, 429 too
        many of one.
        """
        if signed_at_s - int(time.time()) > AHEAD_S_MAX:
            raise unauthorised()
        now_s, (taken_utc_s, taken_mono_s) = time.monotonic(), taken_at_s
        # What was used before does not come again after KEPT_S; a clock that was ahead then would keep all out longer.
        if signed_at_s <= taken_utc_s + AHEAD_S_MAX and now_s - taken_mono_s < KEPT_S:
            text = "The desk was just taken over; sign a handshake anew in a moment."
            raise UnableToAcceptSignal(503, "HANDSHAKE_TOO_OLD", text, retry_after_s=AHEAD_S_MAX)
        used = {each: at_s for each, at_s in self._used.get(name, {}).items() if now_s - at_s < KEPT_S}
        if signature in used:
            text = "This handshake opened a socket already; sign another second, or another X-Piggy-Nonce."
            raise UnableToAcceptSignal(409, "HANDSHAKE_USED", text)
        if len(used) >= KEPT_MAX:
            text = "The strategy opened too many sockets in the last minutes."
            raise UnableToAcceptSignal(429, "TOO_MANY_SOCKETS", text, retry_after_s=1)
        self._used[name] = {**used, signature: now_s}


def signed_part(*, nonce: str) -> bytes:
    """Return what a handshake is signed over, in the place of a body. Raises UnableToAcceptSignal 401."""
    if not NONCE.fullmatch(nonce):
        raise unauthorised()
    return nonce.encode()
