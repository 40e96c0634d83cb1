"""A denial in a client's words: which field of the request a control is about, None for none, and its figures."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from apps.common.fields import to_eight
from piggy.core.money import plain

MICROSECONDS, MS = " us", 1_000

FIELDS = {
    "P-01": "symbol",
    "P-02": "account_id",
    "P-03": "symbol",
    "P-04": "symbol",
    "P-05": "symbol",
    "P-07": "quantity",
    "P-08": "quantity",
    "P-10": "limit_price",
    "P-11": "symbol",
    "P-12": "quantity",
    "P-13": "client_order_id",
    "P-14": "account_id",
    "P-15": "account_id",
    "P-16": "account_id",
    "P-17": "quantity",
    "P-18": "quantity",
    "P-19": "quantity",
    "P-20": "account_id",
    "P-21": "quantity",
    "P-22": "stp",
    "P-23": "quantity",
    "P-24": "account_id",
    "P-25": "account_id",
    "REDUCE_ONLY": "reduce_only",
    "GUARANTEED_STOP": "guaranteed_stop",
    "POSITION": "position_id",
    "POSITION_SIZE": "quantity",
    "CROSS": "symbol",
    "OCO": "oco_group",
}
# P-06 is many questions; its sentence says which was failed.
FIELDS_OF_FORM = {
    "stop price": "stop_price",
    "trailing stop": "trailing_distance",
    "trailing distance": "trailing_distance",
    "take profit": "take_profit",
    "stop loss": "stop_loss",
    "display quantity": "display_quantity",
    "minimum quantity": "minimum_quantity",
    "good till date": "expires_at",
    "all or none": "all_or_none",
    "post-only": "post_only",
    "price": "limit_price",
    "quantity": "quantity",
}


def field_of(*, code: str, text: str, has_limit_price: bool = True) -> str | None:
    """Return the field that the check `code`, failed with `text`, asks the client to change."""
    if "no live price" in text:
        return "symbol"
    if code == "P-06":
        return next((field for words, field in FIELDS_OF_FORM.items() if words in text), None)
    if code == "P-09":
        return "limit_price" if has_limit_price else "stop_price"
    return FIELDS.get(code)


def figure(*, text: str) -> str | None:
    """Return a check's value or limit as people read it: of at most eight decimals, times in ms; None for none."""
    try:
        if text.endswith(MICROSECONDS):
            return f"{plain(Decimal(text.removesuffix(MICROSECONDS)) / MS)} ms"
        return to_eight(Decimal(text))
    except InvalidOperation:
        return text or None
