"""What one tenant's screens have: the rows of each panel with the number of its last frame, and the news to be told."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from piggy.core.desk import Desk
from piggy.engine import desk_rows
from piggy.engine.desk_rows import Costs, Row, VenueWatch
from piggy.engine.margin_scan import MarginScan
from piggy.messaging import streams

ORDERS_KEPT = 200
# So many changes in one flush are each seen; of more, the latest are.
CROWD_BEGINS = 100
CROWD_SHOWN = 50

Rows = Mapping[str, Row | None]


@dataclass(slots=True)
class Panel:
    """One panel of one tenant: its rows as the screens have them and the number of its last frame."""

    name: str
    seq: int = 0
    rows: OrderedDict[str, Row] = field(default_factory=OrderedDict)
    snapshot_due: bool = True

    def change(self, rows: Mapping[str, Row]) -> dict[str, Row | None]:
        """Take the rows of now; return those that differ, None for one that is gone."""
        changed: dict[str, Row | None] = {key: row for key, row in rows.items() if self.rows.get(key) != row}
        changed.update(dict.fromkeys(self.rows.keys() - rows.keys()))
        if changed:
            self.rows = OrderedDict(rows)
        return changed

    def change_some(self, rows: Mapping[str, Row]) -> dict[str, Row | None]:
        """Take these rows and leave the others; return those that differ."""
        changed: dict[str, Row | None] = {key: row for key, row in rows.items() if self.rows.get(key) != row}
        self.rows.update({key: rows[key] for key in changed})
        return changed

    def drop_oldest(self, *, kept: int) -> list[str]:
        """Forget all but the latest `kept` rows; return the keys of the others."""
        return [self.rows.popitem(last=False)[0] for _ in range(len(self.rows) - kept)]

    def frame(self, rows: Rows, *, snapshot: bool, at_us: int, seqs: Mapping[str, int] | None = None) -> bytes:
        """Return a frame; a delta takes the next number, a snapshot has that of the last delta in it.

        `seqs` tells the numbers of other panels' last frames, so that who lost one learns it although none follows.
        """
        self.seq += not snapshot
        frame = {"panel": self.name, "seq": self.seq, "snapshot": snapshot, "at_us": at_us, "rows": rows}
        return msgspec.json.encode(frame if seqs is None else frame | {"seqs": seqs})


@dataclass(slots=True)
class Screen:
    """What one tenant's dealers see."""

    panels: dict[str, Panel] = field(default_factory=lambda: {name: Panel(name) for name in streams.PANELS})
    venues: dict[str, VenueWatch] = field(default_factory=dict)
    costs: dict[str, Costs] = field(default_factory=dict)
    orders: list[dict[str, Row]] = field(default_factory=list)
    rows_made: int = 0
    crowd: dict[str, None] = field(default_factory=dict)
    orders_seen: int = 0
    orders_per_s: int = 0
    known: bool = False
    watched: bool = True
    margins: MarginScan = field(default_factory=MarginScan)
    focus: list[str] = field(default_factory=list)
    troubles: dict[str, str] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    dealt: dict[str, None] = field(default_factory=dict)
    market_due_ns: int = 0
    told_ns: int = 0
    all_due: bool = True

    def take_note(self, *, desk: Desk, touched: dict[str, None]) -> None:
        """Make rows of orders at once, so that every change is seen; in a crowd, or unseen, with the next flush.

        Nobody reads thousands of rows a second, and making them would keep orders waiting.
        """
        self.orders_seen += len(touched)
        if self.crowd or self.rows_made >= CROWD_BEGINS or not self.watched:
            for order_id in touched:
                self.crowd.pop(order_id, None)
            self.crowd.update(touched)
            return
        self.rows_made += len(touched)
        rows, waiting = _order_rows(desk, touched), self.orders
        # An order that is in the frame being filled begins the next, so no change is lost.
        if waiting and waiting[-1].keys().isdisjoint(rows):
            waiting[-1].update(rows)
        else:
            waiting.append(rows)

    def order_frames(self, *, desk: Desk, at_us: int) -> list[bytes]:
        """Return a frame of each batch of orders that changed, every change in its turn.

        A frame also says which orders are no longer shown, so that no screen ever has more of them than the desk.
        """
        orders, waiting, frames = self.panels["orders"], self.orders, []
        if self.crowd:
            waiting.append(_order_rows(desk, self._seen_of_crowd()))
        self.orders, self.crowd, self.rows_made = [], {}, 0
        for touched in waiting:
            orders.rows.update(touched)
            gone = orders.drop_oldest(kept=ORDERS_KEPT)
            frames.append(orders.frame(dict.fromkeys(gone) | touched, snapshot=False, at_us=at_us))
            if at_once := [key for key in gone if key in touched]:
                frames.append(orders.frame(dict.fromkeys(at_once), snapshot=False, at_us=at_us))
            orders.snapshot_due = True
        return frames

    def summary_frame(self, *, rows: Rows, at_us: int) -> bytes:
        """Return the last frame of a look: the summary, and how far every other panel has come."""
        summary = self.panels["summary"]
        summary.snapshot_due = True
        seqs = {name: panel.seq for name, panel in self.panels.items() if panel is not summary}
        return summary.frame(rows, snapshot=False, at_us=at_us, seqs=seqs)

    def _seen_of_crowd(self) -> list[str]:
        """Return of the crowd whoever is shown and stays so, then the latest of those who are not."""
        rows, latest = self.panels["orders"].rows, CROWD_SHOWN if self.watched else ORDERS_KEPT
        new = [order_id for order_id in list(self.crowd)[-latest:] if order_id not in rows]
        staying = islice(rows, max(0, len(rows) + len(new) - ORDERS_KEPT), None)
        return [*(order_id for order_id in staying if order_id in self.crowd), *new]

    def all_snapshots_due(self) -> None:
        """Redis was emptied: what does not change is kept again too, for who comes next."""
        for panel in self.panels.values():
            panel.snapshot_due = True

    def count_second(self) -> None:
        """Begin the next second's counts."""
        self.orders_per_s, self.orders_seen = self.orders_seen, 0
        for watch in self.venues.values():
            watch.quotes_per_s, watch.quotes = watch.quotes, 0


def _order_rows(desk: Desk, order_ids: Iterable[str]) -> dict[str, Row]:
    orders, instruments = desk.state.orders, desk.state.instruments
    return {
        order_id: desk_rows.order_row(order=order, instrument=instruments.get(order.terms.symbol))
        for order_id in order_ids
        if (order := orders.get(order_id))
    }
