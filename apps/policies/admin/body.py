"""A policy's body as a form: typed inputs made of the core's own struct, with units; JSON stays for import.

Every input is named by its path, `body-rules-0-name`. What is left blank is left out, so that the struct's default
holds; the checks stay the core's, whose messages name the field.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

ROWS_SPARE, ROWS_MAX = 1, 200
# The row itself says these.
OF_THE_ROW = ("version", "symbol")
# What a name ends in says what it counts.
UNITS = {
    "_percent": "percent",
    "_bps": "basis points",
    "_bps_per_s": "basis points per second",
    "_lots": "lots",
    "lots_min": "lots",
    "lots_max": "lots",
    "_ms": "milliseconds",
    "_s": "seconds",
    "_points": "points",
    "_us": "UTC microseconds",
    "_minute": "minutes",
    "_turnover": "account currency a month",
    "_per_lot": "per lot",
    "weekdays": "0 Monday to 6 Sunday",
    "weekday": "0 Monday to 6 Sunday",
    "opens": "minutes since Monday 00:00",
    "closes": "minutes since Monday 00:00",
    "holidays": "local dates, as 2026-12-25",
    "timezone": "IANA name, as Europe/London",
    "zone": "IANA name, as Europe/London",
    "priority": "lower is asked first",
}
MANY = "several: with commas"
PAIRS = "pairs: LP1=10, LP2=5"

Data = Mapping[str, Any]


class BodyWidget(forms.Widget):
    """Inputs for every field of a struct; `data` under the field's own name is JSON and replaces them."""

    template_name = "policies/body.html"

    def __init__(self, *, struct: type[msgspec.Struct]) -> None:
        super().__init__()
        self.struct = struct

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Return the tree of inputs filled with `value`, a body or what was sent."""
        body = value if isinstance(value, dict) else _read(value)
        shown = msgspec.json.format(msgspec.json.encode(body)).decode()
        nodes = [node for node in nodes_of(struct=self.struct, body=body, path=name) if node["field"] not in OF_THE_ROW]
        return super().get_context(name, value, attrs) | {"nodes": nodes, "json": shown, "name": name}

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the inputs, out of the project's own templates."""
        return render_to_string(self.template_name, self.get_context(name, value, attrs))

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the JSON that was pasted, else what the inputs say, as a body."""
        pasted = data.get(name, "").strip()
        return pasted or gathered(struct=self.struct, data=data, path=name)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """A body may be empty."""
        return False

    def format_value(self, value: Any) -> Any:
        """Keep what is there; the template shows the tree."""
        return value


class BodyField(forms.Field):
    """A body: a JSON object, or what the inputs gave."""

    def __init__(self, *, struct: type[msgspec.Struct]) -> None:
        super().__init__(required=False, widget=BodyWidget(struct=struct), label="Terms")

    def to_python(self, value: Any) -> dict[str, Any]:
        """Return the body. Raises ValidationError where what was pasted is no JSON object."""
        if isinstance(value, dict):
            return value
        try:
            made = msgspec.json.decode(value or "{}")
        except msgspec.DecodeError as error:
            raise ValidationError(f"This is no JSON: {error}") from error
        if not isinstance(made, dict):
            raise ValidationError("Write an object: {…}.")
        return made

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare bodies, however they were written."""
        return bool(_read(initial) != _read(data))


