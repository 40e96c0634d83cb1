"""The rules of a FIX 4.4 session on the accepting side. Pure: bytes and times in, what to do out; it sends nothing.

QuickFIX answers a resend request from a store of its own; ours are answered from the log, so this side is ours. Numbers
are given by who keeps them; this knows only the number expected next.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from piggy.adapters.fix.messages import SOH, at_us, fields
from piggy.adapters.fix_clients.config import ASK_AFTER, ASK_AGAIN_S, CLOCK_S_MAX, GIVE_UP_AFTER, MESSAGE_BYTES_MAX

_HEAD = b"8=FIX.4.4\x019="
_TRAILER_BYTES = 7
_LENGTH_DIGITS_MAX = 6
_KIND_CHARACTERS_MAX = 2
_CONTROL = re.compile(r"[\x00-\x1f]")
# As many as a number kept by PostgreSQL has for certain.
_COUNT_DIGITS_MAX = 18
# Tags that are read and stand in no group of what is asked; 55 stands in one of prices.
_ONCE = {
    "8", "9", "35", "34", "49", "56", "52", "43", "122", "1", "7", "11", "16", "18", "36", "38", "40", "41", "44", "54",
    "58", "59", "60", "99", "108", "110", "111", "112", "123", "126", "141", "211", "262", "263", "264", "265", "320",
    "432", "554", "559", "584", "585", "836",
}  # fmt: skip
ADMIN = ("0", "1", "2", "3", "4", "5", "A")
TAG, REQUIRED, INCORRECT, FORMAT, COUNTERPARTY, CLOCK, TWICE = "0", "1", "5", "6", "9", "10", "13"


class UnableToFrame(Exception):
    """What comes is no FIX 4.4 or a message is too long: the connection is worth nothing."""


class Say(NamedTuple):
    """Send a session message under the next number."""

    kind: str
    body: str = ""


class Take(NamedTuple):
    """An application message, in sequence and for the first time."""

    number: int
    values: dict[str, str]
    text: str = ""


class Resend(NamedTuple):
    """Send again what was sent under these numbers; `last` 0 is all of it."""

    first: int
    last: int


class Close(NamedTuple):
    """Drop the connection."""

    reason: str


Act = Say | Take | Resend | Close


class Fault(NamedTuple):
    """A message that is whole and not FIX: the tag it is about, FIX's SessionRejectReason, and what would be right."""

    tag: str
    reason: str
    text: str


def faults(*, text: str) -> Fault | None:
    """Return what makes a message unreadable: a field without its tag, a control character, a tag that stands twice."""
    seen: set[str] = set()
    for part in text.split(SOH):
        tag, equals, value = part.partition("=")
        if not part:
            continue
        if not (equals and tag.isascii() and tag.isdigit()):
            return Fault("", TAG, "a field is a tag in digits, = and a value")
        if _CONTROL.search(value):
            return Fault(tag, INCORRECT, f"{tag}: no control characters")
        if tag in seen:
            return Fault(tag, TWICE, f"{tag} stands twice")
        if tag in _ONCE:
            seen.add(tag)
    if "35" not in seen:
        return Fault("35", REQUIRED, "MsgType (35) is missing")
    # One of prices asks for many symbols; of an order each reader would take another.
    is_twice = text.count(f"{SOH}55=") > 1 and f"{SOH}35=V{SOH}" not in text
    return Fault("55", TWICE, "55 stands twice") if is_twice else None


def count_of(text: str) -> int | None:
    """Return a count or sequence number, None where the text is none that can be kept."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _COUNT_DIGITS_MAX else None


class Frames:
    """Cuts a stream into messages; one whose checksum is wrong was garbled on the way and is dropped, as FIX says."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the whole messages that have come. Raises UnableToFrame."""
        self._buffer += data
        found = []
        while (end := self._end()) is not None:
            raw, self._buffer = self._buffer[:end], self._buffer[end:]
            if raw[-4:-1] == b"%03d" % (sum(raw[:-_TRAILER_BYTES]) % 256):
                found.append(raw.decode("utf-8", "replace"))
        return found

    def _end(self) -> int | None:
        if not self._buffer.startswith(_HEAD[: len(self._buffer)]):
            raise UnableToFrame("this is no FIX 4.4")
        stop = self._buffer.find(b"\x01", len(_HEAD))
        if stop < 0:
            if len(self._buffer) > len(_HEAD) + _LENGTH_DIGITS_MAX:
                raise UnableToFrame("BodyLength (9) does not end")
            return None
        digits = self._buffer[len(_HEAD) : stop]
        if not digits.isdigit() or len(digits) > _LENGTH_DIGITS_MAX or int(digits) > MESSAGE_BYTES_MAX:
            raise UnableToFrame(f"BodyLength (9): at most {MESSAGE_BYTES_MAX}")
        end = stop + 1 + int(digits) + _TRAILER_BYTES
        if len(self._buffer) < end:
            return None
        if self._buffer[end - _TRAILER_BYTES : end - 4] != b"10=" or self._buffer[end - 1 : end] != b"\x01":
            raise UnableToFrame("BodyLength (9) is wrong")
        return end


