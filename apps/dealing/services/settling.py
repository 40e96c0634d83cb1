"""A leg in doubt settled by hand: one person says how it ended, another who heard the same settles it."""

from __future__ import annotations

from decimal import Decimal

from django.db import connection

from apps.common.times import microseconds
from apps.dealing.models import DeskAction
from apps.dealing.services.acting import Outcome, UnableToAct, Wish, first_outcome, perform
from apps.dealing.services.controls import asked_by_another
from apps.dealing.services.engine import require_confirmation
from apps.liquidity import selectors as known
from apps.liquidity import services as liquidity
from apps.liquidity.services import Settlement
from apps.trading import selectors as trading

ASK = "ask-settlement"


def ask_settlement(
    *, wish: Wish, cl_ord_id: str, lots: Decimal, price: Decimal | None, fill_id: str, confirm: str
) -> Outcome:
    """Say what the venue dealt of a leg in doubt beyond what is known; 0 lots end it. Raises UnableToAct."""
    if done := first_outcome(wish=wish):
        return done
    _settlement(cl_ord_id, lots, price, fill_id)
    require_confirmation(given=confirm, expected=f"settle {cl_ord_id}")
    return perform(wish=wish, subject=f"leg:{cl_ord_id}")


def settle_doubt(*, wish: Wish, action_id: int, confirm: str) -> Outcome:
    """Settle a leg as another person said in the last minutes; the desk fills or ends it. Raises UnableToAct."""
    if done := first_outcome(wish=wish):
        return done
    asked = asked_by_another(wish=wish, kind=ASK, action_id=action_id)
    price = asked.body.get("price")
    settlement = _settlement(
        asked.body["cl_ord_id"],
        Decimal(asked.body["lots"]),
        Decimal(price) if price else None,
        asked.body.get("fill_id", ""),
    )
    require_confirmation(given=confirm, expected=f"settle {settlement.cl_ord_id}")

    def settle(action: DeskAction) -> None:
        _require_first(asked, action)
        liquidity.settle_by_hand(
            tenant=wish.tenant,
            settlement=settlement,
            mark=str(asked.pk),
            note=f"settled by hand by {asked.by} and {wish.by}: {asked.reason}",
            now_us=microseconds(wish.now),
        )

    return perform(wish=wish, subject=asked.subject, effect=settle)


def _require_first(asked: DeskAction, action: DeskAction) -> None:
    """Raise UnableToAct where the leg was settled since this was said: the tables may not show it yet."""
    with connection.cursor() as cursor:
        # Two who settle one leg at once, each as another person said, take turns.
        cursor.execute("select pg_advisory_xact_lock(hashtextextended(current_schema() || %s, 0))", [asked.subject])
    since = DeskAction.objects.filter(kind=action.kind, subject=asked.subject, pk__gt=asked.pk)
    if since.exclude(pk=action.pk).exists():
        text = "This leg was settled since this was said: look again."
        raise UnableToAct(text, code="SETTLED_SINCE", field="action_id")


def _settlement(cl_ord_id: str, lots: Decimal, price: Decimal | None, fill_id: str) -> Settlement:
    """Return what would be told. Raises UnableToAct where the leg is in no doubt, or could not have ended so."""
    leg = trading.leg_in_doubt(cl_ord_id=cl_ord_id)
    if leg is None:
        raise UnableToAct("This leg is not in doubt, or there is none.", code="NOT_IN_DOUBT", field="cl_ord_id")
    left = leg.quantity - leg.filled
    if lots > left:
        raise UnableToAct(f"At most {left} lots are open.", code="TOO_MANY_LOTS", field="lots")
    if lots and not price:
        raise UnableToAct("Say at what price the lots were dealt.", code="INCOMPLETE", field="price")
    if lots and not fill_id:
        raise UnableToAct("Give the venue's own id of the execution.", code="INCOMPLETE", field="fill_id")
    if known.fill_is_known(venue=leg.venue, fill_id=fill_id):
        raise UnableToAct("This execution is on record already.", code="FILL_KNOWN", field="fill_id")
    return Settlement(
        venue=leg.venue,
        cl_ord_id=cl_ord_id,
        symbol=leg.symbol,
        side=leg.side,
        quantity=leg.quantity,
        known=leg.filled,
        lots=lots,
        price=price if lots else None,
        fill_id=fill_id,
    )
