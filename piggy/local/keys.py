"""Generated passwords and keys of one local installation: made once, kept private."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path


def read(*, path: Path) -> dict[str, str]:
    """Return the stored values; empty when nothing is stored yet."""
    try:
        stored = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return {str(name): str(value) for name, value in stored.items()}


def write(*, path: Path, values: Mapping[str, str]) -> None:
    """Store `values` so that only our own account reads them; a crash leaves the old file or the new one."""
    replace(path=path, text=json.dumps(dict(values), indent=1))


def replace(*, path: Path, text: str) -> None:
    """Write a private file in one step; when it returns, a power cut leaves the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.{os.getpid()}.part")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    # Without this the name may be the old file's after a power cut: secrets sealed meanwhile would open with no key.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


PASSWORD_BYTES = 32


def password() -> str:
    """Return a new password of 256 bits that needs no quoting in a URL, a shell or a configuration file."""
    return secrets.token_hex(PASSWORD_BYTES)