def frame(*, kind: str, number: int, sender: str, target: str, sent: str, body: str, first_sent: str = "") -> bytes:
    """Return a whole message; `first_sent` is the time of a message that is sent again."""
    again = f"43=Y{SOH}122={first_sent}{SOH}" if first_sent else ""
    head = f"35={kind}{SOH}34={number}{SOH}49={sender}{SOH}56={target}{SOH}52={sent}{SOH}"
    inner = f"{head}{again}{body}".encode()
    whole = _HEAD + b"%d\x01" % len(inner) + inner
    return whole + b"10=%03d\x01" % (sum(whole) % 256)


class Session:
    """One logged-on client; `expected` is the number that its next message should have. Times are seconds."""

    def __init__(self, *, client: str, us: str, expected: int, heartbeat_s: int, now_s: float) -> None:
        self.expected = expected
        self._client, self._us = client, us
        self._heartbeat_s = heartbeat_s
        self._heard_at = self._said_at = now_s
        self._asked_up_to = 0
        self._stuck_at, self._stuck_since_s = expected, now_s
        self._tests = 0
        self._test_out = False

    def said(self, *, now_s: float) -> None:
        """Note that something was sent."""
        self._said_at = now_s

    def begin(self, *, number: int) -> list[Act]:
        """Take the number of the Logon that was let in."""
        if number < self.expected:
            return self._too_low(number)
        if number > self.expected:
            return self._ask_again(number)
        self.expected += 1
        return []

    def tick(self, *, now_s: float) -> list[Act]:
        """Return what silence asks for: a heartbeat of ours, a question to the client, or the end."""
        acts: list[Act] = []
        silent_s = now_s - self._heard_at
        if silent_s > self._heartbeat_s * GIVE_UP_AFTER:
            return [Close("nothing was heard for more than two heartbeats")]
        if silent_s > self._heartbeat_s * ASK_AFTER and not self._test_out:
            self._test_out = True
            self._tests += 1
            acts.append(Say("1", f"112=T{self._tests}{SOH}"))
        if not acts and now_s - self._said_at >= self._heartbeat_s:
            acts.append(Say("0"))
        return acts

    def hear(self, *, text: str, now_s: float, now_us: int) -> list[Act]:
        """Return what a message asks for, in order."""
        self._heard_at, self._test_out = now_s, False
        values = fields(text)
        number, kind = count_of(values.get("34", "")), values.get("35", "")
        if number is None:
            return [Say("5", f"58=MsgSeqNum (34) is missing{SOH}"), Close("a message without number")]
        unreadable = faults(text=text) or (None if kind in ADMIN else _fault_of_repeat(values))
        if fault := [] if unreadable else self._fault(values, number, now_us):
            return fault
        if kind == "4" and values.get("123") != "Y" and not unreadable:
            return self._reset(values, number)
        if number > self.expected:
            if kind == "2":  # Answered at once: two sides that wait for each other's answer wait for ever.
                return [*self._ask_again(number), *self._resend(values)]
            return [Say("5"), Close("it logged out")] if kind == "5" else self._ask_again(number)
        if number < self.expected:
            return [] if values.get("43") == "Y" else self._too_low(number)
        if unreadable:
            self.expected += 1
            return [_unreadable(number, kind, unreadable)]
        if kind == "4":
            return self._reset(values, number)
        self.expected += 1
        return self._admin(kind, values) if kind in ADMIN else [Take(number, values, text)]

    def _fault(self, values: dict[str, str], number: int, now_us: int) -> list[Act]:
        if (values.get("49"), values.get("56")) != (self._client, self._us):
            return [
                reject(number=number, tag="49", kind=values.get("35", ""), reason=COUNTERPARTY, text="CompID problem"),
                Say("5", f"58=CompID problem{SOH}"),
                Close("another counterparty's message"),
            ]
        try:
            sent_us = at_us(values.get("52", ""))
        except ValueError:
            sent_us = 0
        if abs(now_us - sent_us) > CLOCK_S_MAX * 1_000_000:
            text = f"SendingTime (52): within {CLOCK_S_MAX} s of ours"
            return [
                reject(number=number, tag="52", kind=values.get("35", ""), reason=CLOCK, text=text),
                Say("5", f"58={text}{SOH}"),
                Close("a clock that is wrong"),
            ]
        return []

    def _admin(self, kind: str, values: dict[str, str]) -> list[Act]:
        if kind == "1":
            return [_heartbeat(values)]
        if kind == "2":
            return self._resend(values)
        if kind == "5":
            return [Say("5"), Close("it logged out")]
        if kind == "A":
            return [Say("5", f"58=logged on already{SOH}"), Close("a second Logon")]
        return []

    def _resend(self, values: dict[str, str]) -> list[Act]:
        first, last = count_of(values.get("7", "")), count_of(values.get("16", ""))
        if not first or last is None:
            tag = "16" if first else "7"
            return [reject(number=int(values["34"]), tag=tag, kind="2", reason=INCORRECT, text=f"{tag}: a number")]
        return [Resend(first, last)]

    def _reset(self, values: dict[str, str], number: int) -> list[Act]:
        """SequenceReset: with GapFillFlag in sequence, without it whatever its own number is; never backwards."""
        to = count_of(values.get("36", ""))
        if to is None or to < self.expected:
            text = f"NewSeqNo (36): a number from {self.expected} on"
            return [reject(number=number, tag="36", kind="4", reason=INCORRECT, text=text)]
        self.expected = to
        return []

    def _too_low(self, number: int) -> list[Act]:
        text = f"MsgSeqNum too low, expecting {self.expected} but received {number}"
        return [Say("5", f"58={text}{SOH}"), Close(text)]

    def _ask_again(self, number: int) -> list[Act]:
        """Ask for what is missing, once: all that comes meanwhile is in the answer.

        Again where that has come to nothing: of an answer that was garbled the rest is heard as one more gap.
        """
        if self.expected != self._stuck_at:
            self._stuck_at, self._stuck_since_s = self.expected, self._heard_at
        is_stuck = self._heard_at - self._stuck_since_s > ASK_AGAIN_S
        fresh = self.expected > self._asked_up_to or is_stuck
        self._asked_up_to = max(self._asked_up_to, number)
        if not fresh:
            return []
        self._stuck_since_s = self._heard_at
        return [Say("2", f"7={self.expected}{SOH}16=0{SOH}")]


