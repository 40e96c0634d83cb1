"""What commands are made of: their base."""

from __future__ import annotations

import msgspec


class Command(msgspec.Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """Base of everything that a desk can be asked."""
