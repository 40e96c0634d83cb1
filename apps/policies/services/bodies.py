"""A policy's body input by input: what a form shows of the core's own struct, and the body that was sent or imported.

Every input is named by its path, `body-rules-0-name`. What is left blank is left out, so that the struct's default
holds; the checks stay the core's, whose messages name the field.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from apps.common.times import microseconds, moment
from apps.policies.models import WHOLE, needed, said_elsewhere
from apps.policies.services.kinds import OF_DAY, OF_WEEK, bare, unit

ROWS_SPARE, ROWS_MAX = 1, 200
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_MINUTES = 24 * 60
LATEST_US = microseconds(datetime.max.replace(tzinfo=UTC))
TIME = re.compile(r"^(?:(Mon|Tue|Wed|Thu|Fri|Sat|Sun) +)?(\d{1,2}):(\d\d)$", re.IGNORECASE)
# As people and spreadsheets write it.
YES_OR_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
# More digits nobody means; what is none of these goes to the core as it was written, which says what is wrong.
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}\Z", re.ASCII)
MANY = "several: with commas"
CAPITALS = {"kyc": "KYC", "fx": "FX", "lp": "LP"}
PAIRS = "pairs: LP1=10, LP2=5"

Data = Mapping[str, Any]


def read_body(*, text: Any) -> dict[str, Any]:
    """Return the body that a JSON text holds, an empty one where it holds none."""
    if isinstance(text, dict):
        return text
    try:
        made = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, RecursionError, UnicodeError, TypeError):
        return {}
    return made if isinstance(made, dict) else {}


def nodes_of(
    *, struct: type[msgspec.Struct], body: Mapping[str, Any], path: str, house: Any = None
) -> list[dict[str, Any]]:
    """Return an input, or a group of them, for each field of `struct`; `house` is what holds where one is blank."""
    hints = typing.get_type_hints(struct)
    return [
        _node(struct, field, bare(hints[field.name]), body.get(field.name), f"{path}-{field.name}", house)
        for field in _written(struct, path)
    ]


def gathered(*, struct: type[msgspec.Struct], data: Data, path: str) -> dict[str, Any]:
    """Return what the inputs under `path` say; what is blank is left out."""
    body: dict[str, Any] = {}
    hints = typing.get_type_hints(struct)
    for field in _written(struct, path):
        value = _gathered(field.name, bare(hints[field.name]), data, f"{path}-{field.name}")
        if value not in (None, "", [], {}):
            body[field.name] = value
    return body


def leaves(*, nodes: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the path and the value of each input, as they stand."""
    for node in nodes:
        if node["kind"] == "group":
            yield from leaves(nodes=node["nodes"])
        elif node["kind"] == "rows":
            for row in node["rows"]:
                yield from leaves(nodes=row)
        else:
            yield node["path"], node["value"]


def mark(*, nodes: list[dict[str, Any]], faults: Mapping[str, str]) -> None:
    """Put what is wrong, by the path of an input, beside that input."""
    for node in nodes:
        node["fault"] = faults.get(node["path"], "")
        for part in (node["nodes"],) if node["kind"] == "group" else node.get("rows", ()):
            mark(nodes=part, faults=faults)


def _written(struct: type[msgspec.Struct], path: str) -> list[Any]:
    """Return the fields that a form asks for: at the top not those that the row itself says."""
    left_out = () if "-" in path else said_elsewhere(struct=struct)
    return [field for field in msgspec.structs.fields(struct) if field.name not in left_out]


def _gathered(name: str, kind: Any, data: Data, path: str) -> Any:
    if _is_struct(kind):
        return gathered(struct=kind, data=data, path=path) if _is_filled(data, path) else None
    if inner := _rows_of(kind):
        rows = [f"{path}-{number}" for number in range(ROWS_MAX) if _is_sent(data, f"{path}-{number}")]
        return [gathered(struct=inner, data=data, path=row) for row in rows if _is_filled(data, row)]
    if of := _keys_of(kind):
        typed = {each.value: str(data.get(f"{path}-{each.value}", "")).strip() for each in of}
        return {key: value for key, value in typed.items() if value}
    text = str(data.get(path, "")).strip()
    if kind is bool:
        return YES_OR_NO.get(text.lower(), text) if text else None
    if kind_of_list := _list_of(kind):
        parts = [part.strip() for part in re.split(r"[,;]", text) if part.strip()]
        return [_weekday(part) for part in parts] if kind_of_list is int else parts
    if _is_pairs(kind):
        pairs = [part for part in re.split(r"[,;]", text.replace(" ", "")) if part]
        return dict(pair.split("=", 1) for pair in pairs) if all("=" in pair for pair in pairs) else text
    if kind is int:
        return _whole(name, text)
    return text


