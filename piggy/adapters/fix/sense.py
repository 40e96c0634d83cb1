"""What an ExecutionReport must say, and may not say in one breath; one that makes no sense is a person's to read.

Only what an order would be settled by is looked at: what passes while it lives changes nothing whatever it says.
"""

from __future__ import annotations

from decimal import Decimal

from piggy.adapters.fix.config import Dialect, FillRule
from piggy.adapters.fix.messages import at_us, happened_at_us
from piggy.adapters.interface import UnableToReadReport

AHEAD_US_MAX = 1_000_000
DIGITS_MAX, CHARACTERS_MAX = 24, 40
FILLS, ENDING = frozenset("F12"), frozenset("348C")
# A fill of an order that is new, refused or not taken yet is none, and what is over was not taken just now; an order
# that ended is over, or only its cancel is pending still.
_NOT_OF_FILLS, _OF_ENDS = frozenset("08A"), frozenset("348BC")
_NOT_OF_ACKS, _PENDING = frozenset("2348BC"), frozenset("6E")
_CUMULATIVE = frozenset("34CI")
# ExecTransType of FIX 4.2: cancel, correct, status.
_BY_TRANSACTION = {"1": "H", "2": "G", "3": "I"}
_NAMES = {"37": "OrderID", "17": "ExecID", "39": "OrdStatus", "14": "CumQty"}


def meant(*, values: dict[str, str], dialect: Dialect) -> dict[str, str]:
    """Return a report with the ExecType that FIX 4.4 has for it.

    Bridges that grew up with FIX 4.2 say beside what became of the order whether that is new (20): a bust, a correction
    or the answer to a question counted as a new execution would deal its lots twice. By that standard ExecID 0 is of
    an answer.
    """
    exec_type = _BY_TRANSACTION.get(values.get("20", ""), "")
    answers = dialect.fill_rule is FillRule.EXEC_ID and values.get("17") == "0" and values.get("150") in FILLS
    if exec_type or answers:
        return values | {"150": exec_type or "I"}
    return values


def check(*, values: dict[str, str], dialect: Dialect) -> None:
    """Raises UnableToReadReport for a report without what tells it apart, or which contradicts itself.

    Raises KeyError, ValueError where it says no type or no time.
    """
    exec_type = values["150"]
    needed = ["39"]
    if exec_type != "I":  # Which is no execution; and an order that the LP does not know has no id there.
        needed += ["37"] if dialect.fill_rule is FillRule.ORDER_AND_CUMULATIVE else ["37", "17"]
    needed += ["14"] if exec_type in _CUMULATIVE else []
    if missing := [f"{_NAMES[tag]} ({tag})" for tag in needed if not values.get(tag)]:
        raise UnableToReadReport(f"150={exec_type[:8]} without {', '.join(missing)}")
    if _contradicts(exec_type, values["39"]):
        raise UnableToReadReport(f"150={exec_type} cannot be with 39={values['39'][:8]}")
    if exec_type in FILLS | ENDING and happened_at_us(values=values) > _sent_at_us(values) + AHEAD_US_MAX:
        raise UnableToReadReport(f"60={values['60'][:30]} is later than it was sent")


def size_of(text: str) -> Decimal:
    """Return a FIX number that is not below zero. Raises UnableToReadReport."""
    # Decimal also reads 1_000, digits of other scripts and what stands between blanks.
    if text.isascii() and "_" not in text and text == text.strip() and len(text) <= CHARACTERS_MAX:
        number = Decimal(text)
        if number.is_finite() and number >= 0 and abs(number.adjusted()) <= DIGITS_MAX:
            return number
    raise UnableToReadReport(f"{text[:40]} is no price and no number of units.")


def _contradicts(exec_type: str, status: str) -> bool:
    if exec_type in FILLS:
        return status in _NOT_OF_FILLS
    if exec_type in ENDING:
        return status not in _OF_ENDS and not (exec_type == "4" and status in _PENDING)
    return exec_type == "0" and status in _NOT_OF_ACKS


def _sent_at_us(values: dict[str, str]) -> int:
    return at_us((values.get("43") == "Y" and values.get("122")) or values["52"])
