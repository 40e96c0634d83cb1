"""The accepting side of a session by FIX 4.4's own test definitions, without a socket."""

from __future__ import annotations

import random
from typing import Any

import pytest

from piggy.adapters.fix.messages import SOH, stamp
from piggy.adapters.fix_clients.config import ASK_AGAIN_S, MESSAGE_BYTES_MAX
from piggy.adapters.fix_clients.session import Close, Frames, Resend, Say, Session, Take, UnableToFrame, frame

NOW_US = 1_767_225_600_000_000
HEARTBEAT_S = 10


def session(expected: int = 2) -> Session:
    return Session(client="C1", us="ACORN", expected=expected, heartbeat_s=HEARTBEAT_S, now_s=0)


def text(number: int | str, kind: str = "D", body: str = "11=a|", **changes: str) -> str:
    head = {"49": "C1", "56": "ACORN", "52": stamp(NOW_US)} | {key[1:]: value for key, value in changes.items()}
    named = "".join(f"{tag}={value}|" for tag, value in head.items())
    return f"8=FIX.4.4|9=0|35={kind}|34={number}|{named}{body}10=000|".replace("|", SOH)


def hear(one: Session, *args: Any, now_s: float = 1, **kwargs: Any) -> list[Any]:
    return one.hear(text=text(*args, **kwargs), now_s=now_s, now_us=NOW_US)


def said(acts: list[Any]) -> list[str]:
    return [act.kind for act in acts if isinstance(act, Say)]


def test_messages_in_sequence_are_taken_once() -> None:
    one = session()
    assert [act.number for act in hear(one, 2)] == [2]
    assert hear(one, 2, t43="Y", t122=stamp(NOW_US)) == [], "a repeat that says so is nothing"
    assert [type(act) for act in hear(one, 3)] == [Take]


def test_a_number_too_low_ends_the_session_and_says_what_was_expected() -> None:
    acts = hear(session(5), 3)
    assert said(acts) == ["5"]
    assert "expecting 5 but received 3" in acts[0].body
    assert isinstance(acts[-1], Close)


def test_a_gap_is_asked_for_once_and_filled_in_order() -> None:
    one = session()
    assert hear(one, 5)[0] == Say("2", f"7=2{SOH}16=0{SOH}")
    assert hear(one, 6) == [], "what comes meanwhile is in the answer"
    assert [act.number for act in hear(one, 2, t43="Y", t122=stamp(NOW_US))] == [2]
    assert hear(one, 3, kind="4", body="123=Y|36=5|") == []
    assert [act.number for each in (5, 6, 7) for act in hear(one, each)] == [5, 6, 7]
    assert said(hear(one, 9)) == ["2"], "a later gap is asked for anew"


def test_a_gap_that_no_answer_fills_is_asked_for_again() -> None:
    """Of the answer to our question one message was garbled and dropped: nobody would ever be heard again."""
    one = session()
    assert said(hear(one, 5)) == ["2"]
    again = {"t43": "Y", "t122": stamp(NOW_US), "now_s": 3}
    assert [act.number for act in hear(one, 2, **again)] == [2]
    assert hear(one, 4, **again) == hear(one, 6, now_s=4) == [], "3 is missing, and may be on its way"
    assert hear(one, 7, now_s=3 + ASK_AGAIN_S) == []
    assert hear(one, 8, now_s=4 + ASK_AGAIN_S) == [Say("2", f"7=3{SOH}16=0{SOH}")]
    assert hear(one, 9, now_s=5 + ASK_AGAIN_S) == [], "once more, and not at every message"
    assert [act.number for each in range(3, 10) for act in hear(one, each, **again)] == [*range(3, 10)]


def test_a_symbol_stands_once_but_where_prices_of_many_are_asked_for() -> None:
    one = session()
    (refused,) = hear(one, 2, body="11=a|55=EURUSD|55=USDJPY|")
    assert (refused.kind, f"371=55{SOH}372=D{SOH}373=13{SOH}" in refused.body) == ("3", True)
    assert [type(act) for act in hear(one, 3, kind="V", body="262=a|55=EURUSD|55=USDJPY|")] == [Take]


