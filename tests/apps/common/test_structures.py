"""Lists and pairs on record are words on a screen and in a form, and come back from it as they were."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from apps.common.admin import whole
from apps.common.structures import PairsField, WordsField, structure, structured, worded


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["50", "80"], "50, 80"),
        ([], "–"),
        ({}, "–"),
        (None, "–"),
        (True, "yes"),
        (["<b>"], "&lt;b&gt;"),
        ("plain", "plain"),
    ],
)
def test_what_is_kept_as_json_is_shown_as_words(value: Any, text: str) -> None:
    assert str(structure(value)) == text


def test_names_with_values_are_a_table_and_rows_of_names_its_columns() -> None:
    pairs = str(structure({"kyc_state": "new", "lots_max": "2.5", "told": {"by": "rick"}, "many": [[1], [2]]}))
    assert '<th scope="row">KYC state</th><td class="">new</td>' in pairs
    assert '<td class="figure">2.5</td>' in pairs and '<th scope="row">by</th>' in pairs
    assert "<div>1</div><div>2</div>" in pairs
    rows = str(structure([{"venue": "LP1", "lots": 3}, {"venue": "LP2", "is_on": False}]))
    assert rows.count("<tr>") == 3 and '<th scope="col" class="figure">lots</th>' in rows
    assert '<td class="figure">–</td><td class="">no</td>' in rows
    assert "{" not in pairs + rows


def test_what_is_too_deep_is_its_text() -> None:
    value: Any = "end"
    for _ in range(6):
        value = {"more": value}
    assert "{&quot;more&quot;: {&quot;more&quot;: &quot;end&quot;}}" in str(structure(value))


def test_a_name_of_a_program_is_written_as_people_do() -> None:
    assert [worded(name) for name in ("kyc_state", "quote_age_ms", "lp")] == ["KYC state", "quote age ms", "LP"]


def test_a_column_over_a_field_is_the_same_one_each_time() -> None:
    """A form finds its read-only columns by identity: another one each time would be asked of the form."""
    assert structured("card", label="Card") is structured("card", label="Card")


def test_a_whole_number_stands_right_as_it_is() -> None:
    class Row:
        port, count = 9101, None

    assert whole("port")(Row) == '<span class="figure">9101</span>'
    assert whole("count")(Row) == ""


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        (["A1", "A2"], "A1, A2"),
        ([], ""),
        (["swap, rollover"], '["swap, rollover"]'),
        (["[x]"], '["[x]"]'),
        ([" padded "], '[" padded "]'),
        ([""], '[""]'),
        ([1], "[1]"),
        (["1001"], "1001"),
    ],
)
def test_a_list_is_written_with_commas_and_comes_back_as_it_was(kept: list[Any], shown: str) -> None:
    field = WordsField(required=False)
    assert field.prepare_value(kept) == shown
    assert (field.clean(shown) or []) == kept
    assert not field.has_changed(kept, shown) or not kept
    assert field.bound_data(shown, kept) == shown and field.prepare_value(shown) == shown


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ({"price": "Dealt Price", "side": "B/S"}, "price = Dealt Price\nside = B/S"),
        ({}, ""),
        ({"url": "a=b"}, '{"url": "a=b"}'),
        ({"a": "two\nlines"}, '{"a": "two\\nlines"}'),
        ({"a": ""}, '{"a": ""}'),
        ({"n": 1}, '{"n": 1}'),
        ({"{x": "y"}, '{"{x": "y"}'),
    ],
)
def test_pairs_are_written_a_line_each_and_come_back_as_they_were(kept: dict[str, Any], shown: str) -> None:
    field = PairsField(required=False)
    assert field.prepare_value(kept) == shown
    assert (field.clean(shown) or {}) == kept


@pytest.mark.parametrize("text", ["price", "= Dealt", "a = 1\na = 2", '{"a": 1'])
def test_a_line_that_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        PairsField().clean(text)


def test_json_is_taken_as_before() -> None:
    assert WordsField().clean('["A1"]') == ["A1"]
    assert PairsField().clean('{"a": "b"}') == {"a": "b"}


@pytest.mark.parametrize("text", [",", " , ,", ",\n,"])
def test_commas_alone_are_no_way_to_say_none_which_means_any(text: str) -> None:
    with pytest.raises(ValidationError, match="nothing between the commas"):
        WordsField(required=False).clean(text)
    assert WordsField(required=False).clean(" ") == []
