"""Reject storms (F-17): a venue that refuses order after order is not asked again until a person says so."""

from __future__ import annotations

from collections.abc import Iterable

REJECTS_IN_A_ROW_MAX = 20
ANSWERS_MIN = 20
WINDOW_US = 30_000_000
NOT_SENT = "NOT_SENT"  # Our own refusal: the venue never heard of the order.


def storm(*, streak: int, answers: Iterable[tuple[int, bool]], now_us: int) -> str:
    """Return why a venue is in a reject storm, '' where it is not.

    `streak` counts its latest rejects in a row; `answers` are (UTC microseconds, was it a reject), this one included.
    """
    if streak >= REJECTS_IN_A_ROW_MAX:
        return f"reject storm: {streak} rejects in a row"
    lately = [rejected for at_us, rejected in answers if now_us - at_us <= WINDOW_US]
    rejects = sum(lately)
    if len(lately) >= ANSWERS_MIN and rejects * 2 > len(lately):
        return f"reject storm: {rejects} of {len(lately)} orders rejected within {WINDOW_US // 1_000_000} s"
    return ""
