"""Homes for real servers, in a place every account can reach."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from piggy.local.services import LocalServices


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home; its folder can be entered by the account the servers run as."""
    folder = Path(tempfile.mkdtemp(prefix="piggy-local-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def services(home: Path) -> Iterator[LocalServices]:
    """Both servers, running."""
    with LocalServices(home, fast=True) as running:
        yield running