def _node(struct: Any, field: Any, kind: Any, value: Any, path: str, house: Any) -> dict[str, Any]:
    node: dict[str, Any] = {
        "field": field.name,
        "label": _label(field.name),
        "path": path,
        "unit": unit(name=field.name),
    }
    if _is_struct(kind):
        held = value if isinstance(value, dict) else {}
        return node | {"kind": "group", "nodes": nodes_of(struct=kind, body=held, path=path)}
    if inner := _rows_of(kind):
        held_rows: list[Any] = [*(value if isinstance(value, list) else []), *([{}] * ROWS_SPARE)]
        rows = [nodes_of(struct=inner, body=each, path=f"{path}-{at}") for at, each in enumerate(held_rows)]
        return node | {"kind": "rows", "rows": rows}
    default = getattr(house, field.name) if house is not None else field.default
    is_needed = field.name in needed(struct=struct)
    if struct in WHOLE:
        default = msgspec.NODEFAULT
    if of := _keys_of(kind):
        return node | {"kind": "group", "nodes": [_keyed(each, value, default, path, node["unit"]) for each in of]}
    shown = "" if default is msgspec.NODEFAULT else _text(default, field.name)
    node |= {"needed": is_needed, "placeholder": shown, "value": _text(value, field.name)}
    if kind is bool:
        unset = "–" if is_needed else f"default: {'yes' if default else 'no'}"
        options = [("", unset), ("true", "yes"), ("false", "no")]
        return node | {"kind": "choice", "options": options, "value": "" if value is None else str(value).lower()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        options = [
            ("", f"default: {shown}" if shown else "–"),
            *((str(each.value), str(each.value).replace("_", " ")) for each in kind),
        ]
        return node | {"kind": "choice", "options": options}
    if _list_of(kind):
        return node | {"kind": "text", "unit": f"{node['unit']} · {MANY}" if node["unit"] else MANY}
    if _is_pairs(kind):
        return node | {"kind": "text", "unit": PAIRS}
    is_figure = kind in (int, Decimal) and field.name not in (*OF_WEEK, *OF_DAY) and not field.name.endswith("_us")
    return node | {"kind": "number" if is_figure else "text"}


def _keyed(key: Enum, value: Any, default: Any, path: str, unit: str) -> dict[str, Any]:
    held, usual = (each if isinstance(each, dict) else {} for each in (value, default))
    return {
        "field": key.value,
        "label": _label(key.value),
        "path": f"{path}-{key.value}",
        "unit": unit,
        "kind": "number",
        "needed": False,
        "placeholder": _text(usual.get(key)),
        "value": _text(held.get(key.value)),
    }


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _rows_of(kind: Any) -> Any:
    inner = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None
    return inner if _is_struct(inner) else None


def _list_of(kind: Any) -> Any:
    inner = typing.get_args(kind)[0] if typing.get_origin(kind) in (tuple, frozenset) else None
    is_word = isinstance(inner, type) and issubclass(inner, Enum)
    return inner if inner in (str, int, date, Decimal) or is_word else None


def _keys_of(kind: Any) -> Any:
    """Return the words that a mapping may have as keys, None for any other type."""
    key = typing.get_args(kind)[0] if typing.get_origin(kind) is dict else None
    return key if isinstance(key, type) and issubclass(key, Enum) else None


def _is_pairs(kind: Any) -> bool:
    return typing.get_origin(kind) is dict


def _is_sent(data: Data, path: str) -> bool:
    return any(key.startswith(f"{path}-") for key in data)


def _is_filled(data: Data, path: str) -> bool:
    return any(str(data.get(key, "")).strip() for key in data if key.startswith(f"{path}-"))


def _number(text: str) -> Any:
    return int(text) if WHOLE_NUMBER.match(text) else text


def _weekday(text: str) -> Any:
    named = {day.lower(): at for at, day in enumerate(DAYS)}
    return named.get(text[:3].lower(), _number(text))


def _whole(name: str, text: str) -> Any:
    """Return the whole number that a time, or a number, is; anything else as it was written."""
    if name in (*OF_WEEK, *OF_DAY):
        return _minute(text, of_week=name in OF_WEEK)
    if name.endswith("_us") and not text.isdigit():
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return text
        return microseconds(at if at.tzinfo else at.replace(tzinfo=UTC))
    return _number(text)


def _minute(text: str, *, of_week: bool) -> Any:
    """Return the minutes that a time of the week or the day is, anything else as it was written.

    One of the week has its day: without it, as in "22:00", a Monday is seldom meant. One of the day has none.
    """
    found = TIME.match(text)
    if found is None:
        return _number(text)
    day, hours, minutes = found.groups()
    if bool(day) is not of_week:
        return text
    return (DAYS.index(day.title()) if day else 0) * DAY_MINUTES + int(hours) * 60 + int(minutes)


def _time(value: int, *, of_week: bool) -> str:
    day, minute = divmod(value, DAY_MINUTES)
    if of_week and value and not minute:
        # The end of a day reads as that day's.
        day, minute = day - 1, DAY_MINUTES
    clock = f"{minute // 60:02}:{minute % 60:02}"
    return f"{DAYS[day]} {clock}" if of_week else clock if value < DAY_MINUTES else "24:00"


def _text(value: Any, name: str = "") -> str:
    if value is None or isinstance(value, msgspec.Struct) or value in ((), frozenset()):
        return ""
    if type(value) is int and 0 <= value <= 7 * DAY_MINUTES and name in (*OF_WEEK, *OF_DAY):
        return _time(value, of_week=name in OF_WEEK)
    if type(value) is int and name.endswith("_us") and not value % 1_000_000 and 0 <= value <= LATEST_US:
        return f"{moment(value):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list | tuple | frozenset):
        is_week = name == "weekdays" and all(type(each) is int and each in range(7) for each in value)
        words = [DAYS[each] if is_week else _text(each) for each in value]
        return ", ".join(sorted(words) if isinstance(value, frozenset) else words)
    if isinstance(value, dict):
        return ", ".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def _label(name: str) -> str:
    """Return the name in words; a time is written as one, whatever it is kept in."""
    words = name.removesuffix("_us").split("_")
    return " ".join([CAPITALS.get(words[0], words[0].capitalize()), *(CAPITALS.get(each, each) for each in words[1:])])
