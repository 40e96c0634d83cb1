"""Groups of sockets that are told the same text at the same moment: encoded and framed once for all of a group.

What somebody did is told with the next beat. Prices of many symbols go out a group at a time, at a pace that a line
carries, so that a fill never waits behind a burst of quotes to two hundred screens. Of those that wait for their turn
a screen gets the ones that it has in sight meanwhile, several times a second: a peek, which has no number, for the
numbered frame brings the same rows or newer ones.
"""

from __future__ import annotations

from typing import Any

import msgspec

from apps.dealing.consumers.outbox import MARKET, NEVER_CONFLATED
from apps.dealing.consumers.panel import Frame, Panel
from piggy.messaging.text_frames import frame_of

# A frame of more rows is the market's; of fewer, somebody's doing, or a small desk's prices.
ROWS_AT_ONCE_MAX = 32
MEMBERS_EACH = 32
MARKET_S_MIN, MARKET_S_MAX = 0.2, 2.5
MARKET_BYTES_PER_S = 125_000
PHASE_S = 0.05
PEEK_S = 0.25

_encode = msgspec.json.Encoder().encode
Rows = dict[str, msgspec.Raw]


class Group:
    """Some sockets of one tenant with one numbering of their frames."""

    def __init__(self, *, panels: dict[str, Panel], number: int) -> None:
        self.members: set[Any] = set()
        self._panels = panels
        self._seqs = dict.fromkeys(panels, 0)
        self._news: list[tuple[str, int, str]] = []
        self._market: dict[str, Rows] = {}
        self._due_s: dict[str, float] = {}
        self._phase_s = number * PHASE_S
        self._peek_due_s = 0.0

    def take(self, *, frame: Frame, rows: str) -> None:
        """Queue what changed; `rows` are the frame's, encoded."""
        waiting = self._market.get(frame.panel)
        if len(frame.rows) > ROWS_AT_ONCE_MAX and frame.panel not in NEVER_CONFLATED:
            self._market.setdefault(frame.panel, {}).update(frame.rows)
            return
        if waiting:
            for key in frame.rows:
                waiting.pop(key, None)
        self._news.append((frame.panel, frame.at_us, rows))

    def forget(self, *, panel: str) -> None:
        """Everybody gets the panel whole: nothing that waits is newer."""
        self._market.pop(panel, None)
        self._news = [news for news in self._news if news[0] != panel]

    def beat(self, *, now_s: float) -> None:
        """Tell the members what is news, and of the market what is due."""
        if self._news:
            news, self._news = self._news, []
            lane = next((name for name, _, _ in news if name in NEVER_CONFLATED), MARKET)
            self._tell(lane, [self._delta(name, at_us, rows) for name, at_us, rows in news])
        for name in [name for name, rows in self._market.items() if rows]:
            due_s = self._due_s.setdefault(name, now_s + self._phase_s)
            if now_s >= due_s:
                text = self._delta(name, self._panels[name].at_us, _encode(self._market.pop(name)).decode())
                pace_s = min(MARKET_S_MAX, max(MARKET_S_MIN, len(text) / MARKET_BYTES_PER_S))
                self._due_s[name] = now_s + pace_s
                self._tell(MARKET, [text])
        if now_s >= self._peek_due_s and any(self._market.values()):
            self._peek_due_s = now_s + PEEK_S
            self._peek()

    def snapshot_text(self, panel: str) -> str:
        """Return a panel's whole state under this group's numbering."""
        known = self._panels[panel]
        return _frame(panel, self._seqs[panel], "true", known.at_us, known.rows_text())

    def _peek(self) -> None:
        """Tell each member what waits of the rows that it has in sight; who sees the same gets the same text."""
        made: dict[tuple[str, tuple[str, ...]], tuple[str, bytes]] = {}
        for member in self.members:
            for panel, keys in member.sight.items():
                waiting = self._market.get(panel)
                if not waiting:
                    continue
                if (panel, keys) not in made:
                    rows = {key: waiting[key] for key in keys if key in waiting}
                    text = _peeked(panel, self._panels[panel].at_us, _encode(rows).decode()) if rows else ""
                    made[panel, keys] = text, frame_of(text=text)
                text, frame = made[panel, keys]
                if text:
                    member.outbox.put(lane=MARKET, text=text, frame=frame)

    def _delta(self, panel: str, at_us: int, rows: str) -> str:
        self._seqs[panel] += 1
        return _frame(panel, self._seqs[panel], "false", at_us, rows)

    def _tell(self, lane: str, texts: list[str]) -> None:
        text = texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"
        frame = frame_of(text=text)
        for member in self.members:
            member.outbox.put(lane=lane, text=text, frame=frame)


def _peeked(panel: str, at_us: int, rows: str) -> str:
    return f'{{"panel":"{panel}","peek":true,"at_us":{at_us},"rows":{rows}}}'


def _frame(panel: str, seq: int, snapshot: str, at_us: int, rows: str) -> str:
    return f'{{"panel":"{panel}","seq":{seq},"snapshot":{snapshot},"at_us":{at_us},"rows":{rows}}}'
