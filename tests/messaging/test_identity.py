"""An id made from parts is the UUID that the standard library would make of them."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from piggy.messaging.identity import NAMESPACE, SEPARATOR, command_id_of


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",))), min_size=1))
def test_a_command_id_is_the_uuid5_of_its_parts(parts: list[str]) -> None:
    assert command_id_of(*parts) == str(uuid.uuid5(NAMESPACE, SEPARATOR.join(parts)))
