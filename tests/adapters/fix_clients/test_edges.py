"""The edges of what a client may send: at the limit it is taken, past it it is not, and no length cuts two into one."""

from __future__ import annotations

import pytest

from piggy.adapters.fix.messages import SOH, stamp
from piggy.adapters.fix_clients.config import (
    CL_ORD_ID_CHARACTERS_MAX,
    CLOCK_S_MAX,
    MESSAGE_BYTES_MAX,
    ORDER_AGE_S_MAX,
    TEXT_CHARACTERS_MAX,
)
from piggy.adapters.fix_clients.inbound import UnableToTake, id_of, is_late
from piggy.adapters.fix_clients.session import Frames, Take, UnableToFrame, count_of, faults, frame
from tests.adapters.fix_clients.test_session import NOW_US, hear, said, session


def test_only_an_order_that_was_first_sent_too_long_ago_is_late() -> None:
    """A client's own store sends it all the same, for a market that was another."""
    first = {"43": "Y", "122": stamp(NOW_US)}
    aged_us = NOW_US + ORDER_AGE_S_MAX * 1_000_000
    assert not is_late(values=first, now_us=aged_us)
    assert is_late(values=first, now_us=aged_us + 1)
    assert not is_late(values={"122": stamp(NOW_US)}, now_us=aged_us + 1), "it is no repeat"
    assert not is_late(values={"43": "N"}, now_us=aged_us)


def test_a_clock_may_be_off_by_so_much_either_way() -> None:
    for apart_us in (CLOCK_S_MAX * 1_000_000, -CLOCK_S_MAX * 1_000_000):
        assert isinstance(hear(session(), 2, t52=stamp(NOW_US + apart_us))[0], Take)
    assert said(hear(session(), 2, t52=stamp(NOW_US + CLOCK_S_MAX * 1_000_000 + 1_000))) == ["3", "5"]


def test_an_id_or_a_number_may_be_as_long_as_it_is_kept() -> None:
    longest = "x" * CL_ORD_ID_CHARACTERS_MAX
    assert id_of({"11": longest}, "11") == longest
    for odd in (longest + "x", "x" * (TEXT_CHARACTERS_MAX + 1), "", "a b"):
        with pytest.raises(UnableToTake):
            id_of({"11": odd}, "11")
    assert count_of("9" * 18) == int("9" * 18) and count_of("9" * 19) is None


@pytest.mark.parametrize("cut", [-1, 1, 7])
def test_a_length_that_is_wrong_is_hung_up_on_and_reads_no_message_out_of_two(cut: int) -> None:
    """Past the real end it would take the head of the next message for the tail of this."""
    one = frame(kind="0", number=1, sender="A", target="B", sent="x", body=f"58=yy{SOH}")
    head, _, rest = one.partition(b"\x019=")
    length, _, body = rest.partition(b"\x01")
    wrong = head + b"\x019=%d\x01" % (int(length) + cut) + body
    with pytest.raises(UnableToFrame, match="is wrong"):
        Frames().feed(wrong + one)


def test_the_longest_message_is_waited_for_and_a_longer_one_is_not() -> None:
    assert Frames().feed(b"8=FIX.4.4\x019=%d\x01" % MESSAGE_BYTES_MAX) == []
    assert Frames().feed(b"8=FIX.4.4\x019=123456") == [], "its length is still to come"
    for data in (
        b"8=FIX.4.4\x019=0000005\x01",
        b"8=FIX.4.4\x019=1234567",
        b"8=FIX.4.4\x019=%d\x01" % (MESSAGE_BYTES_MAX + 1),
    ):
        with pytest.raises(UnableToFrame):
            Frames().feed(data)


@pytest.mark.parametrize("part", ["=x", "38", "\uff13\uff18=1", "3 8=1", "x=1"])
def test_a_field_is_a_tag_in_digits_an_equals_sign_and_a_value(part: str) -> None:
    found = faults(text=f"8=FIX.4.4|35=D|{part}|55=A|".replace("|", SOH))
    assert found is not None and found.reason == "0"
    assert faults(text="8=FIX.4.4|35=D|38=1|55=A|".replace("|", SOH)) is None
