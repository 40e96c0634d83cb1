"""Fills taken back or corrected: one, or all of a bad window after a look at what would move."""

from __future__ import annotations

from decimal import Decimal

from apps.dealing import selectors
from apps.dealing.services.acting import Outcome, UnableToAct, Wish, first_outcome, perform
from apps.dealing.services.engine import require_confirmation
from piggy.core.bust_commands import BustFills, CorrectFill, FillOnRecord
from piggy.core.busting import FILLS_MAX


def bust_fill(*, wish: Wish, seq: int, confirm: str) -> Outcome:
    """Take one fill back; where two clients met, the other's with it. Raises UnableToAct."""
    fills = _known(seq)
    require_confirmation(given=confirm, expected=f"bust {fills[0].fill_id}")
    return _bust(wish=wish, fills=fills, subject=f"order:{fills[0].order_id}")


def correct_fill(*, wish: Wish, seq: int, price: Decimal, confirm: str) -> Outcome:
    """Deal a fill anew at another price in its place. Raises UnableToAct."""
    fill = _known(seq)[0]
    require_confirmation(given=confirm, expected=f"correct {fill.fill_id} to {price}")
    command = CorrectFill(fill=fill, price=price, reason=wish.reason, by=wish.by)
    return perform(wish=wish, subject=f"order:{fill.order_id}", command=command)


def bust_window(*, wish: Wish, window: selectors.Window, digest: str, confirm: str) -> Outcome:
    """Take back every fill of a window, exactly those that were looked at (`digest`). Raises UnableToAct."""
    if done := first_outcome(wish=wish):
        return done
    fills = selectors.fills_in(window=window)
    if not fills:
        raise UnableToAct("No fill stands in this window.", code="NOTHING_TO_BUST", field="symbol")
    if len(fills) > FILLS_MAX:
        text = f"More than {FILLS_MAX} fills: take a smaller window."
        raise UnableToAct(text, code="TOO_MANY", field="until")
    if selectors.digest_of(fills=fills) != digest:
        raise UnableToAct("Other fills stand here now: look again.", code="PREVIEW_OVER", field="digest")
    require_confirmation(given=confirm, expected=f"bust {len(fills)} fills")
    return _bust(wish=wish, fills=fills, subject=f"symbol:{window.symbol}")


def _bust(*, wish: Wish, fills: list[FillOnRecord], subject: str) -> Outcome:
    batch = f"{wish.by}/{wish.key}"
    command = BustFills(fills=tuple(fills), reason=wish.reason, by=wish.by, batch=batch)
    return perform(wish=wish, subject=subject, command=command)


def _known(seq: int) -> list[FillOnRecord]:
    """Return the fill first, and after it the other client's where two met."""
    fills = sorted(selectors.fills_of(seqs=[seq]), key=lambda fill: fill.seq != seq)
    if not fills or fills[0].seq != seq:
        raise UnableToAct("There is no such fill.", code="FILL_UNKNOWN", field="seq")
    return fills
