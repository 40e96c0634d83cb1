"""INV-25, the fold: whatever is lost, a panel ends as the snapshot and the deltas after it say."""

from __future__ import annotations

import random

import msgspec

from apps.dealing.consumers.panel import Frame, Panel, Taken, decode_frame


def frame(seq: int, rows: dict[str, object], *, snapshot: bool = False) -> Frame:
    return decode_frame(msgspec.json.encode({"panel": "quotes", "seq": seq, "snapshot": snapshot, "rows": rows}))


def rows_of(panel: Panel) -> dict[str, object]:
    return dict(msgspec.json.decode(panel.rows_text()))


def test_a_delta_follows_only_the_one_before() -> None:
    panel = Panel(name="quotes")
    panel.adopt(frame=frame(4, {"EURUSD": {"bid": "1.1"}}, snapshot=True), whatever_its_seq=True)
    assert panel.take(frame=frame(4, {"EURUSD": {"bid": "9"}})) is Taken.OLD
    assert panel.take(frame=frame(5, {"EURUSD": {"bid": "1.2"}})) is Taken.FOLLOWS
    assert panel.take(frame=frame(7, {"EURUSD": {"bid": "1.4"}})) is Taken.GAP
    assert rows_of(panel) == {"EURUSD": {"bid": "1.2"}}


def test_null_takes_a_row_away() -> None:
    panel = Panel(name="quotes")
    panel.adopt(frame=frame(1, {"EURUSD": {"bid": "1.1"}, "GBPUSD": {}}, snapshot=True), whatever_its_seq=True)
    panel.take(frame=frame(2, {"GBPUSD": None}))
    assert rows_of(panel) == {"EURUSD": {"bid": "1.1"}}


def test_a_snapshot_that_ends_before_the_gap_is_not_believed() -> None:
    panel = Panel(name="quotes")
    panel.take(frame=frame(9, {"EURUSD": {"bid": "9"}}))
    assert not panel.hear_of(seq=0), "what is missing is missing, whatever the engine says that it told last"
    assert not panel.adopt(frame=frame(7, {}, snapshot=True), whatever_its_seq=False)
    assert panel.adopt(frame=frame(8, {"GBPUSD": {"bid": "8"}}, snapshot=True), whatever_its_seq=False)
    assert rows_of(panel) == {"EURUSD": {"bid": "9"}, "GBPUSD": {"bid": "8"}}
    assert not panel.waiting


def test_what_the_engine_has_told_and_nobody_heard_is_waited_for() -> None:
    panel = Panel(name="quotes")
    panel.adopt(frame=frame(4, {"EURUSD": {"bid": "1.1"}}, snapshot=True), whatever_its_seq=True)
    assert panel.hear_of(seq=4) and panel.hear_of(seq=3) and not panel.waiting
    assert not panel.hear_of(seq=6) and panel.waiting
    assert not panel.adopt(frame=frame(5, {}, snapshot=True), whatever_its_seq=False)
    assert panel.take(frame=frame(7, {"EURUSD": {"bid": "7"}})) is Taken.GAP
    assert panel.adopt(frame=frame(6, {"GBPUSD": {"bid": "6"}}, snapshot=True), whatever_its_seq=False)
    assert rows_of(panel) == {"EURUSD": {"bid": "7"}, "GBPUSD": {"bid": "6"}}
    assert panel.hear_of(seq=7)


def test_the_last_engine_to_speak_says_how_far_it_has_come() -> None:
    """Of two engines the elder, which has told more, is not waited for."""
    panel = Panel(name="quotes")
    assert not panel.hear_of(seq=900)
    assert not panel.hear_of(seq=6)
    assert panel.adopt(frame=frame(6, {"GBPUSD": {"bid": "6"}}, snapshot=True), whatever_its_seq=False)


def test_a_restarted_engine_counts_anew() -> None:
    panel = Panel(name="quotes")
    panel.take(frame=frame(500, {"EURUSD": {"bid": "5"}}, snapshot=True))
    assert panel.take(frame=frame(1, {"EURUSD": {"bid": "1"}}, snapshot=True)) is Taken.REPLACED
    assert panel.take(frame=frame(2, {"EURUSD": {"bid": "2"}})) is Taken.FOLLOWS


def test_ten_percent_lost_ends_equal_a_hundred_times_out_of_a_hundred() -> None:
    for seed in range(100):
        chance = random.Random(seed)
        truth: dict[str, object] = {}
        panel = Panel(name="quotes")
        for seq in range(1, 200):
            change = {f"S{chance.randrange(8)}": chance.choice([None, {"bid": str(seq)}])}
            truth = {key: row for key, row in (truth | change).items() if row is not None}
            if chance.random() > 0.1:
                panel.take(frame=frame(seq, change))
            if chance.random() < 0.2:
                panel.hear_of(seq=seq)
            if panel.waiting and chance.random() < 0.3:
                panel.adopt(frame=frame(seq, truth, snapshot=True), whatever_its_seq=False)
        if not panel.hear_of(seq=199):
            panel.adopt(frame=frame(199, truth, snapshot=True), whatever_its_seq=False)
        assert rows_of(panel) == truth, seed