def test_a_test_request_is_answered_by_its_id_and_refused_without() -> None:
    one = session()
    assert hear(one, 2, kind="1", body="112=are you there|") == [Say("0", f"112=are you there{SOH}")]
    for number, body in ((3, ""), (4, "112=|")):
        (refused,) = hear(one, number, kind="1", body=body)
        assert (refused.kind, f"371=112{SOH}372=1{SOH}373=1{SOH}" in refused.body) == ("3", True)


@pytest.mark.parametrize(
    ("first_sent", "reason"),
    [({}, "1"), ({"t122": stamp(NOW_US + 1_000_000)}, "10"), ({"t122": "yesterday"}, "6"), ({"t122": ""}, "6")],
)
def test_what_may_have_come_before_says_when_it_was_sent_first(first_sent: dict[str, str], reason: str) -> None:
    one = session()
    (refused,) = hear(one, 2, t43="Y", **first_sent)
    assert (refused.kind, refused.body.startswith(f"45=2{SOH}371=122{SOH}372=D{SOH}373={reason}{SOH}")) == ("3", True)
    assert one.expected == 3
    assert [type(act) for act in hear(one, 3, t43="N")] == [Take]
    assert hear(one, 4, kind="4", body="123=Y|36=6|", t43="Y") == [], "of the session's own messages it is not asked"
    assert one.expected == 6


def test_a_resend_request_is_answered_also_across_a_gap_of_their_own() -> None:
    """Two sides that both miss something must not wait for each other."""
    acts = hear(session(), 4, kind="2", body="7=1|16=0|")
    assert said(acts) == ["2"]
    assert acts[-1] == Resend(1, 0)
    refused = hear(session(), 2, kind="2", body="7=x|16=0|")
    assert said(refused) == ["3"]
    assert f"371=7{SOH}" in refused[0].body


def test_a_reset_goes_forward_only() -> None:
    one = session(5)
    assert hear(one, 1, kind="4", body="36=9|") == [], "without GapFillFlag its own number counts for nothing"
    assert one.expected == 9
    refused = hear(one, 9, kind="4", body="36=3|")
    assert said(refused) == ["3"]
    assert one.expected == 9


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"t49": "EVIL"}, "9"),
        ({"t56": "BIRCH"}, "9"),
        ({"t52": stamp(NOW_US - 121_000_000)}, "10"),
        ({"t52": "x"}, "10"),
        ({"t52": stamp(NOW_US).replace("2", "\uff12")}, "10"),
    ],
)
def test_another_name_or_a_wrong_clock_ends_the_session(changes: dict[str, str], reason: str) -> None:
    acts = hear(session(), 2, **changes)
    assert said(acts) == ["3", "5"]
    assert f"373={reason}{SOH}" in acts[0].body
    assert isinstance(acts[-1], Close)


def test_a_message_without_number_and_a_second_logon_end_the_session() -> None:
    assert isinstance(hear(session(), "x")[-1], Close)
    assert isinstance(hear(session(), 2, kind="A", body="98=0|108=10|")[-1], Close)


@pytest.mark.parametrize(
    ("kind", "body", "tag", "reason"),
    [
        ("D", "11=a|58=ab|cd|", "", "0"),
        ("D", "11=a|x=1|", "", "0"),
        ("D", "11=a|58=a\0b|", "58", "5"),
        ("D\0", "11=a|", "35", "5"),
        ("D", "11=a|38=1|38=100|", "38", "13"),
        ("D", "11=a|34=1|", "34", "13"),
    ],
)
def test_what_is_whole_and_no_message_is_refused_by_its_tag_and_the_session_goes_on(
    kind: str, body: str, tag: str, reason: str
) -> None:
    """A text that holds a separator, a zero byte that no table keeps, a quantity that two readers read differently."""
    one = session()
    number = 2 if "34=" not in body else 1
    one.expected = number
    acts = hear(one, number, kind=kind, body=body)
    assert said(acts) == ["3"]
    assert f"373={reason}{SOH}" in acts[0].body
    assert (f"371={tag}{SOH}" in acts[0].body) == bool(tag)
    assert "\0" not in acts[0].body
    assert [type(act) for act in hear(one, number + 1)] == [Take]


