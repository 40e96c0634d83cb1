"""What a client's JSON says is what is read: every legal text comes through as it was meant, but NUL."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from apps.common.parsers import parse

# What an escape may look like without being one, and what is one.
PIECES = st.sampled_from(["\\", "u0000", "\\u0000", "\0", '"', "u", "0", "\u00e9", "\U0001f437", "[", "}"])
TEXTS = st.lists(PIECES, max_size=8).map("".join)
BODIES = st.recursive(
    TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)


def texts_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for each in pair for text in texts_of(each)]
    return [text for each in value for text in texts_of(each)] if isinstance(value, list) else [value]


@given(BODIES, st.booleans())
def test_a_body_is_read_as_it_was_written_unless_a_text_holds_nul(body: Any, escaped: bool) -> None:
    raw = json.dumps(body, ensure_ascii=escaped).encode()
    if any("\0" in text for text in texts_of(body)):
        with pytest.raises(ParseError, match="NUL"):
            parse(body=raw)
    else:
        assert parse(body=raw) == body
