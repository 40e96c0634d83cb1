"""Cells of a file that people open in a spreadsheet."""

from __future__ import annotations

import pytest

from apps.common.documents import plain_cell, safe_cell


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_a_cell_that_a_spreadsheet_would_carry_out_is_text_and_comes_back_as_it_was(start: str) -> None:
    asked = f"{start}cmd|' /C calc'!A0"
    assert safe_cell(text=asked) == f"'{asked}"
    assert plain_cell(text=safe_cell(text=asked)) == asked


@pytest.mark.parametrize("text", ["-1.5", "+3", "EURUSD", "", "a=b", "'quoted"])
def test_any_other_cell_is_as_it_is(text: str) -> None:
    assert plain_cell(text=text) == safe_cell(text=text) == text
