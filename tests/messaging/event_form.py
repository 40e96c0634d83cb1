"""What an event's payload is made of: every message that one may hold, with its fields.

    python -m tests.messaging.event_form > tests/messaging/event_form_2.txt

writes down the form of a new `EVENT_VERSION`, in a file of its own; that of an older version is never written again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from piggy.core.events import AnyEvent, VenueConsidered


class Form(NamedTuple):
    """A message: the fields without which it cannot be decoded, those with a default, and all in the order of an array.

    The last is empty where fields go by name.
    """

    must: tuple[str, ...]
    may: tuple[str, ...]
    places: tuple[str, ...]


def form() -> dict[str, Form]:
    """Return each message by its name on the wire."""
    found: dict[str, Form] = {}
    # Venues are kept packed in an event, as bytes that only who asks unpacks.
    waiting: list[Any] = [msgspec.inspect.type_info(each) for each in (AnyEvent, list[VenueConsidered])]
    while waiting:
        each = waiting.pop()
        if isinstance(each, msgspec.inspect.StructType):
            name = str(each.tag or each.cls.__name__)
            if name not in found:
                must, may = (
                    tuple(sorted(field.encode_name for field in each.fields if field.required is is_required))
                    for is_required in (True, False)
                )
                found[name] = Form(must, may, each.cls.__struct_fields__ if each.array_like else ())
                waiting += [field.type for field in each.fields]
            continue
        waiting += [getattr(each, name) for name in ("item_type", "key_type", "value_type") if hasattr(each, name)]
        waiting += [*getattr(each, "types", ()), *getattr(each, "item_types", ())]
    return found


def told(forms: dict[str, Form]) -> str:
    """Return a line for each message."""
    return "\n".join(" | ".join([name, *map(" ".join, forms[name])]) for name in sorted(forms)) + "\n"


def read(text: str) -> dict[str, Form]:
    """Return what `told` told."""
    lines = (line.split("|") for line in text.splitlines())
    return {name.strip(): Form(*(tuple(part.split()) for part in parts)) for name, *parts in lines}


if __name__ == "__main__":
    print(told(form()), end="")
