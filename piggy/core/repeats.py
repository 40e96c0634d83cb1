"""Repeats: whether the same order came a moment ago (P-13), and when the same close is another one all the same."""

from __future__ import annotations

from piggy.core.accounts import PositionMode
from piggy.core.activity import Activity, fingerprint
from piggy.core.gate import GateContext
from piggy.core.positions import netted_id
from piggy.core.state import Order, State

_NETTING = PositionMode.NETTING


def repeated_at_us(*, context: GateContext, activity: Activity, replaces: Order | None, state: State) -> int | None:
    """Return when the same order last came (P-13); to close what was opened since is another order, however alike.

    A close that came twice must not turn the position round because another order opened a little in between: one that
    could is another order only once the position, less what is being closed, is back where it was when the first came.
    """
    terms = context.terms
    found = activity.latest.get(fingerprint(terms=terms))
    if found is None:
        return None
    at_us, seq, held_then = found
    if replaces is not None and seq == replaces.seq:
        return None  # It is the order itself.
    held = context.position_net if context.closable is None else context.closable
    netting = context.account.position_mode is _NETTING
    position_id = netted_id(account_id=terms.account_id, symbol=terms.symbol) if netting else terms.position_id or ""
    if held * terms.side.sign >= 0 or state.grown_at_seq.get(position_id, 0) <= seq:
        return at_us
    is_back = held * held_then > 0 and abs(held) - context.working_lots >= abs(held_then)
    return None if context.reduces or is_back else at_us
