"""Shapes that every admin screen shares."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from piggy.core.money import plain


class ReadOnlyAdmin(ModelAdmin):
    """A screen over rows that only events write: look, search, sort, nothing else."""

    list_filter_sheet = False
    show_full_result_count = False
    actions = None

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False


class KeptAdmin(ModelAdmin):
    """A screen over settings: added and changed, never deleted, because orders name them."""

    list_filter_sheet = False
    actions = None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False


def number(field: str, *, label: str = "", digits: int | None = None, sortable: bool = True) -> Callable[[Any], str]:
    """Return an admin column that shows a decimal `field` without trailing zeros, rounded to `digits` if given."""

    @admin.display(description=label or field.replace("_", " "), ordering=field if sortable else None)
    def column(row: Any) -> str:
        value: Decimal | None = getattr(row, field)
        if value is None:
            return ""
        return plain(value if digits is None else round(value, digits))

    column.__name__ = f"{field}_shown"
    return column
