"""What may stand in a body: money as text, times with a zone."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.common.times import microseconds
from piggy.core.money import plain

# Of what is shown and not booked: more than any currency or price has, and no sum here has more digits.
FINE, ENOUGH = Decimal("1E-8"), Context(prec=60)
NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,10})?\Z", re.ASCII)


def to_eight(number: Decimal) -> str:
    """Return the number to eight decimals, of which whole zeros are left out. Raises InvalidOperation."""
    # A quotient that came out a hair below nothing is nothing, not "-0".
    return plain(ENOUGH.add(ENOUGH.quantize(number, FINE), 0))


@extend_schema_field({"type": "string", "pattern": r"^-?[0-9]{1,18}(\.[0-9]{1,10})?$", "example": "0.10"})
class DecimalText(serializers.Field):
    """A decimal number in a string, as "0.10"; a JSON number is refused because it may have passed through a float."""

    default_error_messages = {
        "not_text": "Write this number as a string.",
        "not_number": "This is not a decimal number of at most 18 digits and 10 decimals.",
    }

    def to_internal_value(self, data: Any) -> Decimal:
        """Return the exact number."""
        if not isinstance(data, str):
            self.fail("not_text")
        if not NUMBER.match(data):
            self.fail("not_number")
        return Decimal(data)

    def to_representation(self, value: Decimal) -> str:
        """Return the shortest exact text."""
        return plain(value)


@extend_schema_field({"type": "string", "format": "date-time"})
class ZonedTime(serializers.Field):
    """An RFC 3339 time with its zone; integer UTC microseconds inside."""

    default_error_messages = {"zone": "Write an RFC 3339 time with a zone, as 2030-01-01T00:00:00Z."}

    def to_internal_value(self, data: Any) -> int:
        """Return UTC microseconds."""
        try:
            at = datetime.fromisoformat(data)
        except (TypeError, ValueError):
            self.fail("zone")
        if at.tzinfo is None:
            self.fail("zone")
        return microseconds(at)

    def to_representation(self, value: datetime) -> str:
        """Return RFC 3339 in UTC with microseconds."""
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
