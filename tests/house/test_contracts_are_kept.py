"""Who may import whom, as the import contracts of pyproject.toml say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.house.tidy import ROOT


def test_every_import_contract_is_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    shown = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stdout[-3_000:]
