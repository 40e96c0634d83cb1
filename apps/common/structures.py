"""What is kept as lists and names with values, for people: shown as words and tables, written as one line or as pairs.

JSON stays what goes in and out of the record; nobody has to read or write it.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

NOTHING = "–"
# Deeper than this nothing is kept; what is there all the same is shown as its text.
DEPTH_MAX = 4
PAIR_ROWS = 8
NUMBER = re.compile(r"-?\d{1,28}(\.\d+)?\Z", re.ASCII)
SHORT = re.compile(r"\b(kyc|lp|fix|fx|id|ip|url|utc|ms)\b")
KEPT_SMALL = {"ms": "ms"}


def structure(value: Any, *, depth: int = 0) -> SafeString | str:
    """Return a value as words: a list with commas, names with their values as a table, rows of names as columns."""
    if isinstance(value, Mapping) and value and depth < DEPTH_MAX:
        return _pairs(value, depth)
    if isinstance(value, Sequence) and not isinstance(value, str) and value and depth < DEPTH_MAX:
        is_table = all(isinstance(each, Mapping) and each for each in value)
        return _rows(value, depth) if is_table else _listed(value, depth)
    return _plain(value)


def worded(name: Any) -> str:
    """Return a name of a program as people write it: `kyc_state` as "KYC state"."""
    words = str(name).replace("_", " ").strip()
    return SHORT.sub(lambda found: KEPT_SMALL.get(found[0], found[0].upper()), words)


@cache
def structured(field: str, *, label: str) -> Any:
    """Return an admin column over the JSON `field`. The same one each time: a form knows its columns by identity."""

    @admin.display(description=label)
    def column(row: Any) -> SafeString | str:
        return structure(getattr(row, field))

    column.__name__ = f"{field}_structured"
    return column


def _plain(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, str | int | float | Decimal) else json.dumps(value, default=str)


def _listed(values: Sequence[Any], depth: int) -> SafeString:
    if any(isinstance(each, Mapping | list | tuple) for each in values):
        return format_html_join("", "<div>{}</div>", ((structure(each, depth=depth + 1),) for each in values))
    return format_html_join(", ", "{}", ((_plain(each),) for each in values))


def _pairs(pairs: Mapping[str, Any], depth: int) -> SafeString:
    rows = ((worded(name), _kind(value), structure(value, depth=depth + 1)) for name, value in pairs.items())
    body = format_html_join("", '<tr><th scope="row">{}</th><td class="{}">{}</td></tr>', rows)
    return format_html('<table class="decision pairs"><tbody>{}</tbody></table>', body)


def _rows(rows: Sequence[Mapping[str, Any]], depth: int) -> SafeString:
    names = list(dict.fromkeys(name for row in rows for name in row))
    kinds = {name: "figure" if all(_kind(row.get(name, 0)) for row in rows) else "" for name in names}
    head = format_html_join("", '<th scope="col" class="{}">{}</th>', ((kinds[name], worded(name)) for name in names))
    lines = (
        format_html_join(
            "", '<td class="{}">{}</td>', ((kinds[name], structure(row.get(name), depth=depth + 1)) for name in names)
        )
        for row in rows
    )
    body = format_html_join("", "<tr>{}</tr>", ((line,) for line in lines))
    return format_html(
        '<div class="scrolls"><table class="decision"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        head,
        body,
    )


def _kind(value: Any) -> str:
    """Return the class that aligns a figure; a truth is none."""
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return "figure" if is_number or (isinstance(value, str) and NUMBER.match(value)) else ""


class _WrittenField(forms.JSONField, ABC):
    """A JSON field that people write in words; JSON that is pasted is taken as well."""

    opening = ""

    def prepare_value(self, value: Any) -> Any:
        """Return what the input shows."""
        return value if isinstance(value, str) else self.worded(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what was typed, as it was typed."""
        return initial if self.disabled else data

    def to_python(self, value: Any) -> Any:
        """Return the value. Raises ValidationError where it cannot be read."""
        if not isinstance(value, str) or value.strip().startswith(self.opening):
            return super().to_python(value)
        return self.read(value)

    @abstractmethod
    def worded(self, value: Any) -> str:
        """Return the text of a value."""

    @abstractmethod
    def read(self, text: str) -> Any:
        """Return the value of a text that is no JSON."""


class WordsField(_WrittenField):
    """A list of texts with commas between them: `A1001, A1002`."""

    opening = "["
    widget = UnfoldAdminTextInputWidget

    def worded(self, value: Any) -> str:
        """Return the texts with commas, or JSON where commas would not tell them apart."""
        items = value or []
        is_plain = isinstance(items, list) and all(isinstance(each, str) and _is_bare(each, ",") for each in items)
        text = ", ".join(items) if is_plain else self.opening
        return json.dumps(items) if text.startswith(self.opening) else text

    def read(self, text: str) -> list[str]:
        """Return the texts between the commas. Raises ValidationError where there are commas and no text."""
        items = [each.strip() for each in text.replace("\n", ",").split(",") if each.strip()]
        if text.strip() and not items:
            # Of addresses and accounts none means any: nobody gives that by a slip.
            raise ValidationError("There is nothing between the commas; leave it empty for none.")
        return items


class PairsField(_WrittenField):
    """Texts by name, one a line: `price = Dealt Price`."""

    opening = "{"
    widget = UnfoldAdminTextareaWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widget.attrs |= {"rows": PAIR_ROWS, "spellcheck": "false"}

    def worded(self, value: Any) -> str:
        """Return a line for each name, or JSON where lines would not tell them apart."""
        pairs = value or {}
        texts = [each for pair in pairs.items() for each in pair] if isinstance(pairs, dict) else [None]
        lines = "\n".join(f"{name} = {text}" for name, text in pairs.items()) if isinstance(pairs, dict) else ""
        is_plain = all(isinstance(each, str) and _is_bare(each, "=") for each in texts)
        return lines if is_plain and not lines.startswith(self.opening) else json.dumps(pairs)

    def read(self, text: str) -> dict[str, str]:
        """Return the texts by name. Raises ValidationError for a line without a name."""
        pairs: dict[str, str] = {}
        for line in filter(str.strip, text.splitlines()):
            name, equals, said = (part.strip() for part in line.partition("="))
            if not name or not equals:
                raise ValidationError(f"Write name = text, one a line; this is none: {line.strip()}")
            if name in pairs:
                raise ValidationError(f"{name} is there twice.")
            pairs[name] = said
        return pairs


SHAPES: dict[type[Any], type[WordsField] | type[PairsField]] = {list: WordsField, dict: PairsField}


class WrittenStructures:
    """For a ModelAdmin or an inline: its fields that keep lists or pairs are written in words."""

    def formfield_for_dbfield(self, db_field: models.Field[Any, Any], request: Any, **kwargs: Any) -> Any:
        """Give a field that begins as a list or as pairs the input of its shape."""
        field = SHAPES.get(type(db_field.get_default())) if isinstance(db_field, models.JSONField) else None
        if field is not None:
            says = {WordsField: "Several: with commas.", PairsField: "One a line: name = text."}[field]
            told = f"{db_field.help_text} {says}".strip()
            kwargs |= {"form_class": field, "widget": field.widget, "help_text": told}
        return super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]


def _is_bare(text: str, between: str) -> bool:
    """Tell whether a text comes back as it is when it stands among others."""
    return text == text.strip() and bool(text) and between not in text and len(text.splitlines()) == 1