def nodes_of(*, struct: type[msgspec.Struct], body: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    """Return an input, or a group of them, for each field of `struct`."""
    hints = typing.get_type_hints(struct)
    return [
        _node(field, _bare(hints[field.name]), body.get(field.name), f"{path}-{field.name}")
        for field in msgspec.structs.fields(struct)
    ]


def gathered(*, struct: type[msgspec.Struct], data: Data, path: str) -> dict[str, Any]:
    """Return what the inputs under `path` say; what is blank is left out."""
    body: dict[str, Any] = {}
    hints = typing.get_type_hints(struct)
    for field in msgspec.structs.fields(struct):
        if field.name in OF_THE_ROW and "-" not in path:
            continue
        value = _gathered(_bare(hints[field.name]), data, f"{path}-{field.name}")
        if value not in (None, "", [], {}):
            body[field.name] = value
    return body


def _gathered(kind: Any, data: Data, path: str) -> Any:
    if _is_struct(kind):
        return gathered(struct=kind, data=data, path=path) if _is_filled(data, path) else None
    if inner := _rows_of(kind):
        rows = [f"{path}-{number}" for number in range(ROWS_MAX) if _is_sent(data, f"{path}-{number}")]
        return [gathered(struct=inner, data=data, path=row) for row in rows if _is_filled(data, row)]
    text = str(data.get(path, "")).strip()
    if kind is bool:
        return text == "true" if text else None
    if kind_of_list := _list_of(kind):
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return [_number(part) for part in parts] if kind_of_list is int else parts
    if _is_pairs(kind):
        return dict(part.split("=", 1) for part in text.replace(" ", "").split(",") if "=" in part)
    return _number(text) if kind is int else text


def _node(field: Any, kind: Any, value: Any, path: str) -> dict[str, Any]:
    node: dict[str, Any] = {"field": field.name, "label": _label(field.name), "path": path, "unit": _unit(field.name)}
    if _is_struct(kind):
        held = value if isinstance(value, dict) else {}
        return node | {"kind": "group", "nodes": nodes_of(struct=kind, body=held, path=path)}
    if inner := _rows_of(kind):
        held_rows: list[Any] = [*(value if isinstance(value, list) else []), *([{}] * ROWS_SPARE)]
        rows = [nodes_of(struct=inner, body=each, path=f"{path}-{at}") for at, each in enumerate(held_rows)]
        return node | {"kind": "rows", "rows": rows}
    default = "" if field.default is msgspec.NODEFAULT else _text(field.default)
    node |= {"needed": field.required, "placeholder": default, "value": _text(value)}
    if kind is bool:
        options = [("", f"default: {'yes' if field.default else 'no'}"), ("true", "yes"), ("false", "no")]
        return node | {"kind": "choice", "options": options, "value": "" if value is None else str(value).lower()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        options = [("", f"default: {default}" if default else "–"), *((str(each.value),) * 2 for each in kind)]
        return node | {"kind": "choice", "options": options}
    if _list_of(kind):
        return node | {"kind": "text", "unit": f"{node['unit']} · {MANY}" if node["unit"] else MANY}
    if _is_pairs(kind):
        return node | {"kind": "text", "unit": PAIRS}
    return node | {"kind": "number" if kind in (int, Decimal) else "text"}


def _bare(kind: Any) -> Any:
    """Return a type without the None that it may also be."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        (kind,) = [each for each in typing.get_args(kind) if each is not type(None)]
    return kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _rows_of(kind: Any) -> Any:
    inner = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None
    return inner if _is_struct(inner) else None


def _list_of(kind: Any) -> Any:
    inner = typing.get_args(kind)[0] if typing.get_origin(kind) in (tuple, frozenset) else None
    return inner if inner in (str, int, date, Decimal) else None


def _is_pairs(kind: Any) -> bool:
    return typing.get_origin(kind) is dict


def _is_sent(data: Data, path: str) -> bool:
    return any(key.startswith(f"{path}-") for key in data)


def _is_filled(data: Data, path: str) -> bool:
    return any(str(data.get(key, "")).strip() for key in data if key.startswith(f"{path}-"))


def _number(text: str) -> Any:
    return int(text) if text.lstrip("-").isdigit() else text


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return value
    try:
        made = msgspec.json.decode(value or "{}")
    except (msgspec.DecodeError, TypeError):
        return {}
    return made if isinstance(made, dict) else {}


def _text(value: Any) -> str:
    if value is None or isinstance(value, msgspec.Struct) or value in ((), frozenset()):
        return ""
    if isinstance(value, list | tuple | frozenset):
        return ", ".join(str(each) for each in sorted(value, key=str))
    if isinstance(value, dict):
        return ", ".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _unit(name: str) -> str:
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")