def _heartbeat(values: dict[str, str]) -> Say:
    """Answer a TestRequest by its id; a field without a value would be none."""
    if asked := values.get("112"):
        return Say("0", f"112={asked}{SOH}")
    return reject(number=int(values["34"]), tag="112", kind="1", reason=REQUIRED, text="TestReqID (112) is missing")


def _fault_of_repeat(values: dict[str, str]) -> Fault | None:
    """Return what is wrong with a message that may have come before: it must say when it was sent first."""
    if values.get("43") != "Y":
        return None
    if "122" not in values:
        return Fault("122", REQUIRED, "OrigSendingTime (122) is missing")
    try:
        return Fault("122", CLOCK, "122: after 52") if at_us(values["122"]) > at_us(values.get("52", "")) else None
    except ValueError:
        return Fault("122", FORMAT, "122: a UTC time as yyyymmdd-HH:MM:SS")


def _unreadable(number: int, kind: str, fault: Fault) -> Say:
    named = "".join(each if "!" <= each <= "~" else "?" for each in kind[:_KIND_CHARACTERS_MAX])
    return reject(number=number, tag=fault.tag, kind=named, reason=fault.reason, text=fault.text)


def reject(*, number: int, tag: str, kind: str, reason: str, text: str) -> Say:
    """Return a session Reject (35=3) of message `number`, naming the tag."""
    named = (f"371={tag}{SOH}" if tag else "") + (f"372={kind}{SOH}" if kind else "")
    return Say("3", f"45={number}{SOH}{named}373={reason}{SOH}58={text}{SOH}")