def test_a_message_without_a_type_is_refused_and_the_session_goes_on() -> None:
    one = session()
    acts = one.hear(text=text(2).replace("35=D", "99=1"), now_s=1, now_us=NOW_US)
    assert said(acts) == ["3"]
    assert f"371=35{SOH}" in acts[0].body and "372=" not in acts[0].body
    assert one.expected == 3


@pytest.mark.parametrize("number", ["²", "٣", "9" * 19, "9" * 5_000, "-1", ""])
def test_a_number_that_nobody_can_keep_is_none(number: str) -> None:
    assert isinstance(hear(session(), number)[-1], Close)
    for kind, body in (("2", f"7={number}|16=0|"), ("2", f"7=1|16={number}|"), ("4", f"123=Y|36={number}|")):
        one = session()
        assert said(hear(one, 2, kind=kind, body=body)) == ["3"], (kind, body)


def test_a_logout_is_answered_whatever_its_number() -> None:
    for number in (2, 9):
        acts = hear(session(), number, kind="5", body="")
        assert said(acts) == ["5"]
        assert isinstance(acts[-1], Close)


def test_silence_is_asked_about_and_then_given_up() -> None:
    """F-07: asked after 1.2 heartbeats, given up after 2.4."""
    one = session()
    assert one.tick(now_s=9) == []
    assert said(one.tick(now_s=10)) == ["0"]
    one.said(now_s=10)
    assert said(one.tick(now_s=12.1)) == ["1"]
    assert one.tick(now_s=13) == [], "asked once"
    assert isinstance(one.tick(now_s=24.1)[0], Close)
    assert hear(one, 2, kind="1", body="112=are you|", now_s=25)[0] == Say("0", f"112=are you{SOH}")
    assert one.tick(now_s=26) == [Say("0")] or one.tick(now_s=26) == []


def test_the_logon_counts_like_any_message() -> None:
    assert session(1).begin(number=1) == []
    assert said(session(1).begin(number=4)) == ["2"]
    assert isinstance(session(5).begin(number=1)[-1], Close)


def test_frames_come_whole_however_they_were_cut() -> None:
    rng = random.Random(4)
    whole = [
        frame(kind="0", number=n, sender="A", target="B", sent=stamp(NOW_US), body=f"58=x{'é' * n}{SOH}")
        for n in range(1, 30)
    ]
    data, frames, found = b"".join(whole), Frames(), []
    while data:
        cut = rng.randrange(1, 40)
        found += frames.feed(data[:cut])
        data = data[cut:]
    assert [each.encode() for each in found] == whole


def test_a_garbled_message_is_dropped_and_the_next_one_read() -> None:
    one, two = (frame(kind="0", number=n, sender="A", target="B", sent="x", body="") for n in (1, 2))
    broken = one[:-4] + (b"000\x01" if one[-4:] != b"000\x01" else b"001\x01")
    assert Frames().feed(broken + two) == [two.decode()]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"8=FIX.4.2\x01",
        b"8=FIX.4.4\x019=12345678",
        b"8=FIX.4.4\x019=%d\x01" % (MESSAGE_BYTES_MAX + 1),
        b"8=FIX.4.4\x019=x\x01",
        b"8=FIX.4.4\x019=5\x0135=0\x0110=000\x01" + b"x" * 10,
    ],
)
def test_what_is_no_fix_is_hung_up_on(data: bytes) -> None:
    with pytest.raises(UnableToFrame):
        Frames().feed(data)


def test_a_message_sent_again_says_so_and_when_it_was_first() -> None:
    raw = frame(kind="8", number=7, sender="A", target="B", sent="t2", body="37=x\x01", first_sent="t1")
    assert b"\x0143=Y\x01122=t1\x01" in raw
