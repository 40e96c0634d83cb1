"""What-if: what an order would do to its account, found out without placing it."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.events import Verdict
from piggy.core.gatekeeping import admit, context_of
from piggy.core.moment import Moment
from piggy.core.orders import OrderTerms


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """What an order would do to its account, in the account's currency; None where a price or rate is missing."""

    required: Decimal | None
    free_before: Decimal | None
    free_after: Decimal | None
    verdict: Verdict


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
