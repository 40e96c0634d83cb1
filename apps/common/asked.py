"""What of a list a caller asks for, by parameters of its address.

One that is unknown or stands twice is refused: it would be answered with rows that nobody asked for.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.settings import api_settings

from apps.common.api import StrictInput
from apps.common.fields import ZonedTime
from apps.common.times import moment

# Whatever the list, these are its page's and the renderer's.
OTHERS = ("limit", "cursor", str(api_settings.URL_FORMAT_OVERRIDE))


@extend_schema_field({"type": "string", "format": "date-time"})
class Time(ZonedTime):
    """An RFC 3339 time with its zone, to hold against a column."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the moment."""
        try:
            return moment(super().to_internal_value(data))
        except OverflowError:
            self.fail("zone")


class Asked(StrictInput):
    """Which rows: all that is given must hold. `LOOKUPS` says of what in a row where it is not its namesake."""

    LOOKUPS: ClassVar[dict[str, str]] = {}

    def of(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return those of the rows that are asked for."""
        return rows.filter(**{self.LOOKUPS.get(name, name): value for name, value in self.validated_data.items()})


def wish(*, request: Request, by: type[StrictInput]) -> Any:
    """Return what the request asks for, valid. Raises ValidationError, which names the parameter."""
    given = {name: values for name, values in request.query_params.lists() if name not in OTHERS}
    if twice := sorted(name for name, values in given.items() if len(values) > 1):
        raise serializers.ValidationError({twice[0]: [ErrorDetail("This may be given once.", "given_twice")]})
    found = by(data={name: values[0] for name, values in given.items()})
    found.is_valid(raise_exception=True)
    return found


def asked(*, request: Request, by: type[Asked], rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of the rows that the request asks for. Raises ValidationError, which names the parameter."""
    found: QuerySet[Any] = wish(request=request, by=by).of(rows)
    return found
