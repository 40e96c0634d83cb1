"""The table of promises and faults says the truth: every file that it names carries the id."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROW = re.compile(r"^\| (INV|F|T|E)-(\d\d) \|.*\| (.+) \|$", re.MULTILINE)
ROWS_MIN = 45


def test_every_file_of_the_table_names_its_id() -> None:
    rows = ROW.findall((TESTS / "README.md").read_text())
    assert len(rows) >= ROWS_MIN
    for kind, number, files in rows:
        for name in re.findall(r"`([^`]+)`", files):
            text = (TESTS / name).read_text()
            assert f"{kind}-{number}" in text or f"test_{kind.lower()}_{number}_" in text, (kind, number, name)
