"""Homes for real servers, in a place every account can reach."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from piggy.local.services import LocalServices


@contextmanager
def _made() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="piggy-local-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home; its folder can be entered by the account the servers run as."""
    with _made() as folder:
        yield folder


@pytest.fixture(scope="module")
def services() -> Iterator[LocalServices]:
    """Both servers, running, for a file's tests together; who changes or ends one leaves it as it was."""
    with _made() as folder, LocalServices(folder, fast=True) as running:
        yield running
