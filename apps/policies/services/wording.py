"""What a decoder found wrong in a body, in people's words: the field by its path, what to write, and what stood there.

The path is the core's, `rules[0].priority`; a form and a file find their own cell by it.
"""

from __future__ import annotations

import re
import typing
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from apps.policies.services.kinds import OF_DAY, OF_WEEK, bare

SAID_MAX = 40
# How the decoder ends a message: with where it was, and for a key of a mapping that it was the key.
PLACE = re.compile(r" - at (`key` in )?`\$\.?([^`]*)`$")
MISSING = re.compile(r"^Object missing required field `([^`]+)`")
NAMED = re.compile(r"^([a-z_]+[a-z_.0-9\[\]]*): (.*)", re.DOTALL)
STEP = re.compile(r"([a-z_0-9]+)|\[(\d+|\.\.\.)\]")
THIS_HAS_TO_BE = "this has to be written."


def in_words(*, text: str, struct: type[msgspec.Struct], body: Any) -> str:
    """Return "path: what to write" for what a decoder said of `body`; words of the core's own stay as they are."""
    place, missing = PLACE.search(text), MISSING.match(text)
    path = place[2] if place else ""
    if missing:
        return f"{path}.{missing[1]}: {THIS_HAS_TO_BE}".removeprefix(".")
    if place is None:
        return text
    kind, value = _found(struct, body, path)
    if path.endswith("[...]") or place[1]:
        path, kind, value = _of_mapping(path, kind, value, is_key=bool(place[1]))
    stood = "" if isinstance(value, dict | list) else f", not “{str(value)[:SAID_MAX]}”"
    return f"{path}: write {_wanted(kind, path)}{stood}."


def split(*, text: str) -> tuple[str, str]:
    """Return the path that a fault names and what it says of it; no path where it names none."""
    found = NAMED.match(text)
    return (found[1], found[2]) if found else ("", text)


def _found(struct: Any, body: Any, path: str) -> tuple[Any, Any]:
    """Return the type that stands at a path, and the value; of a mapping's values, the mapping and all of it."""
    kind, value = struct, body
    for name, index in STEP.findall(path):
        if index == "...":
            return kind, value
        if name:
            kind = bare(typing.get_type_hints(kind)[name])
            value = value.get(name) if isinstance(value, dict) else value
        else:
            kind = bare(typing.get_args(kind)[0])
            value = value[int(index)] if isinstance(value, list) else value
    return kind, value


def _of_mapping(path: str, kind: Any, value: Any, *, is_key: bool) -> tuple[str, Any, Any]:
    """Return path, type and value of the first key or value of a mapping that cannot be read."""
    of = bare(typing.get_args(kind)[0 if is_key else 1])
    path = path.removesuffix("[...]")
    for key, each in value.items():
        try:
            msgspec.convert(key if is_key else each, type=of, strict=False)
        except msgspec.ValidationError:
            return (path, of, key) if is_key else (f"{path}.{key}", of, each)
    return path, of, value


def _wanted(kind: Any, path: str) -> str:
    name = path.rpartition(".")[2].partition("[")[0]
    if name in (*OF_WEEK, *OF_DAY):
        return "a time, as Mon 22:00" if name in OF_WEEK else "a time, as 22:00"
    if name.endswith("_us"):
        return "a moment in UTC, as 2026-12-31 13:30"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(str(each.value) for each in kind)}"
    origin = typing.get_origin(kind) or kind
    return WANTED.get(origin, "its fields")


WANTED: dict[Any, str] = {
    int: "a whole number",
    Decimal: "a number, as 12.5",
    bool: "yes or no",
    str: "words",
    date: "a date, as 2026-12-25",
    tuple: "a list",
    frozenset: "a list",
    dict: "pairs of a name and a value",
}
