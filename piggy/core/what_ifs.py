"""What-if: what an order would do to its account, found out without placing it."""

from __future__ import annotations

from piggy.core.answers import WhatIf
from piggy.core.commands import AskWhatIf
from piggy.core.events import AnyEvent
from piggy.core.gatekeeping import admit, context_of
from piggy.core.moment import Moment
from piggy.core.orders import OrderTerms


def what_if(*, terms: OrderTerms, moment: Moment) -> WhatIf:
    """Return what the order would bind, what it would leave free, and the gate's verdict; nothing is decided."""
    verdict = admit(order_id="", terms=terms, moment=moment).verdict
    account, instrument = moment.state.accounts.get(terms.account_id), moment.state.instruments.get(terms.symbol)
    if account is None or instrument is None or account.group not in moment.state.groups:
        return WhatIf(required=None, free_before=None, free_after=None, verdict=verdict)
    context = context_of(terms=terms, account=account, instrument=instrument, moment=moment, replaces=None)
    required, free = context.margin_required, context.margin_free
    after = None if required is None or free is None else free - required
    return WhatIf(required=required, free_before=free, free_after=after, verdict=verdict)


def ask(*, command: AskWhatIf, moment: Moment) -> list[AnyEvent]:
    """Decide nothing: the question is answered beside the log (`what_if`)."""
    return []
