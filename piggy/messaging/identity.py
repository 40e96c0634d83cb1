"""Ids that are the same whoever makes them, so that a repeat is recognised."""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID("6f1dbe0e-3c5b-5b6c-9d53-6a7e2f0c8b11")
_SEPARATOR = "\x1f"


def command_id_of(*parts: str) -> str:
    """Return the same UUID text for the same parts, as ("tv", tenant, strategy, alert id)."""
    return str(uuid.uuid5(_NAMESPACE, _SEPARATOR.join(parts)))
